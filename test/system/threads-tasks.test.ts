// Attempts in real threads: outcomes, time limits, cancellation, culprits.

import { afterEach, expect, test } from 'vitest';
import { assignment, puppetSpec, startPool, type TestPool } from '../kit/pool.ts';

let rig: TestPool;
afterEach(() => rig?.pool.stop());

test('an attempt ends completed, failed or not cloneable', async () => {
  rig = await startPool({ threads: 1 });
  const a = await rig.puppet('a');
  const run = (capability: string) => rig.pool.runTask(a, assignment(capability, { x: 1 }));
  expect(await run('test.echo')).toMatchObject({ type: 'completed', result: { x: 1 } });
  expect(await run('test.none')).toMatchObject({ type: 'failed', error: { code: 'handler_failed' } });
  expect(await run('test.function')).toMatchObject({ type: 'failed', error: { code: 'not_cloneable' } });
});

test('an attempt for an agent that is gone, paused or failed is released', async () => {
  rig = await startPool({ threads: 1 });
  const a = await rig.puppet('a');
  await rig.pool.signal(a, { type: 'pause' });
  expect(await rig.pool.runTask(a, assignment('test.echo'))).toEqual({ type: 'released', reason: 'agent_paused' });
  await rig.pool.signal(a, { type: 'resume' });
  await rig.pool.tell(a, 'fail', null);
  await rig.until(() => rig.of('cell.failed').length === 1, 'failed');
  expect(await rig.pool.runTask(a, assignment('test.echo'))).toEqual({ type: 'released', reason: 'agent_failed' });
  await rig.pool.stopCell(a, 'stop', 100);
  expect(await rig.pool.runTask(a, assignment('test.echo'))).toEqual({ type: 'released', reason: 'agent_gone' });
});

test('an attempt beyond its time limit is aborted and ends timed_out', async () => {
  rig = await startPool({ threads: 1 });
  const a = await rig.puppet('a');
  expect(await rig.pool.runTask(a, assignment('test.wait', { ms: 60_000 }, 50))).toMatchObject({ type: 'timed_out' });
  expect(rig.of('cell.failed')).toEqual([]);
});

test('an attempt deaf to its abort ends timed_out after the grace, and its cell fails so that a clean one can start', async () => {
  rig = await startPool({ threads: 1 });
  const a = await rig.puppet('a');
  const b = await rig.puppet('b');
  expect(await rig.pool.runTask(a, assignment('test.deaf', {}, 50))).toMatchObject({ type: 'timed_out' });
  await rig.until(() => rig.of('cell.failed').length === 1, 'failed');
  expect(rig.of('cell.failed')).toMatchObject([{ id: a, error: { code: 'agent_crashed' } }]);
  expect(await rig.report(b)).toMatchObject({ count: 0 });
});

test('an attempt whose thread keeps no time is lost by the clock of main, and its cell fails', async () => {
  rig = await startPool({ threads: 1, stuckAfterMs: 200 });
  const a = await rig.puppet('a');
  const b = await rig.puppet('b');
  await rig.pool.tell(b, 'no-timers', null);
  await rig.pool.ask(b, 'echo', 1, { timeoutMs: 5_000 });
  expect(await rig.pool.runTask(a, assignment('test.deaf', {}, 50))).toMatchObject({
    type: 'lost',
    culprit: true,
    error: { code: 'agent_crashed' },
  });
  await rig.until(() => rig.of('cell.failed').length === 1, 'failed');
  expect(rig.of('cell.failed')).toMatchObject([{ id: a }]);
  expect(rig.of('thread.down')).toEqual([]);
  expect(await rig.report(b)).toMatchObject({ count: 0 });
});

