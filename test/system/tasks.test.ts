// Tasks over the real store, on the embedded database and on PostgreSQL: routing, order, races, retries, time limits, lost answers.

import { afterEach, describe, expect, test } from 'vitest';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { AgentId, TaskId } from '../../runtime/contracts/ids.ts';
import type { TaskStore } from '../../runtime/contracts/store.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase } from '../kit/services.ts';
import { done, startTaskNode, type TaskNode, type TaskNodeOptions, untilAborted } from '../kit/task-node.ts';

const nodes: TaskNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

const A = 'work.a';
const B = 'work.b';

describe.each(['pglite', 'postgres'])('tasks on %s', (kind) => {
  async function start(options: Omit<TaskNodeOptions, 'databaseUrl'>): Promise<TaskNode> {
    const databaseUrl = kind === 'postgres' ? await freshDatabase() : undefined;
    const node = await startTaskNode({ capabilities: [A, B], ...options, ...(databaseUrl ? { databaseUrl } : {}) });
    nodes.push(node);
    return node;
  }
  const waitFor = (node: TaskNode, id: string) => node.service.wait(id, { timeoutMs: 60_000 });
  /** A slot is free once its handler is done; the outcome may still be on its way. */
  const settled = (node: TaskNode) => node.workforce.usage().taken === 0 && node.dispatcher.running().length === 0;

  test('1,000 tasks over agents A, B and AB: none goes astray and each ends once', async () => {
    const starts = new Map<string, number>();
    const ranOn = new Map<AgentId, Set<string>>();
    const node = await start({
      handler: ({ agent, task }) => {
        starts.set(task.taskId, (starts.get(task.taskId) ?? 0) + 1);
        ranOn.set(agent, (ranOn.get(agent) ?? new Set()).add(task.capability));
        return done(task.input);
      },
    });
    const agents = { a: node.agent([A], 4), b: node.agent([B], 4), ab: node.agent([A, B], 4) };
    const submits = Array.from({ length: 1_000 }, (_, n) => ({ capability: n % 2 ? A : B, input: { n } }));
    const answers = await node.service.submitMany(submits);
    const ids = answers.map((answer) => (answer.ok ? answer.task.id : expect.unreachable()));
    const ended = await Promise.all(ids.map((id) => waitFor(node, id)));
    expect(ended.map(({ status }) => status)).toEqual(Array(1_000).fill('completed'));
    expect(ended.map(({ result }) => result)).toEqual(submits.map(({ input }) => input));
    expect([...starts.values()]).toEqual(Array(1_000).fill(1));
    expect(ranOn.get(agents.a)).toEqual(new Set([A]));
    expect(ranOn.get(agents.b)).toEqual(new Set([B]));
    expect(ranOn.get(agents.ab)).toEqual(new Set([A, B]));
    expect((await node.store.tasks.counts()).byState).toMatchObject({ completed: 1_000, queued: 0, running: 0 });
    await eventually(() => settled(node), 'all slots are free and all outcomes written');
  });

  test('higher priorities start first, equal ones in the order of their arrival', async () => {
    const order: unknown[] = [];
    const node = await start({
      handler: ({ task }) => {
        order.push(task.input);
        return done();
      },
    });
    const wishes = [5, 0, 9, 5, 9, 1];
    const ids: TaskId[] = [];
    for (const [at, priority] of wishes.entries()) {
      ids.push((await node.service.submit({ capability: A, priority, input: `${priority}/${at}` })).id);
    }
    node.agent([A]);
    await Promise.all(ids.map((id) => waitFor(node, id)));
    expect(order).toEqual(['9/2', '9/4', '5/0', '5/3', '1/5', '0/1']);
  });

  test('when a cancel races the end 500 times, exactly one wins each time', async () => {
    const ends = new Map<string, () => void>();
    const node = await start({
      handler: ({ task, signal }) =>
        new Promise((resolve) => {
          ends.set(task.taskId, () => resolve(done()));
          signal.addEventListener('abort', () => resolve({ type: 'cancelled', runMs: 1 }), { once: true });
        }),
    });
    node.agent([A], 500);
    const answers = await node.service.submitMany(Array.from({ length: 500 }, () => ({ capability: A })));
    const ids = answers.map((answer) => (answer.ok ? answer.task.id : expect.unreachable()));
    await eventually(() => ends.size === 500, 'all 500 run');
    const outcomes = await Promise.all(
      ids.map(async (id, at) => {
        const finish = () => ends.get(id)?.();
        if (at % 2) {
          finish();
          // from no head start for the end to a long one
          for (let turn = 0; turn < at % 50; turn++) await new Promise((resolve) => setImmediate(resolve));
        }
        const cancel = node.service.cancel(id).then(
          () => 'cancelled',
          (error: RuntimeError) => (error.code === 'task_terminal' ? String(error.details.status) : error.code),
        );
        if (at % 2 === 0) finish();
        return cancel;
      }),
    );
    const states = (await Promise.all(ids.map((id) => waitFor(node, id)))).map(({ status }) => status);
    expect(states).toEqual(outcomes);
    const attempts = await Promise.all(ids.map((id) => node.store.tasks.attempts(id)));
    expect(attempts.map((rows) => rows.map(({ outcome }) => outcome))).toEqual(states.map((state) => [state]));
    const events = await Promise.all(ids.map((id) => node.store.events.read(id, 'default', 0, 10)));
    expect(events.map((stream) => stream.map(({ type }) => type))).toEqual(
      states.map((state) => ['task.accepted', `task.${state}`]),
    );
    expect(new Set(states)).toEqual(new Set(['completed', 'cancelled']));
    await eventually(() => settled(node), 'all slots are free and all outcomes written');
  });

  test('50 parallel submits of one key make one task', async () => {
    let starts = 0;
    const node = await start({
      handler: () => {
        starts += 1;
        return done();
      },
    });
    node.agent([A], 50);
    const call = { tenant: 'default', idempotencyKey: 'once' };
    const tasks = await Promise.all(
      Array.from({ length: 50 }, () => node.service.submit({ capability: A, input: 1 }, call)),
    );
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(1);
    await waitFor(node, tasks[0]?.id ?? '');
    expect(starts).toBe(1);
    await eventually(() => settled(node), 'all slots are free and all outcomes written');
    await expect(node.service.submit({ capability: A, input: 2 }, call)).rejects.toMatchObject({
      code: 'idempotency_mismatch',
    });
  });

  test('attempts keep their distance and the last failure is kept', async () => {
    const node = await start({
      handler: ({ task }) => ({
        type: 'failed',
        error: { code: 'flaky', message: `attempt ${task.attempt}`, retryable: true },
        runMs: 1,
      }),
    });
    node.agent([A]);
    const { id } = await node.service.submit({
      capability: A,
      retry: { maxAttempts: 3, backoffMs: 100, jitter: 'none' },
    });
    const ended = await waitFor(node, id);
    expect(ended).toMatchObject({
      status: 'dead',
      error: { code: 'attempts_exhausted', details: { cause: { code: 'flaky', message: 'attempt 3' } } },
    });
    const attempts = (await node.service.get(id)).attempts ?? [];
    expect(attempts.map(({ attempt, outcome }) => [attempt, outcome])).toEqual([
      [1, 'failed'],
      [2, 'failed'],
      [3, 'failed'],
    ]);
    const gaps = attempts
      .slice(1)
      .map((row, at) => Date.parse(row.startedAt) - Date.parse(attempts[at]?.endedAt ?? ''));
    expect(gaps[0]).toBeGreaterThanOrEqual(99);
    expect(gaps[1]).toBeGreaterThanOrEqual(199);
  });

  test('a task that no agent takes in time ends as timed out, one that runs over its deadline is aborted', async () => {
    let aborted = false;
    const node = await start({
      handler: async ({ signal }) => {
        const outcome = await untilAborted(signal);
        aborted = true;
        return outcome;
      },
    });
    const waiting = await node.service.submit({ capability: A });
    expect(await node.service.get(waiting.id)).toMatchObject({ waitingFor: 'no_agent_offers_capability' });
    const unserved = await node.service.submit({ capability: A, queueTimeoutMs: 50 });
    expect(await waitFor(node, unserved.id)).toMatchObject({ status: 'timed_out', error: { code: 'queue_timeout' } });
    node.agent([B]);
    await eventually(() => node.workforce.usage().taken === 0, 'the first look is over and the slot is free');
    const late = await node.service.submit({ capability: B, deadlineMs: 3_000 });
    await eventually(() => node.dispatcher.running().length === 1, 'it runs');
    expect(await waitFor(node, late.id)).toMatchObject({ status: 'timed_out', error: { code: 'deadline_exceeded' } });
    await eventually(
      () => aborted && node.workforce.usage().taken === 0,
      'the handler was aborted and its slot is free',
    );
  });

  test('delayed tasks start when their time has come, not with the poll', async () => {
    const node = await start({ handler: () => done(), pollMs: 60_000 });
    node.agent([A]);
    const task = await node.service.submit({ capability: A, delayMs: 150 });
    expect(task.status).toBe('scheduled');
    const ended = await waitFor(node, task.id);
    expect(ended.status).toBe('completed');
    expect(Date.parse(ended.timings.startedAt ?? '') - Date.parse(ended.timings.submittedAt)).toBeGreaterThanOrEqual(
      149,
    );
  });

  test('a settlement whose answer is lost is committed once', async () => {
    const lost = new Set<string>();
    const node = await start({
      handler: () => done('kept'),
      wrap: (store) => losing(store, 'settle', lost),
    });
    node.agent([A], 4);
    const answers = await node.service.submitMany(Array.from({ length: 20 }, () => ({ capability: A })));
    const ids = answers.map((answer) => (answer.ok ? answer.task.id : expect.unreachable()));
    const ended = await Promise.all(ids.map((id) => waitFor(node, id)));
    expect(ended.map(({ status, attempt }) => [status, attempt])).toEqual(Array(20).fill(['completed', 1]));
    await eventually(() => settled(node), 'all slots are free and all outcomes written');
    expect(lost.size).toBe(20);
    expect(node.dispatcher.counters()).toMatchObject({ started: 20, committed: 20, fenced: 0 });
  });

  test('claims and inserts whose answers are lost are found: their tasks run once, uncharged', async () => {
    const starts: string[] = [];
    const lost = { claim: 0, submit: 0 };
    const node = await start({
      handler: ({ task }) => {
        starts.push(task.taskId);
        return done();
      },
      wrap: (store) => ({
        ...store,
        async claim(asks) {
          const claimed = await store.claim(asks);
          if (claimed.length === 0 || lost.claim++ > 0) return claimed;
          throw new RuntimeError('store_unavailable', 'the connection died');
        },
        async submit(task, options) {
          const answer = await store.submit(task, options);
          if (!options?.claim || answer.outcome !== 'accepted' || !answer.claimed || lost.submit++ > 0) return answer;
          throw new RuntimeError('store_unavailable', 'the connection died');
        },
      }),
    });
    const waiting = await node.service.submit({ capability: A });
    node.agent([A], 2);
    expect(await waitFor(node, waiting.id)).toMatchObject({ status: 'completed', attempt: 1 });
    await eventually(() => node.workforce.usage().taken === 0, 'a slot is free for the insert');
    await eventually(async () => {
      await node.service.submit({ capability: A }).catch(() => {});
      return lost.submit > 0;
    }, 'an insert took its lease and lost its answer');
    const again = await node.service.submit({ capability: A });
    expect(await waitFor(node, again.id)).toMatchObject({ status: 'completed' });
    await eventually(async () => {
      const { byState } = await node.store.tasks.counts();
      return byState.running + byState.queued + byState.scheduled === 0;
    }, 'nothing is left behind');
    expect(new Set(starts).size).toBe(starts.length);
  });

  test('a result that the store cannot hold fails its task and harms no other', async () => {
    const node = await start({ handler: ({ task }) => done(task.input === 'bad' ? 'a\u0000b' : 'fine') });
    node.agent([A], 8);
    const inputs = ['ok', 'bad', 'ok', 'ok', 'bad', 'ok'];
    const answers = await node.service.submitMany(inputs.map((input) => ({ capability: A, input })));
    const ids = answers.map((answer) => (answer.ok ? answer.task.id : expect.unreachable()));
    const ended = await Promise.all(ids.map((id) => waitFor(node, id)));
    expect(ended.map(({ status }) => status)).toEqual(
      inputs.map((input) => (input === 'bad' ? 'failed' : 'completed')),
    );
    expect(ended[1]?.error?.code).toBe('invalid_output');
  });

  test('claims nothing while idle and every queue is known to be empty', async () => {
    let claims = 0;
    const node = await start({
      handler: () => done(),
      pollMs: 60_000,
      wrap: (store) => ({
        ...store,
        claim: (asks) => {
          claims += 1;
          return store.claim(asks);
        },
      }),
    });
    node.agent([A], 4);
    await eventually(() => claims === 1 && node.workforce.usage().taken === 0, 'the first look is over');
    for (let n = 0; n < 50; n++) await waitFor(node, (await node.service.submit({ capability: A })).id);
    expect(claims).toBe(1);
  });
});

/** The first call for each task commits and then seems to have failed. */
function losing(store: TaskStore, method: 'settle', lost: Set<string>): TaskStore {
  return {
    ...store,
    [method]: async (settle: Parameters<TaskStore['settle']>[0]) => {
      const answer = await store.settle(settle);
      const key = `${settle.taskId}/${settle.fence}`;
      if (lost.has(key)) return answer;
      lost.add(key);
      throw new RuntimeError('store_unavailable', 'the connection died');
    },
  };
}
