// Threads that really die: exactly one thread.down, one cell.lost a cell, nothing else touched, the pool full again.

import { afterEach, expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { actorId, startPool, type TestPool } from '../kit/pool.ts';

let rig: TestPool;
afterEach(() => rig?.pool.stop());

const nameOf = (id: AgentId) =>
  Array.from({ length: 30 }, (_, n) => `cell-${n}`).find((name) => actorId(name) === id) ?? '';
const ask = (id: AgentId, type: string, body: unknown = null) => rig.pool.ask(id, type, body, { timeoutMs: 15_000 });

test.each([
  { name: 'terminate', kill: () => rig.pool.killThread(1, 'terminate'), reason: 'exited' },
  { name: 'process.exit', kill: () => rig.pool.killThread(1, 'exit'), reason: 'exited' },
  { name: 'an uncaught throw of nobody', kill: () => rig.pool.killThread(1, 'throw'), reason: 'threw' },
  { name: 'a full heap', kill: () => rig.pool.killThread(1, 'oom'), reason: 'out_of_memory' },
  { name: 'an endless loop', kill: () => rig.pool.killThread(1, 'spin'), reason: 'stuck' },
  {
    name: 'process.exit in a handler',
    kill: (a: AgentId) => void rig.pool.tell(a, 'exit', null),
    reason: 'exited',
    busy: true,
  },
  {
    name: 'an endless loop in a handler',
    kill: (a: AgentId) => void rig.pool.tell(a, 'spin', null),
    reason: 'stuck',
    busy: true,
  },
])('$name ends one thread and leaves the others untouched', async ({ kill, reason, busy = false }) => {
  rig = await startPool({ threads: 2, maxOldGenerationSizeMb: 48 });
  const [a, b] = [await rig.puppet('a', 1), await rig.puppet('b', 1)];
  const [c, d] = [await rig.puppet('c', 2), await rig.puppet('d', 2)];
  const witness = await rig.puppet('witness', 2);
  await ask(c, 'ask', { to: a, type: 'echo', body: 1 });
  await ask(c, 'ask', { to: b, type: 'echo', body: 1 });
  await rig.pool.tell(c, 'inc', { n: 1 });
  const open = ask(c, 'ask', { to: b, type: 'never', timeoutMs: 60_000 });
  const fromMain = rig.pool.ask(b, 'never', null, { timeoutMs: 60_000 });
  fromMain.catch(() => {});
  const received = async () => (await rig.pool.cellStats()).find(({ id }) => id === b)?.received ?? 0;
  while ((await received()) < 3);
  kill(a);
  await rig.until(() => rig.of('thread.up').length === 3, 'the pool is full again');
  expect(await open).toEqual({ code: 'target_lost' });
  await expect(fromMain).rejects.toMatchObject({ code: 'target_lost' });
  const down = rig.of('thread.down');
  expect(down).toMatchObject([{ thread: 1, reason }]);
  expect([...(down[0]?.cells ?? [])].sort()).toEqual([a, b].sort());
  expect(down[0]?.busy).toEqual(busy ? [a] : []);
  expect(
    rig
      .of('cell.lost')
      .map(({ id }) => id)
      .sort(),
  ).toEqual([a, b].sort());
  expect(rig.of('cell.lost').find(({ id }) => id === a)?.busy).toBe(busy);
  expect(rig.of('cell.failed')).toEqual([]);
  expect(await rig.report(c)).toMatchObject({ count: 1 });
  expect(await ask(c, 'ask', { to: d, type: 'echo', body: 2 })).toEqual({ reply: 2 });
  // Until its next incarnation is up, what is sent to it waits; once it is given up, it is refused.
  const heldByMain = rig.pool.tell(a, 'inc', { n: 3 });
  const given = ask(c, 'tell-confirmed', { to: b, type: 'note' });
  const held = ask(d, 'ask', { to: a, type: 'who', timeoutMs: 10_000 });
  await ask(witness, 'echo');
  await rig.pool.stopCell(b, 'stop', 100);
  expect(await given).toEqual({ outcome: 'refused', reason: 'target_lost' });
  await rig.puppet('a', undefined, { incarnation: 2 });
  expect(await held).toMatchObject({ reply: { incarnation: 2 } });
  expect(await heldByMain).toMatchObject({ outcome: 'delivered' });
  expect(await rig.report(a)).toMatchObject({ count: 1, sum: 3 });
});

test.each([
  { type: 'throw', how: 'throws in its handler' },
  { type: 'throw-later', how: 'throws in a timer of its own' },
  { type: 'reject-later', how: 'leaves a rejection unhandled' },
  { type: 'fail', how: 'fails itself' },
])('a cell that $how fails alone, keeps its mailbox, and its next incarnation goes on with it', async ({ type }) => {
  rig = await startPool({ threads: 1 });
  const a = await rig.puppet('a');
  const b = await rig.puppet('b');
  const open = rig.pool.ask(a, 'never', null, { timeoutMs: 60_000 });
  open.catch(() => {});
  await rig.pool.tell(a, type, null);
  await rig.until(() => rig.of('cell.failed').length > 0, 'the failure');
  await expect(open).rejects.toMatchObject({ code: 'agent_crashed' });
  expect(await rig.pool.tell(a, 'inc', { n: 7 })).toMatchObject({ outcome: 'delivered' });
  const waiting = rig.pool.ask(a, 'echo', 'still here', { timeoutMs: 10_000 });
  expect(await ask(b, 'echo', 1)).toBe(1);
  await rig.puppet('a', undefined, { incarnation: 2 });
  expect(await waiting).toBe('still here');
  expect(await rig.report(a)).toMatchObject({ count: 1, sum: 7 });
  expect(rig.of('cell.failed')).toMatchObject([{ id: a, incarnation: 1 }]);
  expect(rig.of('thread.down')).toEqual([]);
});

test('messages on their way to a dying thread are dead letters with an unknown outcome', async () => {
  rig = await startPool({ threads: 2, stuckKillMs: 400 });
  const a = await rig.puppet('a', 1);
  const b = await rig.puppet('b', 2);
  await ask(a, 'ask', { to: b, type: 'echo', body: 1 });
  void rig.pool.tell(b, 'spin', null);
  const sent = ask(a, 'send', { to: b, type: 'inc', times: 100 });
  const confirmed = ask(a, 'tell-confirmed', { to: b, type: 'inc', body: { n: 1 } });
  await sent;
  expect(await confirmed).toEqual({ outcome: 'unknown', reason: 'target_lost' });
  await rig.until(() => rig.of('dead-letter').length >= 102, 'every unacknowledged message');
  expect(new Set(rig.of('dead-letter').map(({ letter }) => letter.reason))).toEqual(new Set(['target_lost']));
  expect(rig.of('dead-letter')).toHaveLength(102);
  expect((await rig.report(a)).undelivered).toHaveLength(100);
});

test('mail that waited in a mailbox is counted when its thread dies, the message in hand is told by busy', async () => {
  rig = await startPool({ threads: 2 });
  const a = await rig.puppet('a', 1);
  const b = await rig.puppet('b', 2);
  const idle = await rig.puppet('idle', 2);
  await rig.pool.tell(b, 'block-mailbox', null);
  await ask(a, 'send', { to: b, type: 'inc', times: 499 });
  expect(await ask(a, 'tell-confirmed', { to: b, type: 'inc', body: { n: 1 } })).toMatchObject({
    outcome: 'delivered',
  });
  await ask(a, 'ask', { to: idle, type: 'echo' });
  rig.pool.killThread(2, 'terminate');
  await rig.until(() => rig.of('cell.lost').length === 2, 'lost');
  const letters = rig.of('dead-letter').map(({ letter }) => letter);
  expect(letters).toMatchObject([{ reason: 'target_lost', to: b, type: 'mailbox.lost', body: { count: 500 } }]);
});

test('mail of a failed cell is counted too, wherever its restart was', async () => {
  rig = await startPool({ threads: 2 });
  const b = await rig.puppet('b', 2);
  await rig.pool.tell(b, 'fail', null);
  await rig.until(() => rig.of('cell.failed').length === 1, 'failed');
  for (let n = 0; n < 3; n++) await rig.pool.tell(b, 'inc', { n });
  await expect(rig.puppet('b', undefined, { incarnation: 2, config: { init: 'throw' } })).rejects.toMatchObject({
    code: 'init_failed',
  });
  // A restart that failed leaves the mailbox for the next one.
  expect(await rig.pool.tell(b, 'inc', { n: 3 })).toMatchObject({ outcome: 'delivered' });
  rig.pool.killThread(2, 'exit');
  await rig.until(() => rig.of('dead-letter').length === 1, 'counted');
  expect(rig.of('dead-letter')).toMatchObject([{ letter: { to: b, type: 'mailbox.lost', body: { count: 4 } } }]);
});

test('an ask to an agent that is restarting waits for its own time limit, and is not handled after it', async () => {
  rig = await startPool({ threads: 2 });
  const a = await rig.puppet('a', 1);
  const b = await rig.puppet('b', 2);
  rig.pool.killThread(2, 'terminate');
  await rig.until(() => rig.of('thread.down').length === 1, 'down');
  expect(await ask(a, 'ask', { to: b, type: 'note', timeoutMs: 100 })).toEqual({ code: 'ask_timeout' });
  const sent = ask(a, 'send', { to: b, type: 'ordered', times: 1_000 });
  await sent;
  await rig.puppet('b', undefined, { incarnation: 2 });
  await ask(a, 'tell-confirmed', { to: b, type: 'ordered', body: { n: 1_001 } });
  expect(await rig.report(b)).toMatchObject({ count: 1_001, disorder: 0, seen: [] });
});

test('a fresh thread takes the next cells until it carries as much as the others', async () => {
  rig = await startPool({ threads: 3 });
  for (let n = 0; n < 30; n++) await rig.puppet(`cell-${n}`);
  expect(rig.pool.threadStats().map(({ cells }) => cells)).toEqual([10, 10, 10]);
  rig.pool.killThread(1, 'terminate');
  await rig.until(() => rig.of('cell.lost').length === 10, 'lost');
  for (const { id } of rig.of('cell.lost').slice(0, 4)) await rig.puppet(nameOf(id), undefined, { incarnation: 2 });
  expect(rig.pool.threadStats().flatMap(({ cells }) => (cells > 0 ? [cells] : []))).toEqual([12, 12]);
  await rig.until(() => rig.of('thread.up').length === 4, 'up');
  for (let n = 0; n < 14; n++) await rig.puppet(`more-${n}`);
  expect(
    rig.pool
      .threadStats()
      .map(({ cells }) => cells)
      .sort(),
  ).toEqual([12, 13, 13]);
});

test('a handler that works hard inside the limit is busy, not stuck', async () => {
  rig = await startPool({ threads: 1, stuckAfterMs: 100, stuckKillMs: 60_000 });
  const a = await rig.puppet('a');
  const done = rig.pool.runTask(a, {
    ...(await import('../kit/pool.ts')).assignment('test.work', { ms: 800 }, 20_000),
  });
  let busy = false;
  await rig.until(() => {
    const [stats] = rig.pool.threadStats();
    busy ||= stats?.liveness === 'busy' && stats.lastBeatAgoMs > 100;
    return busy;
  }, 'busy without a beat');
  expect(await done).toMatchObject({ type: 'completed', result: 'worked' });
  expect(rig.of('thread.stuck')).toEqual([]);
  expect(rig.of('thread.down')).toEqual([]);
});

test('a spawn while its only thread restarts waits and succeeds', async () => {
  rig = await startPool({ threads: 1 });
  await rig.puppet('a');
  rig.pool.killThread(1, 'terminate');
  await rig.until(() => rig.of('thread.down').length === 1, 'down');
  await rig.puppet('a', undefined, { incarnation: 2 });
  expect(rig.of('thread.up').map(({ thread }) => thread)).toEqual([1, 2]);
  expect(rig.notices.at(-1)).toMatchObject({ type: 'cell.transition' });
});
