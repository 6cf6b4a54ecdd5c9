import { describe, expect, test } from 'vitest';
import { wireError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { TaskOutcome } from '../../runtime/contracts/task.ts';
import { testAmbient } from '../kit/ambient.ts';
import { FakeTable } from '../kit/fake-task-store.ts';
import { completed, completes, GRACE_MS, POLL_MS, type TaskRig, taskRig, turns } from '../kit/task-rig.ts';

async function submitted(rig: TaskRig, queue: string, count = 1) {
  const tasks = Array.from({ length: count }, () => rig.newTask(queue));
  await Promise.all(tasks.map((task) => rig.store.submit(task)));
  return tasks.map(({ id }) => id);
}
const states = (rig: TaskRig) => [...rig.store.table.rows.values()].map(({ state }) => state);

describe('filling slots', () => {
  test('runs every task of its queue once and writes its outcome', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1'], 2);
    rig.runner.answer = completes;
    const ids = await submitted(rig, 'x@1', 7);
    rig.dispatcher.start();
    await turns(100);
    expect(states(rig)).toEqual(Array(7).fill('completed'));
    expect(rig.runner.runs.map(({ task }) => task.taskId).sort()).toEqual([...ids].sort());
    expect(rig.workforce.taken).toBe(0);
    await rig.dispatcher.stop();
  });

  test.each([
    ['free again when a success is handed to the store', completed(), 0],
    ['held until a success with a snapshot is written', { ...completed(), snapshot: { n: 1 } } as TaskOutcome, 1],
    [
      'held until a failure is written',
      { type: 'failed', error: wireError('handler_failed', 'x'), runMs: 1 } as TaskOutcome,
      1,
    ],
  ])('a slot is %s', async (_what, outcome, taken) => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    rig.runner.answer = () => outcome;
    const seen: number[] = [];
    rig.store.fault = (method) => {
      if (method === 'settle') seen.push(rig.workforce.taken);
      return undefined;
    };
    await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    expect(seen).toEqual([taken]);
    expect(rig.workforce.taken).toBe(0);
    await rig.dispatcher.stop();
  });

  test('the claim for the next task leaves with the outcome of the one before', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    rig.runner.answer = completes;
    const unwritten: number[] = [];
    rig.store.fault = (method) => {
      if (method === 'claim') unwritten.push(states(rig).filter((state) => state === 'running').length);
      return undefined;
    };
    await submitted(rig, 'x@1', 2);
    rig.dispatcher.start();
    await turns(100);
    expect(unwritten.slice(0, 2)).toEqual([0, 1]);
    expect(states(rig)).toEqual(['completed', 'completed']);
    expect(rig.workforce.mostTaken).toBe(1);
    await rig.dispatcher.stop();
  });

  test('never holds more slots than there are, for agents that serve several queues', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    rig.workforce.add('b', ['y@1']);
    rig.workforce.add('ab', ['x@1', 'y@1']);
    await submitted(rig, 'x@1', 5);
    await submitted(rig, 'y@1', 5);
    rig.dispatcher.start();
    await turns();
    expect(rig.runner.open.size).toBe(3);
    for (const { agent, task } of rig.runner.runs) {
      expect(rig.workforce.agents.find(({ id }) => id === agent)?.queues).toContain(task.queue);
    }
    rig.runner.answer = completes;
    for (const run of [...rig.runner.open.values()]) run.end(completed());
    await turns(100);
    expect(states(rig)).toEqual(Array(10).fill('completed'));
    expect(rig.workforce.mostTaken).toBe(3);
    await rig.dispatcher.stop();
  });

  test('an agent of two queues serves both in turn', async () => {
    const rig = taskRig();
    rig.workforce.add('ab', ['x@1', 'y@1']);
    rig.runner.answer = completes;
    await submitted(rig, 'x@1', 40);
    await submitted(rig, 'y@1', 40);
    rig.dispatcher.start();
    await turns(60);
    const first = rig.runner.runs.slice(0, 8).map(({ task }) => task.queue);
    expect(new Set(first)).toEqual(new Set(['x@1', 'y@1']));
    await rig.dispatcher.stop();
  });

  test('asks the store nothing between polls when its queues are empty', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1', 'y@1'], 3);
    rig.dispatcher.start();
    await turns();
    const { claim } = rig.store.calls;
    await rig.ambient.clock.advanceAsync(POLL_MS * 0.8);
    await turns();
    expect(rig.store.calls.claim).toBe(claim);
    await rig.ambient.clock.advanceAsync(POLL_MS);
    await turns();
    expect(rig.store.calls.claim).toBeGreaterThan(claim);
    await rig.dispatcher.stop();
  });

  test('finds work by the poll when every hint was lost', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    rig.dispatcher.start();
    await turns();
    await submitted(rig, 'x@1');
    await turns();
    expect(rig.runner.runs).toHaveLength(0);
    await rig.ambient.clock.advanceAsync(POLL_MS * 1.2);
    await turns();
    expect(rig.runner.runs).toHaveLength(1);
    await rig.dispatcher.stop();
  });

  test('starts a hinted task without waiting for the poll', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    rig.dispatcher.start();
    await turns();
    await submitted(rig, 'x@1');
    rig.dispatcher.hint('x@1');
    await turns();
    expect(rig.runner.runs).toHaveLength(1);
    await rig.dispatcher.stop();
  });

  test('a hint that comes while a claim is under way is not forgotten', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1'], 4);
    rig.dispatcher.start();
    // the claim of the start has read its empty answer when the task comes
    rig.store.fault = (method) => {
      if (method === 'claim') queueMicrotask(() => rig.dispatcher.hint('x@1'));
      return undefined;
    };
    await turns(2);
    rig.store.fault = () => undefined;
    await submitted(rig, 'x@1');
    rig.dispatcher.hint('x@1');
    await turns();
    expect(rig.runner.runs).toHaveLength(1);
    await rig.dispatcher.stop();
  });

  test('backs off while the store is away and goes on by itself', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    await submitted(rig, 'x@1');
    rig.store.fault = (method) => (method === 'claim' ? 'before' : undefined);
    rig.dispatcher.start();
    await turns(200);
    expect(rig.store.calls.claim).toBe(1);
    rig.store.fault = () => undefined;
    await rig.ambient.clock.advanceAsync(200);
    await turns();
    expect(rig.runner.runs).toHaveLength(1);
    await rig.dispatcher.stop();
  });

  test('a claim whose answer was lost is found and its task runs', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    await submitted(rig, 'x@1');
    let lost = false;
    rig.store.fault = (method) => {
      if (method !== 'claim' || lost) return undefined;
      lost = true;
      return 'after';
    };
    rig.dispatcher.start();
    await turns();
    expect(states(rig)).toEqual(['running']);
    expect(rig.runner.runs).toHaveLength(0);
    expect(await rig.dispatcher.returnOrphans()).toBe(0);
    expect(await rig.dispatcher.returnOrphans()).toBe(1);
    await rig.ambient.clock.advanceAsync(POLL_MS);
    await turns();
    expect(rig.runner.runs).toHaveLength(1);
    expect(rig.runner.runs[0]?.task.attempt).toBe(1);
    await rig.dispatcher.stop();
  });
});