test.each(['test.spin', 'test.spin-now'])(
  '%s: the thread is killed, only the task that did it is its culprit',
  async (capability) => {
    rig = await startPool({ threads: 2 });
    const a = await rig.puppet('a', 1);
    const b = await rig.puppet('b', 1);
    const c = await rig.puppet('c', 2);
    const innocent =
      capability === 'test.spin-now' ? rig.pool.runTask(b, assignment('test.wait', { ms: 60_000 }, 60_000)) : undefined;
    const elsewhere = rig.pool.runTask(c, assignment('test.wait', { ms: 3_000 }, 60_000));
    expect(await rig.pool.runTask(a, assignment(capability, {}, 200))).toMatchObject({
      type: 'lost',
      culprit: true,
      error: { code: 'thread_stuck' },
    });
    if (innocent) expect(await innocent).toMatchObject({ type: 'lost', culprit: false });
    expect(await elsewhere).toMatchObject({ type: 'completed' });
    expect(
      rig
        .of('cell.lost')
        .map(({ id }) => id)
        .sort(),
    ).toEqual([a, b].sort());
    expect(rig.of('thread.down')).toMatchObject([{ reason: 'stuck', thread: 1 }]);
  },
);

test('an exit lays the loss to the task that was alone at work', async () => {
  rig = await startPool({ threads: 1 });
  const a = await rig.puppet('a');
  expect(await rig.pool.runTask(a, assignment('test.exit'))).toMatchObject({ type: 'lost', culprit: true });
});

test('an uncaught throw is laid to the task it came from, and to no other', async () => {
  rig = await startPool({ threads: 1 });
  const a = await rig.puppet('a');
  const b = await rig.puppet('b');
  const sibling = rig.pool.runTask(a, assignment('test.wait', { ms: 60_000 }, 60_000));
  const other = rig.pool.runTask(b, assignment('test.wait', { ms: 300 }, 60_000));
  expect(await rig.pool.runTask(a, assignment('test.throw-later'))).toMatchObject({ type: 'lost', culprit: true });
  expect(await sibling).toMatchObject({ type: 'lost', culprit: false });
  expect(await other).toMatchObject({ type: 'completed' });
  expect(rig.of('cell.failed')).toMatchObject([{ id: a }]);
  expect(rig.of('thread.down')).toEqual([]);
});

test.each([
  { name: 'a listening handler', capability: 'test.wait', how: 'cooperative', dedicated: false, collateral: false },
  {
    name: 'a deaf handler of a shared agent',
    capability: 'test.deaf',
    how: 'abandoned',
    dedicated: false,
    collateral: false,
  },
  {
    name: 'a deaf handler of a dedicated agent',
    capability: 'test.deaf',
    how: 'killed',
    dedicated: true,
    collateral: false,
  },
  { name: 'a blocked loop', capability: 'test.spin', how: 'killed', dedicated: false, collateral: true },
])('cancelling $name is $how', async ({ capability, how, dedicated, collateral }) => {
  rig = await startPool({ threads: 2 });
  const spec = puppetSpec('a');
  await rig.pool.spawn(spec, dedicated ? { dedicated } : { dedicated, thread: 1 });
  const b = await rig.puppet('b', 1);
  const task = assignment(capability, { ms: 60_000 }, 60_000);
  const running = rig.pool.runTask(spec.id, task);
  if (capability === 'test.spin')
    await rig.until(() => (rig.pool.threadStats()[0]?.lastBeatAgoMs ?? 0) > 60, 'spinning');
  const cancelled = rig.pool.cancelTask(task.taskId, task.fence, 100);
  const again = rig.pool.cancelTask(task.taskId, task.fence, 100);
  expect(await cancelled).toEqual({ how, collateral: collateral ? [b] : [] });
  expect(await again).toEqual(await cancelled);
  expect(await running).toMatchObject({ type: 'cancelled' });
  expect(await rig.pool.cancelTask(task.taskId, task.fence, 100)).toEqual({ how: 'not_running', collateral: [] });
  if (how === 'abandoned') expect(rig.of('cell.failed')).toMatchObject([{ id: spec.id }]);
  if (!collateral) expect(await rig.report(b)).toMatchObject({ count: 0 });
});
