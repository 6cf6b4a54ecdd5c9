// The pool itself with real threads: spawning, placement, resizing, its end.

import { afterEach, expect, test } from 'vitest';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { actorId, puppetSpec, startPool, type TestPool } from '../kit/pool.ts';

let rig: TestPool;
afterEach(() => rig?.pool.stop());

test('spawns go to the least loaded thread, or where they are told', async () => {
  rig = await startPool({ threads: 3 });
  const places = await Promise.all(
    Array.from({ length: 9 }, (_, n) => rig.pool.spawn(puppetSpec(`s-${n}`), { dedicated: false })),
  );
  expect(places.map(({ thread }) => thread).sort()).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3]);
  expect(await rig.pool.spawn(puppetSpec('told'), { dedicated: false, thread: 2 })).toMatchObject({ thread: 2 });
});

test.each([
  { name: 'an export that is no definition', options: { exportName: 'notADefinition' }, code: 'not_a_module' },
  { name: 'an export that is not there', options: { exportName: 'nothing' }, code: 'not_a_module' },
  { name: 'a file that is not there', options: { specifier: 'file:///nowhere/at/all.ts' }, code: 'not_a_module' },
  { name: 'a start that throws', options: { config: { init: 'throw' } }, code: 'init_failed' },
  { name: 'a start that never ends', options: { config: { init: 'hang' } }, code: 'spawn_timeout' },
  { name: 'a configuration that cannot be cloned', options: { config: { f: () => 1 } }, code: 'not_cloneable' },
])('$name is refused with $code, and the id is free again', async ({ options, code }) => {
  rig = await startPool({ threads: 1, spawnTimeoutMs: 500 });
  const refused = rig.pool.spawn(puppetSpec('a', options), { dedicated: false });
  await expect(refused).rejects.toBeInstanceOf(RuntimeError);
  await expect(refused).rejects.toMatchObject({ code });
  const id = await rig.puppet('a', undefined, { incarnation: 2 });
  expect(await rig.pool.ask(id, 'who', null, { timeoutMs: 5_000 })).toMatchObject({ incarnation: 2 });
  expect(rig.of('cell.failed')).toEqual([]);
});

test('a start that takes its time holds back the mail, not the other spawns', async () => {
  rig = await startPool({ threads: 1 });
  const slow = rig.pool.spawn(puppetSpec('slow', { config: { init: 'later' } }), { dedicated: false });
  const told = rig.pool.tell(actorId('slow'), 'inc', { n: 1 });
  await rig.puppet('fast');
  await slow;
  expect(await told).toMatchObject({ outcome: 'delivered' });
  expect(await rig.report(actorId('slow'))).toMatchObject({ count: 1 });
});

test('a dedicated agent has a thread of its own that ends with it', async () => {
  rig = await startPool({ threads: 1 });
  const spec = puppetSpec('own');
  const { thread } = await rig.pool.spawn(spec, { dedicated: true });
  expect(rig.of('thread.up')).toContainEqual({ type: 'thread.up', thread, dedicatedTo: spec.id });
  await rig.puppet('other');
  expect(rig.pool.threadStats().find((stats) => stats.thread === thread)).toMatchObject({
    cells: 1,
    dedicatedTo: spec.id,
  });
  await rig.pool.stopCell(spec.id, 'drain', 1_000);
  await rig.until(() => rig.of('thread.down').length === 1, 'its end');
  expect(rig.of('thread.down')).toMatchObject([{ thread, reason: 'drained', cells: [] }]);
  expect(rig.of('cell.lost')).toEqual([]);
});

test('growing adds threads; shrinking moves cells with their state, and loses and reorders no message', async () => {
  const moved: string[] = [];
  rig = await startPool({ threads: 1, onMoved: (id) => void moved.push(id) });
  const sender = await rig.puppet('sender', 1);
  await rig.pool.resize(3);
  expect(rig.of('thread.up')).toHaveLength(3);
  const targets = [await rig.puppet('t2', 2), await rig.puppet('t3', 3)];
  const sent = targets.map((to) =>
    rig.pool.ask(sender, 'send', { to, type: 'inc', times: 2_000, confirmEvery: 10 }, { timeoutMs: 20_000 }),
  );
  await rig.until(() => true, 'under way');
  await rig.pool.resize(1);
  for (const result of await Promise.all(sent)) expect(result).toMatchObject({ refused: 0 });
  for (const id of targets) expect(await rig.report(id)).toMatchObject({ count: 2_000 });
  expect(moved.length).toBeGreaterThanOrEqual(2);
  expect(rig.of('thread.down').map(({ reason }) => reason)).toEqual(['drained', 'drained']);
  expect(rig.of('dead-letter')).toEqual([]);
  expect(rig.of('cell.lost')).toEqual([]);
});

test('order holds over a change of route', async () => {
  rig = await startPool({ threads: 3 });
  const sender = await rig.puppet('sender', 1);
  const to = await rig.puppet('receiver', 3);
  await rig.puppet('ballast', 2);
  const sending = rig.pool.ask(
    sender,
    'send',
    { to, type: 'note', times: 3_000, confirmEvery: 50 },
    { timeoutMs: 20_000 },
  );
  await rig.pool.resize(2);
  expect(await sending).toMatchObject({ refused: 0 });
  const { seen } = await rig.report(to);
  const numbers = seen.map((note) => (note as { n: number }).n);
  expect(numbers).toEqual([...numbers].sort((x, y) => x - y));
  expect(numbers.at(-1)).toBe(3_000);
});

test('ten thousand cells spawn in company', async () => {
  rig = await startPool({ threads: 2, maxOldGenerationSizeMb: 256, spawnTimeoutMs: 60_000, stuckKillMs: 30_000 });
  const specs = Array.from({ length: 10_000 }, (_, n) => puppetSpec(`crowd-${n}`));
  const started = await Promise.all(specs.map((spec) => rig.pool.spawn(spec, { dedicated: false })));
  expect(new Set(started.map(({ id }) => id)).size).toBe(10_000);
  expect(await rig.pool.cellStats()).toHaveLength(10_000);
});

test('stopping leaves neither threads nor open handles, and refuses what comes after', async () => {
  const before = process.getActiveResourcesInfo().filter((kind) => kind === 'MessagePort' || kind === 'Worker').length;
  rig = await startPool({ threads: 2 });
  const a = await rig.puppet('a', 1);
  const b = await rig.puppet('b', 2);
  await rig.pool.ask(a, 'ask', { to: b, type: 'echo', body: 1 }, { timeoutMs: 5_000 });
  const open = rig.pool.ask(a, 'never', null, { timeoutMs: 60_000 });
  open.catch(() => {});
  await rig.pool.stop();
  await expect(open).rejects.toMatchObject({ code: expect.stringMatching(/target_lost|agent_stopped/) });
  await expect(rig.pool.spawn(puppetSpec('late'), { dedicated: false })).rejects.toMatchObject({
    code: 'no_thread_up',
  });
  const after = process.getActiveResourcesInfo().filter((kind) => kind === 'MessagePort' || kind === 'Worker').length;
  expect(after).toBeLessThanOrEqual(before);
  expect(rig.of('thread.down').map(({ reason }) => reason)).toEqual(['drained', 'drained']);
});