describe('outcomes', () => {
  test('a retry waits, then the next attempt runs', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    const [id] = await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    rig.runner.runs[0]?.end({ type: 'failed', error: { ...wireError('internal', 'no'), retryable: true }, runMs: 1 });
    await turns();
    expect(states(rig)).toEqual(['scheduled']);
    await rig.ambient.clock.advanceAsync(1_000);
    const { queues } = await rig.store.promote();
    for (const queue of queues) rig.dispatcher.hint(queue);
    await turns();
    expect(rig.runner.runs.map(({ task }) => task.attempt)).toEqual([1, 2]);
    rig.runner.runs[1]?.end(completed());
    await turns();
    expect(id && rig.store.row(id).state).toBe('completed');
    expect(rig.hints.map(({ type }) => type)).toContain('task-ended');
    await rig.dispatcher.stop();
  });

  test('a released attempt is not charged', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    const [id] = await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    rig.runner.runs[0]?.end({ type: 'released', reason: 'gone' });
    await turns();
    expect(id && rig.store.row(id).attempt).toBe(0);
    expect(rig.workforce.taken).toBe(0);
    await rig.dispatcher.stop();
  });

  test('an outcome is kept while the store is away and written when it is back', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    rig.store.fault = (method) => (method === 'settle' ? 'before' : undefined);
    rig.runner.runs[0]?.end(completed('kept'));
    await rig.ambient.clock.advanceAsync(30_000);
    expect(states(rig)).toEqual(['running']);
    expect(rig.dispatcher.running()).toMatchObject([{ phase: 'settling' }]);
    rig.store.fault = () => undefined;
    await rig.ambient.clock.advanceAsync(5_000);
    await turns();
    expect(states(rig)).toEqual(['completed']);
    expect(rig.runner.runs).toHaveLength(1);
    await rig.dispatcher.stop();
  });

  test('a commit whose answer was lost counts as committed, not as fenced', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    let lost = 0;
    rig.store.fault = (method) => (method === 'settle' && lost++ === 0 ? 'after' : undefined);
    rig.runner.runs[0]?.end(completed());
    await turns();
    await rig.ambient.clock.advanceAsync(1_000);
    await turns();
    expect(rig.dispatcher.counters()).toMatchObject({ committed: 1, fenced: 0 });
    expect(rig.hints.map(({ type }) => type)).toContain('task-ended');
    await rig.dispatcher.stop();
  });

  test('an outcome refused by the fence is dropped and its slot is free', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    const [id] = await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    rig.store.sweepNode(rig.node);
    rig.store.row(id as never).state = 'cancelled';
    rig.runner.runs[0]?.end(completed());
    await turns();
    expect(rig.dispatcher.counters()).toMatchObject({ committed: 0, fenced: 1 });
    expect(states(rig)).toEqual(['cancelled']);
    expect(rig.workforce.taken).toBe(0);
    await rig.dispatcher.stop();
  });

  test('a runner that rejects is a lost attempt', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    await submitted(rig, 'x@1');
    rig.runner.answer = () => Promise.reject(new Error('port closed'));
    rig.runner.runTask = () => Promise.reject(new Error('port closed'));
    rig.dispatcher.start();
    await turns();
    expect(states(rig)).toEqual(['scheduled']);
    await rig.dispatcher.stop();
  });

  test('no attempt runs longer than what is left of the deadline', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    const task = rig.newTask('x@1', { timeoutMs: 60_000 });
    const answer = await rig.store.submit(task, { claim: true });
    rig.dispatcher.start();
    if (answer.outcome === 'accepted' && answer.claimed) {
      rig.dispatcher.accept([{ ...answer.claimed, deadlineInMs: 700 }]);
    }
    await turns();
    expect(rig.runner.runs[0]?.task.timeoutMs).toBe(700);
    rig.runner.runs[0]?.end({ type: 'timed_out', runMs: 700 });
    await turns();
    expect(rig.store.row(task.id).error?.code).toBe('deadline_exceeded');
    await rig.dispatcher.stop();
  });
});

