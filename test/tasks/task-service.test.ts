import { describe, expect, test } from 'vitest';
import { testAmbient } from '../kit/ambient.ts';
import { FakeTable } from '../kit/fake-task-store.ts';
import {
  completed,
  completes,
  GRACE_MS,
  POLL_MS,
  type RigOptions,
  type TaskRig,
  taskRig,
  turns,
} from '../kit/task-rig.ts';

const X = [['text.count', 1]] as const;
function rigWith(options: RigOptions = {}): TaskRig {
  const rig = taskRig({ capabilities: [...X, ['text.summarise', 2]], ...options });
  rig.dispatcher.start();
  return rig;
}
async function end(rig: TaskRig) {
  rig.service.close();
  const stopped = rig.dispatcher.stop();
  await rig.ambient.clock.advanceAsync(5_000);
  await stopped;
}

describe('submitting', () => {
  test('takes the lease with the insert when a slot is free, and no claim is asked', async () => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    await turns();
    const { claim } = rig.store.calls;
    const task = await rig.service.submit({ capability: 'text.count', input: { a: 1 } });
    await turns();
    expect(rig.runner.runs[0]?.task.taskId).toBe(task.id);
    rig.runner.runs[0]?.end(completed());
    await turns();
    expect(rig.store.calls.claim).toBe(claim);
    expect((await rig.service.get(task.id)).status).toBe('completed');
    await end(rig);
  });

  test('queues when no slot is free and starts when one is', async () => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    await turns();
    const first = await rig.service.submit({ capability: 'text.count' });
    const second = await rig.service.submit({ capability: 'text.count' });
    expect([first.status, second.status]).toEqual(['running', 'queued']);
    rig.runner.answer = completes;
    rig.runner.runs[0]?.end(completed());
    await turns(30);
    expect((await rig.service.get(second.id)).status).toBe('completed');
    await end(rig);
  });

  test.each([
    ['an unknown field', { capability: 'text.count', tenant: 'x' }, 'tenant'],
    ['attempts beyond the limit', { capability: 'text.count', retry: { maxAttempts: 1_000 } }, 'retry.maxAttempts'],
    ['a timeout that is no number', { capability: 'text.count', timeoutMs: Number.NaN }, 'timeoutMs'],
    ['runAt and delayMs together', { capability: 'text.count', runAt: '2026-02-01T00:00:00Z', delayMs: 1 }, 'delayMs'],
    ['a time beyond ten years', { capability: 'text.count', runAt: '2099-01-01T00:00:00Z' }, 'runAt'],
    ['U+0000 in the input', { capability: 'text.count', input: { a: ['\u0000'] } }, 'input.a.0'],
    ['half a surrogate pair', { capability: 'text.count', input: '\ud800' }, 'input'],
    ['an infinite number', { capability: 'text.count', input: [1, Number.POSITIVE_INFINITY] }, 'input.1'],
    ['a function', { capability: 'text.count', input: { f: () => 1 } }, 'input.f'],
    ['a map', { capability: 'text.count', input: { m: new Map() } }, 'input.m'],
  ])('refuses %s and names the place', async (_name, submit, path) => {
    const rig = rigWith();
    await expect(rig.service.submit(submit as never)).rejects.toMatchObject({
      code: 'invalid_input',
      details: { issues: [expect.objectContaining({ path })] },
    });
    await end(rig);
  });

  test('refuses an input that refers to itself', async () => {
    const rig = rigWith();
    const loop: Record<string, unknown> = {};
    loop.self = loop;
    await expect(rig.service.submit({ capability: 'text.count', input: loop })).rejects.toMatchObject({
      code: 'invalid_input',
    });
    await end(rig);
  });

  test('an unknown capability names near ones', async () => {
    const rig = rigWith();
    await expect(rig.service.submit({ capability: 'text.coumt' })).rejects.toMatchObject({
      code: 'unknown_capability',
      details: { near: ['text.count'] },
    });
    await end(rig);
  });

  test('pins the highest version that a live agent offers, else the one that is defined, or the one asked for', async () => {
    const rig = rigWith({ capabilities: [1, 2, 3].map((version) => ['text.count', version] as const) });
    const pinned = async (capability: string) =>
      rig.store.row((await rig.service.submit({ capability })).id).task.queue;
    expect(await pinned('text.count')).toBe('text.count@3');
    rig.workforce.add('a', ['text.count@1', 'text.count@2']);
    expect(await pinned('text.count')).toBe('text.count@2');
    expect(await pinned('text.count@9')).toBe('text.count@9');
    await end(rig);
  });

  test('refuses beyond the limit of open tasks, and accepts again when some have ended', async () => {
    const rig = rigWith({ queueLimit: 2 });
    rig.workforce.add('a', ['text.count@1']);
    await rig.service.submit({ capability: 'text.count' });
    await rig.service.submit({ capability: 'text.count' });
    await expect(rig.service.submit({ capability: 'text.count' })).rejects.toMatchObject({
      code: 'queue_full',
      details: { limit: 2, open: 2, retryAfterMs: POLL_MS },
    });
    rig.runner.runs[0]?.end(completed());
    await turns();
    expect((await rig.service.submit({ capability: 'text.count' })).status).toBe('queued');
    await end(rig);
  });

  test('a refused submit does not count as open', async () => {
    const rig = rigWith({ queueLimit: 1 });
    for (let i = 0; i < 3; i++) await expect(rig.service.submit({ capability: 'no.such' })).rejects.toThrow();
    await expect(rig.service.submit({ capability: 'text.count' })).resolves.toMatchObject({ status: 'queued' });
    await end(rig);
  });

  test('the same key and body give the same task, another body a mismatch', async () => {
    const rig = rigWith();
    const call = { tenant: 'default', idempotencyKey: 'k' };
    const first = await rig.service.submit({ capability: 'text.count', input: { a: 1, b: 2 } }, call);
    const again = await rig.service.submit({ capability: 'text.count', input: { b: 2, a: 1 } }, call);
    expect(again.id).toBe(first.id);
    await expect(rig.service.submit({ capability: 'text.count', input: 2 }, call)).rejects.toMatchObject({
      code: 'idempotency_mismatch',
    });
    await end(rig);
  });

  test('a batch answers item by item', async () => {
    const rig = rigWith();
    const answers = await rig.service.submitMany(
      [{ capability: 'text.count' }, { capability: 'no.such' }, { capability: 'text.summarise' }],
      { tenant: 'default', idempotencyKey: 'batch' },
    );
    expect(answers.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(answers[1]).toMatchObject({ error: { code: 'unknown_capability' } });
    expect(rig.store.table.rows.size).toBe(2);
    await end(rig);
  });

  test('is refused while the node drains', async () => {
    const rig = rigWith();
    await rig.dispatcher.drain(0);
    await expect(rig.service.submit({ capability: 'text.count' })).rejects.toMatchObject({ code: 'draining' });
    await end(rig);
  });

  test('an insert whose answer was lost is found and its task runs', async () => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    await turns();
    rig.store.fault = (method) => (method === 'submit' ? 'after' : undefined);
    await expect(rig.service.submit({ capability: 'text.count' })).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(rig.workforce.taken).toBe(0);
    await rig.dispatcher.returnOrphans();
    await rig.dispatcher.returnOrphans();
    await turns();
    expect(rig.runner.runs).toHaveLength(1);
    await end(rig);
  });
});

