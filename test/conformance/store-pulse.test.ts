// The pulse on every database: silent while there is nothing to do, and a word for each thing that there is, to the node it concerns.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type NodeId, toUuid } from '../../runtime/contracts/ids.ts';
import type { NewAgentRow, Store } from '../../runtime/contracts/store.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { QUIET_PULSE } from '../kit/pulse.ts';
import { ENGINES, newId, newTask, openNode } from '../kit/store.ts';

describe.each(ENGINES)('the pulse on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  let mine: Store;
  let other: Store;

  beforeAll(async () => {
    ({ db, close } = await backend.open());
  });
  afterAll(() => close());
  afterEach(() =>
    db.script('DELETE FROM task; DELETE FROM agent; DELETE FROM agent_timer; DELETE FROM workflow; DELETE FROM node'),
  );

  async function nodes(): Promise<void> {
    mine = await openNode(db);
    other = await openNode(db);
  }
  const agent = (change: Partial<NewAgentRow> = {}): NewAgentRow => ({
    id: newId('agent'),
    tenant: 'acme',
    type: 'worker',
    defHash: 'hash-1',
    name: newId('agent'),
    config: {},
    capabilities: null,
    isolation: 'shared',
    ...change,
  });
  async function startedRun(store: Store) {
    const id = newId('workflow');
    const spec = { name: 'n', pattern: 'sequential', steps: [] } as never;
    await store.workflows.create({ id, tenant: 'acme', spec, defHash: 'h', total: 1 });
    await store.workflows.start(id, 'acme', 1);
    return id;
  }
  const expire = (id: NodeId) =>
    db.query(sql('test_expire_node', `UPDATE node SET lease_until = 'epoch', lease_ms = 1 WHERE id = $1`, toUuid(id)));

  test('says nothing when there is nothing to do', async () => {
    await nodes();
    await mine.agents.create(agent());
    expect(await mine.pulse()).toEqual(QUIET_PULSE);
  });

  test('names the queues that hold tasks, shared ones first, each once', async () => {
    await nodes();
    const pinned = `agent:${newId('agent')}`;
    for (const queue of ['b@1', pinned, 'a@1', 'z@1', 'b@1']) await other.tasks.submit(newTask({ queue }));
    expect(await mine.pulse()).toEqual({ ...QUIET_PULSE, queues: ['a@1', 'b@1', 'z@1', pinned] });
  });

  test('counts the claims of its own node only, and misses the one that was cancelled elsewhere', async () => {
    await nodes();
    for (let n = 0; n < 2; n++) await mine.tasks.submit(newTask({ queue: 'q@1' }));
    const [claim] = await mine.tasks.claim([{ queue: 'q@1', slots: 2 }]);
    expect((await mine.pulse()).running).toBe(2);
    expect((await other.pulse()).running).toBe(0);
    await other.tasks.cancel(claim?.taskId ?? newId('task'), 'acme');
    expect((await mine.pulse()).running).toBe(1);
  });

  test('gives the waits for delayed tasks and limits by the clock of the database', async () => {
    await nodes();
    await mine.tasks.submit(newTask({ delayMs: 60_000 }));
    await mine.tasks.submit(newTask({ queueTimeoutMs: 30_000, deadlineMs: 90_000 }));
    const { promoteInMs, expireInMs } = await mine.pulse();
    expect(promoteInMs).toBeGreaterThan(30_000);
    expect(promoteInMs).toBeLessThanOrEqual(60_000);
    expect(expireInMs).toBeGreaterThan(0);
    expect(expireInMs).toBeLessThanOrEqual(30_000);
    await db.script(
      `UPDATE task SET run_at = run_at - interval '1 hour', queue_until = queue_until - interval '1 hour'`,
    );
    expect(await mine.pulse()).toMatchObject({ promoteInMs: 0, expireInMs: 0 });
  });

  test('a task that was started once has kept its queue limit, however often it waits again', async () => {
    await nodes();
    await mine.tasks.submit(newTask({ queue: 'q@1', queueTimeoutMs: 30_000 }));
    await mine.tasks.claim([{ queue: 'q@1', slots: 1 }]);
    await db.script(`UPDATE task SET state = 'queued', owner_node = NULL, started_at = clock_timestamp()`);
    expect(await mine.pulse()).toEqual({ ...QUIET_PULSE, queues: ['q@1'] });
  });

  test('tells of timers of its own agents', async () => {
    await nodes();
    const row = agent();
    await mine.agents.create(row);
    await mine.agentTimers.set(row.id, 'wake', 0, null);
    expect((await mine.pulse()).agentTimerInMs).toBe(0);
    expect((await other.pulse()).agentTimerInMs).toBeNull();
  });

  test('tells of a change that another node made, with another number for each', async () => {
    await nodes();
    const row = agent();
    await mine.agents.create(row);
    await mine.agents.update(row.id, 'acme', { desired: 'paused' });
    expect((await mine.pulse()).foreignChanges).toBe(0);
    await other.agents.update(row.id, 'acme', { desired: 'running' });
    const first = (await mine.pulse()).foreignChanges;
    await other.agents.update(row.id, 'acme', { desired: 'paused' });
    expect(first).toBeGreaterThan(0);
    expect((await mine.pulse()).foreignChanges).not.toBe(first);
    expect((await other.pulse()).foreignChanges).toBe(0);
  });

  test('tells of free agents whose definition this node has, and of no others', async () => {
    await nodes();
    await other.agents.create(agent({ type: 'stranger', defHash: 'hash-9' }));
    await db.script('UPDATE agent SET owner_node = NULL');
    expect((await mine.pulse()).freeAgents).toBe(false);
    await other.agents.create(agent());
    await db.script(`UPDATE agent SET owner_node = NULL, desired = 'terminated' WHERE type = 'worker'`);
    expect((await mine.pulse()).freeAgents).toBe(false);
    await db.script(`UPDATE agent SET desired = 'running'`);
    expect((await mine.pulse()).freeAgents).toBe(true);
  });

  test('tells of a lost node until nothing of it is left', async () => {
    await nodes();
    await other.agents.create(agent());
    await expire(other.node);
    await db.script(`UPDATE node SET lease_ms = 1`);
    expect((await mine.pulse()).sweep).toBe(true);
    await db.script(`UPDATE node SET swept_at = clock_timestamp() WHERE lease_until = 'epoch'`);
    expect((await mine.pulse()).sweep).toBe(true);
    await mine.leases.sweep({ poisonAfter: 3 });
    expect(await mine.pulse()).toEqual({ ...QUIET_PULSE, freeAgents: true });
  });

  test.each([
    ['a running task', () => other.tasks.submit(newTask({ queue: 'q@1' }), { claim: true })],
    ['an agent', () => other.agents.create(agent())],
    ['a run', () => startedRun(other)],
  ])('tells of a lost node that was marked but still owns %s', async (_name, own) => {
    await nodes();
    await own();
    const mark = `UPDATE node SET lease_until = 'epoch', lease_ms = 1, swept_at = clock_timestamp() WHERE id = '${toUuid(other.node)}'`;
    await db.script(mark);
    expect((await mine.pulse()).sweep).toBe(true);
    await db.script(`UPDATE task SET state = 'queued', owner_node = NULL; UPDATE agent SET owner_node = NULL;
      UPDATE workflow SET owner_node = NULL`);
    expect((await mine.pulse()).sweep).toBe(false);
  });

  test('tells of mail, of timers and of runs without an owner', async () => {
    await nodes();
    const id = await startedRun(mine);
    expect(await mine.pulse()).toMatchObject({ mail: true, freeRuns: false });
    expect((await other.pulse()).mail).toBe(false);
    await db.script('UPDATE workflow_inbox SET consumed = true');
    expect((await mine.pulse()).mail).toBe(false);
    await db.script(`UPDATE workflow SET owner_node = NULL;
      INSERT INTO workflow_timer (workflow_id, key, due_at) VALUES ('${toUuid(id)}', 'k', 'epoch')`);
    expect(await other.pulse()).toMatchObject({ mail: false, freeRuns: true, workflowTimerInMs: 0 });
    await db.script('DELETE FROM workflow_timer');
    await db.script(`UPDATE workflow SET status = 'completed'`);
    expect((await other.pulse()).freeRuns).toBe(false);
  });
});