describe('ends', () => {
  test('a drain waits for what runs and claims nothing more', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    await submitted(rig, 'x@1', 2);
    rig.dispatcher.start();
    await turns();
    const drained = rig.dispatcher.drain(10_000);
    await turns();
    rig.runner.runs[0]?.end(completed());
    await turns();
    expect(await drained).toEqual([]);
    expect(states(rig)).toEqual(['completed', 'queued']);
    rig.dispatcher.start();
    await turns();
    expect(rig.runner.runs).toHaveLength(2);
    await rig.dispatcher.stop();
  });

  test('what outlives the drain is aborted and given back uncharged', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    const [id] = await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    const drained = rig.dispatcher.drain(2_000);
    await rig.ambient.clock.advanceAsync(2_000);
    await turns();
    expect(await drained).toEqual([id]);
    expect(rig.runner.runs[0]?.aborted).toBe(true);
    expect(rig.store.row(id as never)).toMatchObject({ state: 'queued', attempt: 0 });
    await rig.dispatcher.stop();
  });

  test('what a claim brings after the node began to drain goes back and never starts', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    const [id] = await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await Promise.resolve();
    expect(rig.store.calls.claim).toBe(1);
    await Promise.all([rig.dispatcher.drain(5_000), turns()]);
    expect(rig.runner.runs).toHaveLength(0);
    expect(rig.store.row(id as never)).toMatchObject({ state: 'queued', attempt: 0 });
    expect(rig.workforce.taken).toBe(0);
    await rig.dispatcher.stop();
  });

  test('a drain ends even when a handler ignores its abort', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    await submitted(rig, 'x@1');
    rig.runner.onAbort = undefined;
    rig.dispatcher.start();
    await turns();
    const drained = rig.dispatcher.drain(2_000);
    await rig.ambient.clock.advanceAsync(2_000);
    await rig.ambient.clock.advanceAsync(GRACE_MS + 1_000);
    expect(await drained).toHaveLength(1);
    const stopped = rig.dispatcher.stop();
    await rig.ambient.clock.advanceAsync(2_000);
    await stopped;
    expect(rig.ambient.clock.pending).toBe(0);
  });

  test('a doubtful lease starts nothing until it is back; a lost one aborts everything and writes nothing', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1'], 2);
    await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    rig.dispatcher.suspend();
    await submitted(rig, 'x@1');
    rig.dispatcher.hint('x@1');
    await rig.ambient.clock.advanceAsync(POLL_MS * 2);
    expect(rig.runner.runs).toHaveLength(1);
    rig.dispatcher.resume();
    await turns();
    expect(rig.runner.runs).toHaveLength(2);
    await rig.dispatcher.loseLease();
    expect(rig.runner.runs.every(({ aborted }) => aborted)).toBe(true);
    expect(rig.store.calls.settle).toBe(0);
    expect(states(rig)).toEqual(['running', 'running']);
    await rig.dispatcher.stop();
  });

  test('claims that another node took are aborted, and a cancel there hears how it went', async () => {
    const ambient = testAmbient();
    const table = new FakeTable();
    const rig = taskRig({ ambient, table });
    const other = taskRig({ ambient, table });
    rig.workforce.add('a', ['x@1']);
    const [id] = await submitted(rig, 'x@1');
    rig.dispatcher.start();
    await turns();
    await other.store.cancel(id as never, 'default');
    await rig.dispatcher.checkClaims();
    expect(rig.runner.runs[0]?.aborted).toBe(true);
    await turns();
    expect(rig.store.calls.settle).toBe(0);
    expect(rig.store.row(id as never).cancel).toMatchObject({ outcome: 'cooperative' });
    await rig.dispatcher.stop();
  });

  test('gives back what one agent runs', async () => {
    const rig = taskRig();
    rig.workforce.add('a', ['x@1']);
    rig.workforce.add('b', ['x@1']);
    await submitted(rig, 'x@1', 2);
    rig.dispatcher.start();
    await turns();
    const mine = rig.dispatcher.runningOn('a' as AgentId);
    expect(await rig.dispatcher.releaseAgent('a' as AgentId)).toEqual(mine);
    expect(mine).toHaveLength(1);
    await rig.dispatcher.stop();
  });
});