describe('reading', () => {
  test.each([
    ['no agent offers the capability', [], 'no_agent_offers_capability'],
    ['all agents are busy', ['text.count@1'], 'all_agents_busy'],
  ])('says that %s', async (_name, queues, expected) => {
    const rig = rigWith();
    if (queues.length > 0) {
      rig.workforce.add('a', queues);
      await rig.service.submit({ capability: 'text.count@1' });
    }
    const task = await rig.service.submit({ capability: 'text.count@1' });
    expect(await rig.service.get(task.id)).toMatchObject({ waitingFor: expected, attempts: [] });
    await end(rig);
  });

  test.each(['nonsense', 'tsk_01h455vb4pex5vsknk084sn02q'])('an unknown id is not found: %s', async (id) => {
    const rig = rigWith();
    await expect(rig.service.get(id)).rejects.toMatchObject({ code: 'task_not_found' });
    await expect(rig.service.cancel(id)).rejects.toMatchObject({ code: 'task_not_found' });
    await expect(rig.service.wait(id, { timeoutMs: 1 })).rejects.toMatchObject({ code: 'task_not_found' });
    await end(rig);
  });

  test('a task of another tenant is not found', async () => {
    const rig = rigWith();
    const { id } = await rig.service.submit({ capability: 'text.count' });
    await expect(rig.service.get(id, { tenant: 'other' })).rejects.toMatchObject({ code: 'task_not_found' });
    await expect(rig.service.cancel(id, {}, { tenant: 'other' })).rejects.toMatchObject({ code: 'task_not_found' });
    await end(rig);
  });
});

describe('waiting', () => {
  test('wakes at the end of the task', async () => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    const { id } = await rig.service.submit({ capability: 'text.count' });
    const waiting = rig.service.wait(id, { timeoutMs: 60_000 });
    await turns();
    rig.runner.runs[0]?.end(completed(7));
    expect(await waiting).toMatchObject({ status: 'completed', result: 7 });
    await end(rig);
  });

  test('answers the task as it is when the time is over', async () => {
    const rig = rigWith();
    const { id } = await rig.service.submit({ capability: 'text.count' });
    const waiting = rig.service.wait(id, { timeoutMs: 2_500 });
    for (let i = 0; i < 6; i++) {
      await turns();
      await rig.ambient.clock.advanceAsync(500);
    }
    expect(await waiting).toMatchObject({ status: 'queued' });
    await end(rig);
  });

  test('finds an end on another node by the slow poll when its hint is lost', async () => {
    const rig = rigWith();
    const { id } = await rig.service.submit({ capability: 'text.count' });
    const waiting = rig.service.wait(id, { timeoutMs: 60_000 });
    await turns();
    rig.store.row(id).state = 'completed';
    await rig.ambient.clock.advanceAsync(POLL_MS);
    await turns();
    expect(await waiting).toMatchObject({ status: 'completed' });
    await end(rig);
  });

  test('ends when its signal aborts and when the service closes', async () => {
    const rig = rigWith();
    const { id } = await rig.service.submit({ capability: 'text.count' });
    const caller = new AbortController();
    const aborted = rig.service.wait(id, { timeoutMs: 60_000, signal: caller.signal });
    const closed = rig.service.wait(id, { timeoutMs: 60_000 });
    await turns();
    caller.abort(new Error('gone'));
    await expect(aborted).rejects.toThrow('gone');
    rig.service.close();
    expect(await closed).toMatchObject({ status: 'queued' });
    await end(rig);
    expect(rig.ambient.clock.pending).toBe(0);
  });
});

