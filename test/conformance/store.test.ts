// One suite for every database the store runs on: what is promised of tasks, agents, workflows and leases, with two nodes and with
// several operations in one flush.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { type NodeId, toUuid } from '../../runtime/contracts/ids.ts';
import type { Advance, NewAgentRow, NewTask, Store } from '../../runtime/contracts/store.ts';
import type { ClaimedTask } from '../../runtime/contracts/task.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { BACKENDS, newId, newTask, openNode, settling, unique } from '../kit/store.ts';

const boom = { code: 'boom', message: 'it broke', retryable: true };

describe.each(BACKENDS)('the store on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  const open: Store[] = [];

  beforeAll(async () => {
    ({ db, close } = await backend.open());
  });
  afterAll(() => close());
  afterEach(async () => {
    for (const store of open.splice(0)) await store.leases.release();
    await db.script(`DELETE FROM node; UPDATE task SET state = 'cancelled', owner_node = NULL, ended_at = clock_timestamp()
      WHERE state IN ('queued', 'scheduled', 'running'); DELETE FROM workflow_timer; UPDATE workflow SET status = 'failed', ended_at = clock_timestamp(), owner_node = NULL
      WHERE ended_at IS NULL; UPDATE agent SET desired = 'terminated', owner_node = NULL`);
  });

  async function node(options: Parameters<typeof openNode>[1] = {}): Promise<Store> {
    const store = await openNode(db, options);
    open.push(store);
    return store;
  }
  /** Ends a node's lease without telling it, as a long pause would. */
  const expire = (id: NodeId) =>
    db.query(
      sql(
        'test_expire',
        `UPDATE node SET lease_until = clock_timestamp() - interval '1 hour', lease_ms = 1 WHERE id = $1`,
        toUuid(id),
      ),
    );
  /** Moves a task's times into the past, so that what waits is due. */
  const age = (task: NewTask) =>
    db.query(
      sql(
        'test_age',
        `UPDATE task SET run_at = run_at - interval '1 hour', queue_until = queue_until - interval '1 hour',
         deadline_at = deadline_at - interval '1 hour' WHERE id = $1`,
        toUuid(task.id),
      ),
    );
  async function claimOne(store: Store, queue: string): Promise<ClaimedTask> {
    const [claim] = await store.tasks.claim([{ queue, slots: 1 }]);
    if (!claim) throw new Error(`nothing to claim in ${queue}`);
    return claim;
  }

  describe('accepting tasks', () => {
    test('an accepted task can be read and has its first event', async () => {
      const store = await node();
      const task = newTask({ queue: unique('q') });
      const accepted = await store.tasks.submit(task);
      expect(accepted).toMatchObject({ outcome: 'accepted', task: { id: task.id, status: 'queued', attempt: 0 } });
      const stored = await store.events.read(task.id, 'acme', 0, 10);
      expect(stored).toMatchObject([{ seq: 1, type: 'task.accepted', stream: task.id }]);
      expect('events' in accepted ? accepted.events : []).toEqual(stored);
      const { now: _, ...view } = { now: 0, ...(await store.tasks.get(task.id, 'acme')) };
      expect('task' in accepted ? accepted.task : null).toEqual(view);
    });

    test('another tenant neither sees nor cancels it', async () => {
      const store = await node();
      const task = newTask({ queue: unique('q') });
      await store.tasks.submit(task);
      expect(await store.tasks.get(task.id, 'other')).toBeNull();
      expect(await store.tasks.cancel(task.id, 'other')).toEqual({ outcome: 'not_found' });
      expect(await store.events.read(task.id, 'other', 0, 10)).toEqual([]);
      expect((await store.tasks.list({ tenant: 'other', limit: 10 })).items).toEqual([]);
    });

    test('the same idempotency key gives the task of the first time, with another body a mismatch', async () => {
      const store = await node();
      const queue = unique('q');
      const key = unique('key');
      const task = () => newTask({ queue, idempotency: { key, bodyHash: 'a' } });
      const first = task();
      const results = await Promise.all([
        store.tasks.submit(first),
        store.tasks.submit(task()),
        store.tasks.submit(newTask({ queue, idempotency: { key, bodyHash: 'b' } })),
        store.tasks.submit(newTask({ queue, tenant: 'other', idempotency: { key, bodyHash: 'b' } })),
      ]);
      expect(results.map(({ outcome }) => outcome)).toEqual(['accepted', 'duplicate', 'mismatch', 'accepted']);
      expect(await store.tasks.submit(task())).toMatchObject({ outcome: 'duplicate', task: { id: first.id } });
    });

    test('a dedupe key holds while its task is open', async () => {
      const store = await node();
      const queue = unique('q');
      const dedupeKey = unique('dedupe');
      const first = newTask({ queue, dedupeKey });
      expect((await store.tasks.submit(first)).outcome).toBe('accepted');
      expect(await store.tasks.submit(newTask({ queue, dedupeKey }))).toMatchObject({
        outcome: 'duplicate',
        task: { id: first.id },
      });
      await store.tasks.settle(settling(await claimOne(store, queue)));
      expect((await store.tasks.submit(newTask({ queue, dedupeKey }))).outcome).toBe('accepted');
    });

    test('an idempotency key taken by a refused duplicate stands for the task that held it back', async () => {
      const store = await node();
      const queue = unique('q');
      const dedupeKey = unique('dedupe');
      const idempotency = { key: unique('key'), bodyHash: 'a' };
      const first = newTask({ queue, dedupeKey });
      await store.tasks.submit(first);
      for (let round = 0; round < 2; round++)
        expect(await store.tasks.submit(newTask({ queue, dedupeKey, idempotency }))).toMatchObject({
          outcome: 'duplicate',
          task: { id: first.id },
        });
    });

    test.each([
      ['a NUL character', { text: 'a\u0000b' }],
      ['half a surrogate pair', { text: '\ud800' }],
    ])('%s fails only its own caller, whatever shares the flush', async (_name, input) => {
      const store = await node();
      const queue = unique('q');
      const tasks = Array.from({ length: 9 }, (_, at) => newTask({ queue, ...(at === 4 ? { input } : {}) }));
      const settled = await Promise.allSettled(tasks.map((task) => store.tasks.submit(task)));
      expect(settled.map(({ status }) => status)).toEqual(tasks.map((_, at) => (at === 4 ? 'rejected' : 'fulfilled')));
      expect(settled[4]).toMatchObject({ reason: { code: 'invalid_input' } });
      expect(await store.tasks.claim([{ queue, slots: 20 }])).toHaveLength(8);
    });
  });

  describe('claims', () => {
    test('oldest rank first: a step of priority is worth 30 s of waiting', async () => {
      const store = await node();
      const queue = unique('q');
      const [low, middle, high] = [0, 5, 9].map((priority) => newTask({ queue, priority }));
      for (const task of [low, middle, high]) if (task) await store.tasks.submit(task);
      const order = [];
      for (let at = 0; at < 3; at++) order.push((await claimOne(store, queue)).taskId);
      expect(order).toEqual([high?.id, middle?.id, low?.id]);
    });

    test('equal priorities leave in the order of arrival, also within one flush', async () => {
      const store = await node();
      const queue = unique('q');
      const tasks = Array.from({ length: 20 }, () => newTask({ queue }));
      await Promise.all(tasks.map((task) => store.tasks.submit(task)));
      const order = [];
      for (let at = 0; at < 20; at++) order.push((await claimOne(store, queue)).taskId);
      expect(order).toEqual(tasks.map(({ id }) => id));
    });

    test('takes at most the slots of each queue', async () => {
      const store = await node();
      const [a, b] = [unique('q'), unique('q')];
      await Promise.all([a, a, a, b, b, b].map((queue) => store.tasks.submit(newTask({ queue }))));
      const claims = await store.tasks.claim([
        { queue: a, slots: 2 },
        { queue: b, slots: 1 },
        { queue: unique('empty'), slots: 5 },
      ]);
      expect(claims.map(({ queue }) => queue).sort()).toEqual([a, a, b].sort());
      expect(claims.every(({ fence, attempt }) => fence === 1 && attempt === 1)).toBe(true);
    });

    test('two nodes never get the same task', async () => {
      const [one, two] = [await node(), await node()];
      const queue = unique('q');
      const tasks = Array.from({ length: 120 }, () => newTask({ queue }));
      await Promise.all(tasks.map((task) => one.tasks.submit(task)));
      const got: string[] = [];
      const drain = async (store: Store) => {
        for (;;) {
          const claims = await store.tasks.claim([{ queue, slots: 7 }]);
          if (claims.length === 0) return;
          got.push(...claims.map(({ taskId }) => taskId));
        }
      };
      await Promise.all([drain(one), drain(two), drain(one), drain(two)]);
      expect(got.sort()).toEqual(tasks.map(({ id }) => id).sort());
    });

    test('a node whose lease has run out, or that drains, gets nothing', async () => {
      const [late, draining] = [await node(), await node()];
      const queue = unique('q');
      await late.tasks.submit(newTask({ queue }));
      await expire(late.node);
      await draining.leases.setDraining(true);
      expect(await late.tasks.claim([{ queue, slots: 1 }])).toEqual([]);
      expect(await draining.tasks.claim([{ queue, slots: 1 }])).toEqual([]);
    });

    test('an insert takes the lease only when nothing older waits', async () => {
      const store = await node();
      const queue = unique('q');
      const first = await store.tasks.submit(newTask({ queue }), { claim: true });
      expect(first).toMatchObject({ claimed: { fence: 1, attempt: 1 }, task: { status: 'running' } });
      await store.tasks.submit(newTask({ queue }));
      expect(await store.tasks.submit(newTask({ queue }), { claim: true })).not.toHaveProperty('claimed');
    });

    test('within one flush an insert does not overtake an unclaimed one of its queue', async () => {
      const store = await node();
      const [queue, other] = [unique('q'), unique('q')];
      const results = await Promise.all([
        store.tasks.submit(newTask({ queue }), { claim: true }),
        store.tasks.submit(newTask({ queue })),
        store.tasks.submit(newTask({ queue }), { claim: true }),
        store.tasks.submit(newTask({ queue: other }), { claim: true }),
      ]);
      expect(results.map((result) => 'claimed' in result)).toEqual([true, false, false, true]);
    });

    test('a draining node takes nothing with its inserts', async () => {
      const store = await node();
      await store.leases.setDraining(true);
      expect(await store.tasks.submit(newTask({ queue: unique('q') }), { claim: true })).not.toHaveProperty('claimed');
    });

    test('claims whose answer was lost are found again', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const claim = await claimOne(store, queue);
      expect(await store.tasks.ownClaims?.()).toMatchObject([{ taskId: claim.taskId, fence: claim.fence }]);
      expect(await store.tasks.lostClaims([claim])).toEqual([]);
      await store.tasks.cancel(claim.taskId, 'acme');
      expect(await store.tasks.lostClaims([claim])).toEqual([claim.taskId]);
    });

    test('lists the queues of single agents that hold work', async () => {
      const store = await node();
      const agents = [newId('agent'), newId('agent')].map((id) => `agent:${id}`);
      for (const queue of [...agents, ...agents, 'zzz', 'aaa']) await store.tasks.submit(newTask({ queue }));
      expect(await store.tasks.pinnedQueues()).toEqual([...agents].sort());
    });
  });

  describe('settling', () => {
    test('writes outcome, attempt and event together', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const claim = await claimOne(store, queue);
      const agentId = newId('agent');
      expect(await store.tasks.settle(settling(claim, undefined, { agentId, thread: 3 }))).toMatchObject({
        outcome: 'committed',
        state: 'completed',
        events: [{ seq: 2, type: 'task.completed', data: { attempt: 1, agentId } }],
      });
      expect(await store.tasks.get(claim.taskId, 'acme')).toMatchObject({
        status: 'completed',
        result: { done: true },
        agentId,
      });
      expect(await store.tasks.attempts(claim.taskId)).toMatchObject([
        { attempt: 1, node: store.node, agentId, thread: 3, outcome: 'completed' },
      ]);
    });

    test('a stale fence is refused and takes nobody of its flush with it', async () => {
      const store = await node();
      const queue = unique('q');
      await Promise.all([0, 1, 2].map(() => store.tasks.submit(newTask({ queue }))));
      const claims = await store.tasks.claim([{ queue, slots: 3 }]);
      const results = await Promise.all(
        claims.map((claim, at) =>
          store.tasks.settle(settling(at === 1 ? { ...claim, fence: claim.fence - 1 } : claim)),
        ),
      );
      expect(results.map(({ outcome }) => outcome)).toEqual(['committed', 'fenced', 'committed']);
      const states = await Promise.all(claims.map(({ taskId }) => store.tasks.get(taskId, 'acme')));
      expect(states.map((task) => task?.status)).toEqual(['completed', 'running', 'completed']);
      expect(await store.tasks.attempts(claims[1]?.taskId ?? newId('task'))).toMatchObject([{ outcome: 'running' }]);
    });

    test('a terminal state never changes', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const claim = await claimOne(store, queue);
      await store.tasks.settle(settling(claim));
      expect(await store.tasks.settle(settling(claim, { type: 'failed', error: boom }))).toEqual({ outcome: 'fenced' });
      expect(await store.tasks.get(claim.taskId, 'acme')).toMatchObject({ status: 'completed' });
    });

    test('two settlements of one claim in one flush: one commits', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const claim = await claimOne(store, queue);
      const results = await Promise.all([
        store.tasks.settle(settling(claim)),
        store.tasks.settle(settling(claim, { type: 'failed', error: boom })),
      ]);
      expect(results.map(({ outcome }) => outcome).sort()).toEqual(['committed', 'fenced']);
      expect(await store.tasks.attempts(claim.taskId)).toHaveLength(1);
      expect(await store.events.read(claim.taskId, 'acme', 0, 10)).toHaveLength(2);
    });

    test('a retry waits for its time, keeps its error and is promoted', async () => {
      const store = await node();
      const queue = unique('q');
      const task = newTask({ queue });
      await store.tasks.submit(task);
      const retry = { type: 'retry', delayMs: 1_000_000, error: boom, charge: true } as const;
      expect(await store.tasks.settle(settling(await claimOne(store, queue), retry))).toMatchObject({
        state: 'scheduled',
        events: [{ type: 'task.retrying', seq: 2 }],
      });
      expect(await store.tasks.claim([{ queue, slots: 1 }])).toEqual([]);
      const waiting = await store.tasks.promote();
      expect(waiting.promoted).toBe(0);
      expect(waiting.nextInMs).toBeGreaterThan(900_000);
      await age(task);
      expect(await store.tasks.promote()).toMatchObject({ promoted: 1, queues: [queue], nextInMs: null });
      expect(await claimOne(store, queue)).toMatchObject({ attempt: 2, fence: 2 });
    });

    test('a released attempt is not charged and makes no event', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const retry = { type: 'retry', delayMs: 0, error: null, charge: false } as const;
      const first = await claimOne(store, queue);
      expect(await store.tasks.settle(settling(first, retry, { outcome: 'released' }))).toMatchObject({
        state: 'queued',
        events: [],
      });
      expect(await claimOne(store, queue)).toMatchObject({ attempt: 1, fence: 2 });
    });

    test('the snapshot of the agent goes with it, under its epoch only', async () => {
      const store = await node();
      const agent = newAgent();
      await store.agents.create(agent);
      const queue = unique('q');
      await Promise.all([0, 1].map(() => store.tasks.submit(newTask({ queue }))));
      const [first, second] = await store.tasks.claim([{ queue, slots: 2 }]);
      if (!first || !second) throw new Error('no claims');
      const snap = (epoch: number, snapshot: unknown) => ({ agentSnapshot: { id: agent.id, epoch, snapshot } });
      await Promise.all([
        store.tasks.settle(settling(first, undefined, snap(1, { n: 1 }))),
        store.tasks.settle(settling(second, undefined, snap(2, { n: 2 }))),
      ]);
      expect((await store.agents.get(agent.id, 'acme'))?.snapshot).toEqual({ n: 1 });
    });

    test('a lease that ran out but was not swept still settles: nothing was given away', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const claim = await claimOne(store, queue);
      await expire(store.node);
      expect((await store.tasks.settle(settling(claim))).outcome).toBe('committed');
    });
  });

  describe('ends without an attempt', () => {
    test('cancel before the start is final and repeats its answer', async () => {
      const store = await node();
      const task = newTask({ queue: unique('q') });
      await store.tasks.submit(task);
      expect(await store.tasks.cancel(task.id, 'acme')).toMatchObject({
        outcome: 'cancelled',
        wasRunning: false,
        events: [{ type: 'task.cancelled', seq: 2 }],
      });
      expect(await store.tasks.cancel(task.id, 'acme')).toEqual({
        outcome: 'repeated',
        report: { id: task.id, outcome: 'before_start', afterMs: 0, collateral: [] },
      });
    });

    test('cancel of a running task refuses its late success and names who runs it', async () => {
      const [one, two] = [await node(), await node()];
      const queue = unique('q');
      await one.tasks.submit(newTask({ queue }));
      const claim = await claimOne(one, queue);
      expect(await two.tasks.cancel(claim.taskId, 'acme')).toMatchObject({
        outcome: 'cancelled',
        wasRunning: true,
        node: one.node,
        fence: claim.fence,
      });
      expect(await one.tasks.settle(settling(claim))).toEqual({ outcome: 'fenced' });
      const report = { id: claim.taskId, outcome: 'killed', afterMs: 12, collateral: ['x'] } as const;
      expect(await one.tasks.cancel(claim.taskId, 'acme')).toMatchObject({ report: { outcome: 'pending' } });
      await one.tasks.recordCancel({ ...report, collateral: ['x'] });
      expect(await one.tasks.cancel(claim.taskId, 'acme')).toEqual({ outcome: 'repeated', report });
      expect(await one.tasks.attempts(claim.taskId)).toMatchObject([{ outcome: 'cancelled', node: one.node }]);
    });

    test('cancel of a finished task names its state', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const claim = await claimOne(store, queue);
      await store.tasks.settle(settling(claim));
      expect(await store.tasks.cancel(claim.taskId, 'acme')).toEqual({ outcome: 'terminal', state: 'completed' });
    });

    test('queue timeouts end what never started, deadlines end what runs', async () => {
      const store = await node();
      const queue = unique('q');
      const unstarted = newTask({ queue: unique('q'), queueTimeoutMs: 1_000 });
      const running = newTask({ queue, deadlineMs: 1_000, queueTimeoutMs: 1_000 });
      const patient = newTask({ queue: unique('q'), deadlineMs: 10_000_000 });
      for (const task of [unstarted, running, patient]) await store.tasks.submit(task);
      const claim = await claimOne(store, queue);
      await Promise.all([unstarted, running, patient].map(age));
      const expired = await store.tasks.expire();
      expect(expired.aborted).toEqual([{ taskId: running.id, fence: claim.fence, node: store.node }]);
      expect(expired.events.map(({ type }) => type)).toEqual(['task.timed_out', 'task.timed_out']);
      expect((await store.tasks.get(unstarted.id, 'acme'))?.error?.code).toBe('queue_timeout');
      expect((await store.tasks.get(running.id, 'acme'))?.error?.code).toBe('deadline_exceeded');
      expect((await store.tasks.get(patient.id, 'acme'))?.status).toBe('queued');
      expect(await store.tasks.settle(settling(claim))).toEqual({ outcome: 'fenced' });
    });

    test('a dead task runs again after a redrive, with fresh attempts', async () => {
      const store = await node();
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const claim = await claimOne(store, queue);
      await store.tasks.settle(settling(claim, { type: 'dead', error: boom }));
      expect(await store.tasks.redrive(claim.taskId, 'other')).toBe(false);
      expect(await store.tasks.redrive(claim.taskId, 'acme')).toBe(true);
      expect(await store.tasks.redrive(claim.taskId, 'acme')).toBe(false);
      expect(await claimOne(store, queue)).toMatchObject({ taskId: claim.taskId, attempt: 1, fence: 2 });
    });
  });

  describe('leases', () => {
    test('the work of a dead node is runnable again and its late writes are refused', async () => {
      const [dead, alive] = [await node(), await node()];
      const queue = unique('q');
      await Promise.all([0, 1].map(() => dead.tasks.submit(newTask({ queue }))));
      const claims = await dead.tasks.claim([{ queue, slots: 2 }]);
      await expire(dead.node);
      const swept = await alive.leases.sweep({ poisonAfter: 3 });
      expect(swept).toMatchObject({ nodes: [dead.node], tasks: 2 });
      expect(swept.events.map(({ type }) => type)).toEqual(['task.retrying', 'task.retrying']);
      expect(await dead.leases.renew()).toBe(false);
      expect(await Promise.all(claims.map((claim) => dead.tasks.settle(settling(claim))))).toEqual([
        { outcome: 'fenced' },
        { outcome: 'fenced' },
      ]);
      const again = await alive.tasks.claim([{ queue, slots: 5 }]);
      expect(again.map(({ fence, attempt, crashCount }) => ({ fence, attempt, crashCount }))).toEqual([
        { fence: 3, attempt: 2, crashCount: 1 },
        { fence: 3, attempt: 2, crashCount: 1 },
      ]);
      expect(await alive.tasks.attempts(again[0]?.taskId ?? newId('task'))).toMatchObject([
        { outcome: 'lost', node: dead.node },
        { outcome: 'running', node: alive.node },
      ]);
    });

    test.each([
      ['poison', 2, 3],
      ['attempts_exhausted', 99, 1],
    ])('a lost task ends dead: %s', async (code, poisonAfter, maxAttempts) => {
      const alive = await node();
      const queue = unique('q');
      const task = newTask({ queue, retry: { ...newTask().retry, maxAttempts } });
      await alive.tasks.submit(task);
      for (let crash = 1; crash <= Math.min(poisonAfter, maxAttempts); crash++) {
        const doomed = await node();
        await claimOne(doomed, queue);
        await expire(doomed.node);
        await alive.leases.sweep({ poisonAfter });
      }
      expect(await alive.tasks.get(task.id, 'acme')).toMatchObject({ status: 'dead', error: { code } });
      expect((await alive.events.read(task.id, 'acme', 0, 10)).at(-1)?.type).toBe('task.dead');
    });

    test('a row that cannot be freed does not stop the sweep', async () => {
      const [dead, alive] = [await node(), await node()];
      const queue = unique('q');
      const tasks = Array.from({ length: 5 }, () => newTask({ queue }));
      await Promise.all(tasks.map((task) => dead.tasks.submit(task)));
      await dead.tasks.claim([{ queue, slots: 5 }]);
      await db.script(`CREATE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trap'; END $$;
        CREATE TRIGGER trap BEFORE UPDATE ON task FOR EACH ROW WHEN (OLD.id = '${toUuid(tasks[2]?.id ?? '')}') EXECUTE FUNCTION trap();`);
      try {
        await expire(dead.node);
        expect(await alive.leases.sweep({ poisonAfter: 3 })).toMatchObject({ tasks: 4 });
        expect(await alive.tasks.claim([{ queue, slots: 9 }])).toHaveLength(4);
      } finally {
        await db.script('DROP TRIGGER trap ON task; DROP FUNCTION trap()');
      }
      expect(await alive.leases.sweep({ poisonAfter: 3 })).toMatchObject({ tasks: 1 });
    });

    test('a node that renewed in time is not swept', async () => {
      const [one, two] = [await node(), await node()];
      expect(await one.leases.renew()).toBe(true);
      expect(await two.leases.sweep({ poisonAfter: 3 })).toMatchObject({ nodes: [], tasks: 0 });
      expect((await two.leases.nodes()).map(({ alive }) => alive)).toEqual([true, true]);
    });

    test('release gives everything back without a charge', async () => {
      const [leaving, staying] = [await node(), await node()];
      const queue = unique('q');
      const agent = newAgent();
      await leaving.agents.create(agent);
      await leaving.tasks.submit(newTask({ queue }));
      const claim = await claimOne(leaving, queue);
      await leaving.leases.release();
      expect(await leaving.tasks.settle(settling(claim))).toEqual({ outcome: 'fenced' });
      expect(await claimOne(staying, queue)).toMatchObject({ attempt: 1, fence: 3, crashCount: 0 });
      expect(await staying.agents.adopt(['hash-1'], 10)).toMatchObject([{ id: agent.id, epoch: 2 }]);
    });

    test('an embedded start reclaims from every earlier owner at once', async () => {
      const before = await node();
      const queue = unique('q');
      await before.tasks.submit(newTask({ queue }));
      const claim = await claimOne(before, queue);
      const after = await node();
      await after.leases.open({
        id: newId('node'),
        host: 'h',
        pid: 1,
        leaseMs: 1_000,
        manifest: [],
        reclaimAll: true,
      });
      expect(await before.leases.renew()).toBe(false);
      expect(await before.tasks.settle(settling(claim))).toEqual({ outcome: 'fenced' });
    });
  });

  describe('agents', () => {
    test('a name is taken while its agent lives; keys repeat the first answer', async () => {
      const store = await node();
      const agent = newAgent({ idempotency: { key: unique('key'), bodyHash: 'a' } });
      const results = await Promise.all([
        store.agents.create(agent),
        store.agents.create(newAgent({ name: agent.name })),
        store.agents.create({ ...newAgent(), idempotency: { key: agent.idempotency?.key ?? '', bodyHash: 'a' } }),
        store.agents.create({ ...newAgent(), idempotency: { key: agent.idempotency?.key ?? '', bodyHash: 'b' } }),
      ]);
      expect(results.map(({ outcome }) => outcome)).toEqual(['created', 'name_taken', 'duplicate', 'mismatch']);
      // The row foresees that it will be idle; whoever created it knows that it has only been created.
      const made = results[0] && 'agent' in results[0] ? results[0].agent : null;
      expect(made?.state).toBe('created');
      expect(await store.agents.get(agent.name, 'acme')).toEqual({ ...made, state: 'idle' });
      await store.agents.update(agent.id, 'acme', { desired: 'terminated' });
      expect((await store.agents.create(newAgent({ name: agent.name }))).outcome).toBe('created');
    });

    test('a change is compared and swapped on the version', async () => {
      const store = await node();
      const agent = newAgent();
      await store.agents.create(agent);
      expect(await store.agents.update(agent.id, 'acme', { config: { a: 1 } }, 1)).toMatchObject({
        outcome: 'updated',
        agent: { version: 2, config: { a: 1 } },
        events: [{ seq: 2, type: 'agent.updated' }],
      });
      expect(await store.agents.update(agent.id, 'acme', { config: {} }, 1)).toMatchObject({
        outcome: 'stale',
        agent: { version: 2, config: { a: 1 } },
      });
      expect((await store.agents.update(agent.id, 'other', { config: {} })).outcome).toBe('not_found');
    });

    test('an owner sees commands that came through another node', async () => {
      const [owner, other] = [await node(), await node()];
      const agent = newAgent();
      await owner.agents.create(agent);
      expect(await owner.agents.changedSince(new Map([[agent.id, 1]]))).toEqual([]);
      await other.agents.update(agent.id, 'acme', { desired: 'paused' });
      expect(await owner.agents.changedSince(new Map([[agent.id, 1]]))).toMatchObject([
        { id: agent.id, desired: 'paused', version: 2 },
      ]);
      expect(await owner.agents.changedSince(new Map([[agent.id, 2]]))).toEqual([]);
    });

    test('an adopted agent has a new epoch; its old owner saves nothing more', async () => {
      const [dead, alive] = [await node(), await node()];
      const agent = newAgent();
      await dead.agents.create(agent);
      expect(await dead.agents.saveSnapshot(agent.id, 1, { n: 1 })).toBe('saved');
      await expire(dead.node);
      expect(await alive.leases.sweep({ poisonAfter: 3 })).toMatchObject({ agents: 1 });
      expect(await dead.agents.saveSnapshot(agent.id, 1, { n: 2 })).toBe('fenced');
      expect(await alive.agents.adopt(['another-hash'], 10)).toEqual([]);
      expect(await alive.agents.adopt(['hash-1'], 10)).toMatchObject([{ id: agent.id, epoch: 2, snapshot: { n: 1 } }]);
      expect(
        await Promise.all([
          dead.agents.saveSnapshot(agent.id, 1, { n: 3 }),
          alive.agents.saveSnapshot(agent.id, 2, { n: 4 }),
          alive.agents.saveSnapshot(agent.id, 1, { n: 5 }),
        ]),
      ).toEqual(['fenced', 'saved', 'fenced']);
      expect((await alive.agents.get(agent.id, 'acme'))?.snapshot).toEqual({ n: 4 });
    });

    test('observed states are written for the epoch that saw them', async () => {
      const store = await node();
      const agent = newAgent();
      await store.agents.create(agent);
      await store.agents.observe([{ id: agent.id, epoch: 7, state: 'error', reason: 'x' }]);
      expect((await store.agents.get(agent.id, 'acme'))?.state).toBe('idle');
      await store.agents.observe([{ id: agent.id, epoch: 1, state: 'paused', reason: null }]);
      expect(await store.agents.get(agent.id, 'acme')).toMatchObject({ state: 'paused', version: 1 });
    });

    test('a node without a lease creates none', async () => {
      const store = await node();
      await expire(store.node);
      await expect(store.agents.create(newAgent())).rejects.toMatchObject({ code: 'lease_lost' });
    });

    test('live capabilities come with their highest version', async () => {
      const store = await node();
      const agent = newAgent();
      await store.agents.create(agent);
      await store.agents.create(newAgent({ capabilities: ['other.thing'] }));
      expect(await store.agents.liveCapabilities('acme')).toEqual(new Map([['text.upper', 2]]));
      expect((await store.agents.list({ tenant: 'acme', capability: 'text.upper', limit: 10 })).items).toMatchObject([
        { id: agent.id },
      ]);
      expect(await store.agents.liveCapabilities('other')).toEqual(new Map());
    });

    test('a timer that was set again survives the end of its first firing', async () => {
      const store = await node();
      const agent = newAgent();
      await store.agents.create(agent);
      await store.agentTimers.set(agent.id, 'tick', 0, { n: 1 });
      const { due } = await store.agentTimers.due(10);
      expect(due).toMatchObject([{ agentId: agent.id, key: 'tick', body: { n: 1 } }]);
      await store.agentTimers.set(agent.id, 'tick', 0, { n: 2 });
      for (const timer of due) await store.agentTimers.done(timer);
      expect((await store.agentTimers.due(10)).due).toMatchObject([{ body: { n: 2 } }]);
      await store.agentTimers.clear(agent.id, 'tick');
      expect(await store.agentTimers.due(10)).toEqual({ due: [], nextInMs: null });
    });
  });

  describe('workflows', () => {
    const spec: WorkflowSpec = {
      name: 'w',
      pattern: 'sequential',
      tasks: [],
      options: {},
      onFailure: 'fail_fast',
      seed: 1,
    };
    async function started(store: Store, change: Partial<WorkflowSpec> = {}) {
      const id = newId('workflow');
      await store.workflows.create({ id, tenant: 'acme', spec: { ...spec, ...change }, defHash: 'd', total: 1 });
      const result = await store.workflows.start(id, 'acme', 7);
      if (result.outcome !== 'started') throw new Error(result.outcome);
      return result.row;
    }
    const advance = (row: { id: Advance['workflowId']; version: number }, change: Partial<Advance> = {}): Advance => ({
      workflowId: row.id,
      tenant: 'acme',
      version: row.version,
      consumed: [],
      journal: [],
      schedule: [],
      cancel: [],
      timers: [],
      decisions: [],
      events: [],
      progress: { done: 0, total: 1 },
      ...change,
    });
    const step = (row: { id: Advance['workflowId'] }, name: string, queue: string) =>
      newTask({ queue, workflow: { id: row.id, step: name, round: 0 } });

    test('starts once, with its first mail', async () => {
      const store = await node();
      const row = await started(store);
      expect(row).toMatchObject({ status: 'running', owner: store.node });
      expect(await store.workflows.withMail(10)).toEqual([row.id]);
      expect(await store.workflows.inbox([row.id], 10)).toMatchObject([
        { eventId: 'started', event: { type: 'started', seed: 7 } },
      ]);
      expect(await store.workflows.start(row.id, 'acme', 7)).toEqual({ outcome: 'wrong_state', status: 'running' });
      expect((await store.workflows.start(row.id, 'other', 7)).outcome).toBe('not_found');
    });

    test('creating again with the same key gives the first one', async () => {
      const store = await node();
      const idempotency = { key: unique('key'), bodyHash: 'a' };
      const make = (bodyHash = 'a') =>
        store.workflows.create({
          id: newId('workflow'),
          tenant: 'acme',
          spec,
          defHash: 'd',
          total: 1,
          idempotency: { ...idempotency, bodyHash },
        });
      const first = await make();
      expect(await make()).toMatchObject({ outcome: 'duplicate', row: 'row' in first ? { id: first.row.id } : {} });
      expect(await make('b')).toEqual({ outcome: 'mismatch' });
    });

    test('an advance commits everything, a stale one nothing, in one flush', async () => {
      const store = await node();
      const [one, two] = [await started(store), await started(store)];
      const queue = unique('q');
      const decision = { kind: 'schedule', rule: 'first', chosen: 'a' } as const;
      const event: CoordinationEvent = { type: 'started', atMs: 1, seed: 7 };
      const full = (row: typeof one, version: number) =>
        advance(
          { id: row.id, version },
          {
            consumed: ['started'],
            journal: [event],
            decisions: [decision],
            schedule: [step(row, 'a', queue)],
            events: [{ stream: row.id, type: 'workflow.step', tenant: 'acme', data: { step: 'a' } }],
          },
        );
      const results = await Promise.all([
        store.workflows.advance(full(one, one.version)),
        store.workflows.advance(full(two, two.version - 1)),
      ]);
      expect(results).toMatchObject([{ outcome: 'committed', version: one.version + 1 }, { outcome: 'conflict' }]);
      expect(await store.workflows.journal(one.id)).toEqual([event]);
      expect(await store.workflows.decisions(one.id, 10, 0)).toMatchObject([{ ...decision, seq: 1 }]);
      expect(await store.workflows.withMail(10)).toEqual([two.id]);
      expect(await store.workflows.journal(two.id)).toEqual([]);
      expect(await store.tasks.byWorkflow(one.id)).toHaveLength(1);
      expect(await store.tasks.byWorkflow(two.id)).toHaveLength(0);
      expect((await store.events.read(one.id, 'acme', 0, 10)).map(({ seq, type }) => [seq, type])).toEqual([
        [1, 'workflow.created'],
        [2, 'workflow.started'],
        [3, 'workflow.step'],
      ]);
    });

    test('a step exists once per round', async () => {
      const store = await node();
      const row = await started(store);
      const queue = unique('q');
      const first = await store.workflows.advance(advance(row, { schedule: [step(row, 'a', queue)] }));
      const again = await store.workflows.advance(
        advance({ id: row.id, version: row.version + 1 }, { schedule: [step(row, 'a', queue), step(row, 'b', queue)] }),
      );
      expect('events' in first ? first.events : []).toHaveLength(1);
      expect('events' in again ? again.events : []).toHaveLength(1);
      expect((await store.tasks.byWorkflow(row.id)).map(({ stepKey }) => stepKey).sort()).toEqual(['a', 'b']);
    });

    test('scheduled steps are claimed at once when the node asks and nothing older waits', async () => {
      const store = await node();
      const row = await started(store);
      const [free, busy] = [unique('q'), unique('q')];
      await store.tasks.submit(newTask({ queue: busy }));
      const schedule = [step(row, 'a', free), step(row, 'b', busy), step(row, 'c', free)];
      const result = await store.workflows.advance(advance(row, { schedule, claim: [true, true, false] }));
      expect(result).toMatchObject({ claimed: [{ taskId: schedule[0]?.id, fence: 1, attempt: 1 }] });
      expect((await store.tasks.get(schedule[0]?.id ?? newId('task'), 'acme'))?.status).toBe('running');
    });

    test('the end of a step is mail, exactly once', async () => {
      const store = await node();
      const row = await started(store);
      const queue = unique('q');
      await store.workflows.advance(
        advance(row, { consumed: ['started'], schedule: [step(row, 'a', queue), step(row, 'b', queue)] }),
      );
      const [first, second] = await store.tasks.claim([{ queue, slots: 2 }]);
      if (!first || !second) throw new Error('no claims');
      const agentId = newId('agent');
      await Promise.all([
        store.tasks.settle(settling(first, undefined, { agentId })),
        store.tasks.settle(settling(first, undefined, { agentId })),
        store.tasks.settle(settling(second, { type: 'retry', delayMs: 0, error: boom, charge: true })),
      ]);
      const mail = await store.workflows.inbox([row.id], 10);
      expect(mail).toMatchObject([
        {
          event: {
            type: 'step.completed',
            step: first.stepKey,
            round: 0,
            output: { done: true },
            taskId: first.taskId,
            agentId,
            attempts: 1,
          },
        },
      ]);
      await store.tasks.settle(settling(await claimOne(store, queue), { type: 'failed', error: boom }));
      expect((await store.workflows.inbox([row.id], 10))[1]).toMatchObject({
        event: { type: 'step.failed', state: 'failed', error: boom, attempts: 2 },
      });
    });

    test('its end cancels what is open and is final', async () => {
      const store = await node();
      const row = await started(store);
      const queue = unique('q');
      await store.workflows.advance(advance(row, { schedule: [step(row, 'a', queue), step(row, 'b', queue)] }));
      const claim = await claimOne(store, queue);
      const end = {
        status: 'completed',
        stopReason: 'join_satisfied',
        output: { x: 1 },
        metrics: { wallMs: 3 },
      } as const;
      const result = await store.workflows.advance(advance({ id: row.id, version: row.version + 1 }, { end }));
      expect(result).toMatchObject({
        outcome: 'committed',
        cancelledRunning: [{ taskId: claim.taskId, fence: claim.fence, node: store.node }],
      });
      expect(await store.tasks.settle(settling(claim))).toEqual({ outcome: 'fenced' });
      expect((await store.tasks.byWorkflow(row.id)).map(({ status }) => status)).toEqual(['cancelled', 'cancelled']);
      expect(await store.workflows.get(row.id, 'acme')).toMatchObject({
        status: 'completed',
        output: { x: 1 },
        error: null,
        metrics: { wallMs: 3 },
        owner: null,
      });
      expect((await store.workflows.advance(advance({ id: row.id, version: row.version + 2 }))).outcome).toBe(
        'conflict',
      );
      expect(await store.workflows.post(row.id, 'acme', 'late', { type: 'cancel', atMs: 1, reason: 'x' })).toBe(false);
    });

    test('one step is cancelled, its sibling goes on', async () => {
      const store = await node();
      const row = await started(store);
      const schedule = [step(row, 'a', unique('q')), step(row, 'b', unique('q'))];
      await store.workflows.advance(advance(row, { schedule }));
      await store.workflows.advance(
        advance({ id: row.id, version: row.version + 1 }, { cancel: [{ step: 'a', round: 0 }] }),
      );
      expect((await store.tasks.byWorkflow(row.id)).map(({ stepKey, status }) => [stepKey, status])).toEqual([
        ['a', 'cancelled'],
        ['b', 'queued'],
      ]);
    });

    test('a lost coordinator is replaced; the old one decides nothing more', async () => {
      const [dead, alive] = [await node(), await node()];
      const row = await started(dead);
      const event: CoordinationEvent = { type: 'started', atMs: 1, seed: 7 };
      const later: CoordinationEvent = { type: 'timer', atMs: 2, key: 'k' };
      await dead.workflows.advance(advance(row, { journal: [event], snapshot: { n: 1 } }));
      await dead.workflows.advance(advance({ id: row.id, version: row.version + 1 }, { journal: [later] }));
      await expire(dead.node);
      expect(await alive.leases.sweep({ poisonAfter: 3 })).toMatchObject({ workflows: 1 });
      const [adopted] = await alive.workflows.adopt(10);
      expect(adopted).toMatchObject({ id: row.id, owner: alive.node });
      expect((await dead.workflows.advance(advance({ id: row.id, version: adopted?.version ?? 0 }))).outcome).toBe(
        'conflict',
      );
      expect(await alive.workflows.load(row.id)).toMatchObject({ snapshot: { n: 1 }, journal: [later] });
      expect((await alive.workflows.advance(advance({ id: row.id, version: adopted?.version ?? 0 }))).outcome).toBe(
        'committed',
      );
    });

    test('mail is idempotent by its id, also after it was read', async () => {
      const store = await node();
      const row = await started(store);
      const input: CoordinationEvent = { type: 'input', atMs: 1, key: 'k', value: 1 };
      for (let round = 0; round < 2; round++)
        expect(await store.workflows.post(row.id, 'acme', 'i1', input)).toBe(true);
      expect(await store.workflows.inbox([row.id], 10)).toHaveLength(2);
      await store.workflows.advance(advance(row, { consumed: ['started', 'i1'] }));
      await store.workflows.post(row.id, 'acme', 'i1', input);
      expect(await store.workflows.inbox([row.id], 10)).toEqual([]);
      expect(await store.workflows.post(row.id, 'other', 'i2', input)).toBe(false);
    });

    test('timers and deadlines fire once, and again when they are set again', async () => {
      const store = await node();
      const row = await started(store, { deadlineMs: 1 });
      await store.workflows.advance(advance(row, { consumed: ['started'], timers: [{ key: 't', afterMs: 0 }] }));
      await db.script(`UPDATE workflow_timer SET due_at = due_at - interval '1 second'`);
      expect(await store.workflows.fireTimers()).toEqual([row.id]);
      expect(await store.workflows.fireTimers()).toEqual([]);
      const first = await store.workflows.inbox([row.id], 10);
      expect(first.map(({ event }) => event.type).sort()).toEqual(['deadline', 'timer']);
      await store.workflows.advance(
        advance(
          { id: row.id, version: row.version + 1 },
          { consumed: first.map(({ eventId }) => eventId), timers: [{ key: 't', afterMs: 0 }] },
        ),
      );
      expect(await store.workflows.fireTimers()).toEqual([row.id]);
      expect(await store.workflows.inbox([row.id], 10)).toMatchObject([{ event: { type: 'timer', key: 't' } }]);
    });
  });

  describe('lists, events and history', () => {
    test('pages have no gap and no repetition; a forged cursor is refused', async () => {
      const store = await node();
      const tenant = unique('tenant');
      const tasks = Array.from({ length: 7 }, () => newTask({ tenant, queue: unique('q') }));
      for (const task of tasks) await store.tasks.submit(task);
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await store.tasks.list({ tenant, limit: 3, ...(cursor ? { cursor } : {}) });
        seen.push(...page.items.map(({ id }) => id));
        cursor = page.nextCursor ?? undefined;
      } while (cursor);
      expect([...seen].sort()).toEqual(tasks.map(({ id }) => id).sort());
      for (const forged of ['x', '', 'MTox', `${Buffer.from('1:1; DROP TABLE task').toString('base64url')}`])
        await expect(store.tasks.list({ tenant, limit: 3, cursor: forged })).rejects.toMatchObject({
          code: 'invalid_input',
        });
    });

    test('streams are dense, for their owner only', async () => {
      const [owner, other] = [await node(), await node()];
      const agent = newAgent();
      await owner.agents.create(agent);
      const event = (n: number) => ({
        stream: agent.id,
        type: 'agent.transition' as const,
        tenant: 'acme',
        data: { n },
      });
      await Promise.all([owner.events.append([event(1), event(2)]), owner.events.append([event(3)])]);
      expect(await other.events.append([event(9)])).toEqual([]);
      expect((await owner.events.read(agent.id, 'acme', 1, 10)).map(({ seq, data }) => [seq, data.n])).toEqual([
        [2, 1],
        [3, 2],
        [4, 3],
      ]);
    });

    test('counts states and queues', async () => {
      const store = await node();
      const tenant = unique('tenant');
      const queue = unique('q');
      for (let at = 0; at < 3; at++) await store.tasks.submit(newTask({ tenant, queue }));
      await claimOne(store, queue);
      expect(await store.tasks.counts(tenant)).toMatchObject({
        byState: { queued: 2, running: 1, completed: 0 },
        queues: [{ queue, queued: 2 }],
      });
    });

    test('dead letters are kept, whatever their body', async () => {
      const store = await node();
      const tenant = unique('tenant');
      const letter = (body: unknown) => ({
        reason: 'actor_not_found' as const,
        to: 'x',
        type: 't',
        body,
        messageId: 'm',
        atMs: 5,
      });
      await store.deadLetters.add(tenant, [letter({ a: 1 }), letter('\u0000')]);
      const { items } = await store.deadLetters.list({ tenant, limit: 10, to: 'x' });
      expect(items.map(({ body }) => typeof body).sort()).toEqual(['object', 'string']);
      expect((await store.deadLetters.list({ tenant, limit: 10, to: 'y' })).items).toEqual([]);
    });

    test('old history goes by partition, old work by row, open work stays', async () => {
      const store = await node();
      const queue = unique('q');
      const [ended, fresh] = [newTask({ queue }), newTask({ queue: unique('q') })];
      await store.tasks.submit(ended);
      await store.tasks.submit(fresh);
      await store.tasks.settle(settling(await claimOne(store, queue)));
      await db.script(`UPDATE task SET ended_at = ended_at - interval '90 days' WHERE id = '${toUuid(ended.id)}';
        CREATE TABLE event_20200106 PARTITION OF event FOR VALUES FROM ('2020-01-06 00:00:00+00') TO ('2020-01-13 00:00:00+00');
        INSERT INTO event VALUES ('${toUuid(ended.id)}', 99, 'task', 'acme', 'task.accepted', '2020-01-07', '{}')`);
      expect((await store.retain({ historyDays: 30 })).dropped).toBeGreaterThanOrEqual(2);
      expect(await store.tasks.get(ended.id, 'acme')).toBeNull();
      expect((await store.tasks.get(fresh.id, 'acme'))?.status).toBe('queued');
      // What its row says goes with it, and so do its first and last event; the others went with their partition.
      expect(await store.events.read(ended.id, 'acme', 0, 100)).toEqual([]);
      expect((await store.sizes()).find(({ table }) => table === 'event')?.bytes).toBeGreaterThan(0);
    });
  });

  /** The checks above must be able to see the faults they are for: each mutant leaves a guard out of the SQL. */
  describe('mutants', () => {
    const mutate = (from: string, to: string): StoreDb => {
      let hits = 0;
      const change = <S extends { readonly name: string; readonly text: string }>(statement: S): S => {
        if (!statement.text.includes(from)) return statement;
        hits++;
        return { ...statement, name: `mutant_${hits}_${statement.name}`, text: statement.text.replaceAll(from, to) };
      };
      return {
        ...db,
        query: (statement) => db.query(change(statement)),
        batch: (statements) => db.batch(statements.map(change)),
        flush: (statements) => db.flush(statements.map(change)),
      };
    };

    test('without the fence a late settlement of an older claim commits', async () => {
      const store = await openNode(mutate('AND t.fence = r.fence', ''));
      open.push(store);
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      const first = await claimOne(store, queue);
      await store.tasks.settle(settling(first, { type: 'retry', delayMs: 0, error: boom, charge: true }));
      await claimOne(store, queue);
      expect((await store.tasks.settle(settling(first))).outcome).toBe('committed');
    });

    test('without the version two coordinators decide', async () => {
      const store = await openNode(mutate('AND w.version = a.version', ''));
      open.push(store);
      const id = newId('workflow');
      const spec = { name: 'w', pattern: 'p', tasks: [], options: {}, onFailure: 'fail_fast', seed: 1 } as const;
      await store.workflows.create({ id, tenant: 'acme', spec: { ...spec, tasks: [] }, defHash: 'd', total: 1 });
      await store.workflows.start(id, 'acme', 1);
      const stale = { consumed: [], journal: [], schedule: [], cancel: [], timers: [], decisions: [], events: [] };
      const result = await store.workflows.advance({
        ...stale,
        workflowId: id,
        tenant: 'acme',
        version: 77,
        progress: { done: 0, total: 0 },
      });
      expect(result.outcome).toBe('committed');
    });

    test('without the epoch an old incarnation overwrites the snapshot', async () => {
      const store = await openNode(mutate('AND a.epoch = r.epoch', ''));
      open.push(store);
      const agent = newAgent();
      await store.agents.create(agent);
      await store.agents.saveSnapshot(agent.id, 99, { old: true });
      expect((await store.agents.get(agent.id, 'acme'))?.snapshot).toEqual({ old: true });
    });

    test('without the lease a dead node goes on claiming', async () => {
      const store = await openNode(mutate('AND lease_until > clock_timestamp()', ''));
      open.push(store);
      const queue = unique('q');
      await store.tasks.submit(newTask({ queue }));
      await expire(store.node);
      expect(await store.tasks.claim([{ queue, slots: 1 }])).toHaveLength(1);
    });
  });
});

function newAgent(change: Partial<NewAgentRow> = {}): NewAgentRow {
  return {
    id: newId('agent'),
    tenant: 'acme',
    type: 'worker',
    defHash: 'hash-1',
    name: unique('agent'),
    config: {},
    capabilities: null,
    isolation: 'shared',
    ...change,
  };
}