describe('cancelling', () => {
  test('before the start', async () => {
    const rig = rigWith();
    const { id } = await rig.service.submit({ capability: 'text.count' });
    const report = await rig.service.cancel(id);
    expect(report).toEqual({ id, outcome: 'before_start', afterMs: 0, collateral: [] });
    expect(await rig.service.cancel(id)).toEqual(report);
    await end(rig);
  });

  test.each(['cooperative', 'abandoned', 'killed'] as const)('while it runs: %s', async (how) => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    rig.runner.onAbort = how;
    const { id } = await rig.service.submit({ capability: 'text.count' });
    expect(await rig.service.cancel(id)).toMatchObject({ outcome: how });
    await turns();
    expect(rig.store.calls.settle).toBe(0);
    expect(rig.workforce.taken).toBe(0);
    await end(rig);
  });

  test('is pending after the grace and a second', async () => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    rig.runner.onAbort = undefined;
    const { id } = await rig.service.submit({ capability: 'text.count' });
    const cancelling = rig.service.cancel(id);
    await turns();
    await rig.ambient.clock.advanceAsync(GRACE_MS + 1_000);
    expect(await cancelling).toMatchObject({ outcome: 'pending', afterMs: GRACE_MS + 1_000 });
    await end(rig);
  });

  test('of an ended task is refused', async () => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    rig.runner.answer = completes;
    const { id } = await rig.service.submit({ capability: 'text.count' });
    await turns();
    await expect(rig.service.cancel(id)).rejects.toMatchObject({
      code: 'task_terminal',
      details: { status: 'completed' },
    });
    await end(rig);
  });

  test('of a task on another node tells that node and answers how it went there', async () => {
    const ambient = testAmbient();
    const table = new FakeTable();
    const there = rigWith({ ambient, table });
    const here = rigWith({ ambient, table });
    there.workforce.add('a', ['text.count@1']);
    const { id } = await there.service.submit({ capability: 'text.count' });
    const cancelling = here.service.cancel(id);
    await turns();
    // no bus between the two: the other node finds out by itself
    await there.dispatcher.checkClaims();
    await ambient.clock.advanceAsync(200);
    await turns();
    expect(await cancelling).toMatchObject({ outcome: 'cooperative' });
    expect(there.runner.runs[0]?.aborted).toBe(true);
    await end(here);
    await end(there);
  });

  test('twice at the same time gives one answer', async () => {
    const rig = rigWith();
    rig.workforce.add('a', ['text.count@1']);
    const { id } = await rig.service.submit({ capability: 'text.count' });
    const [one, two] = await Promise.all([rig.service.cancel(id), rig.service.cancel(id)]);
    expect(one).toEqual(two);
    expect(rig.store.calls.cancel).toBe(1);
    await end(rig);
  });
});

describe('redriving', () => {
  test('a dead task runs again at once, with its attempts counted anew', async () => {
    const rig = rigWith();
    const { id } = await rig.service.submit({ capability: 'text.count' });
    Object.assign(rig.store.row(id), { state: 'dead', attempt: 3 });
    rig.workforce.add('a', ['text.count@1']);
    await turns();
    expect(rig.runner.runs).toHaveLength(0);
    await rig.service.redrive(id);
    await turns();
    expect(rig.runner.runs.map(({ task }) => [task.taskId, task.attempt])).toEqual([[id, 1]]);
    rig.runner.runs[0]?.end(completed());
    await turns();
    expect((await rig.service.get(id)).status).toBe('completed');
    await end(rig);
  });

  test.each(['queued', 'running', 'completed', 'failed', 'cancelled', 'timed_out'] as const)(
    'a task that is %s is refused, and says what it is',
    async (state) => {
      const rig = rigWith();
      const { id } = await rig.service.submit({ capability: 'text.count' });
      rig.store.row(id).state = state;
      await expect(rig.service.redrive(id)).rejects.toMatchObject({
        code: 'illegal_transition',
        details: { from: state, event: 'redrive' },
      });
      await end(rig);
    },
  );

  test('a task of another tenant is not found', async () => {
    const rig = rigWith();
    const { id } = await rig.service.submit({ capability: 'text.count' });
    rig.store.row(id).state = 'dead';
    await expect(rig.service.redrive(id, { tenant: 'other' })).rejects.toMatchObject({ code: 'task_not_found' });
    await end(rig);
  });
});
