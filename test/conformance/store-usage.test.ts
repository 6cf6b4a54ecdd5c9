// What tasks used, in the store: summed over attempts, shown with the task, and told to the run whose step it was.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toUuid, type WorkflowId } from '../../runtime/contracts/ids.ts';
import type { Store } from '../../runtime/contracts/store.ts';
import type { TaskUsage } from '../../runtime/contracts/usage.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { ENGINES, newId, newTask, openNode, settling, unique } from '../kit/store.ts';

const failed = { code: 'x', message: 'x', retryable: true } as const;
const again = { type: 'retry', delayMs: 0, error: failed, charge: true } as const;

describe.each(ENGINES)('usage on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  let store: Store;
  beforeAll(async () => {
    ({ db, close } = await backend.open());
    store = await openNode(db);
  });
  afterAll(async () => {
    await store.leases.release();
    await close();
  });

  async function submitted(workflow?: WorkflowId) {
    const task = newTask({
      queue: unique('q'),
      ...(workflow ? { workflow: { id: workflow, step: 'a', round: 0 } } : {}),
    });
    await store.tasks.submit(task);
    return task;
  }
  async function claim(queue: string) {
    const [claimed] = await store.tasks.claim([{ queue: queue as never, slots: 1 }]);
    if (!claimed) throw new Error('nothing to claim');
    return claimed;
  }
  const viewOf = async (task: { id: string; tenant: string }) => store.tasks.get(task.id as never, task.tenant);
  const mailOf = async (workflow: WorkflowId) => {
    const text = 'SELECT event FROM workflow_inbox WHERE workflow_id = $1';
    const { rows } = await db.query<{ event: Record<string, unknown> }>(sql('test_mail', text, toUuid(workflow)));
    return rows.map(({ event }) => event);
  };

  test('is absent from a task that reported none, and from the mail of its step', async () => {
    const run = newId('workflow');
    const task = await submitted(run);
    await store.tasks.settle(settling(await claim(task.queue)));
    expect(await viewOf(task)).not.toHaveProperty('usage');
    const [mail] = await mailOf(run);
    expect(mail).toMatchObject({ type: 'step.completed' });
    expect(mail).not.toHaveProperty('usage');
  });

  test('adds up over attempts that fail, are given back, are handed on and complete', async () => {
    const run = newId('workflow');
    const task = await submitted(run);
    const ended = async (usage: TaskUsage | undefined, ...rest: [Parameters<typeof settling>[1]?, string?]) => {
      const [settlement, outcome] = rest;
      const change = { ...(usage ? { usage } : {}), ...(outcome ? { outcome: outcome as 'released' } : {}) };
      return store.tasks.settle(settling(await claim(task.queue), settlement, change));
    };
    await ended(undefined, again);
    await ended({ tokens: 10, cost: 0.1 }, again);
    expect(await viewOf(task)).toMatchObject({ usage: { tokens: 10, cost: 0.1 } });
    await ended({ messages: 2 }, { ...again, charge: false, error: null }, 'released');
    const target = { capability: 'a.b', version: 1, queue: task.queue, agentId: null };
    await ended({ cost: 0.2 }, { type: 'handed_off', target }, 'handed_off');
    await ended(undefined, { type: 'handed_off', target }, 'handed_off');
    const last = await ended({ tokens: 5 });
    const usage = { tokens: 15, cost: 0.3, messages: 2 };
    expect(await viewOf(task)).toMatchObject({ status: 'completed', usage });
    expect(await mailOf(run)).toMatchObject([{ type: 'step.completed', usage }]);
    // The events say what each attempt used, so that their sum is the task's.
    expect('events' in last ? last.events : []).toMatchObject([
      { type: 'task.completed', data: { usage: { tokens: 5 } } },
    ]);
    const events = await store.events.read(task.id, task.tenant, 0, 10);
    expect(events.flatMap(({ data }) => (data.usage ? [data.usage] : []))).toEqual([
      { tokens: 10, cost: 0.1 },
      { cost: 0.2 },
      { tokens: 5 },
    ]);
  });

  test('is settled for each of many tasks of one commit by itself', async () => {
    const tasks = await Promise.all(Array.from({ length: 20 }, () => submitted()));
    const claims = await Promise.all(tasks.map(({ queue }) => claim(queue)));
    await Promise.all(
      claims.map((one, n) => store.tasks.settle(settling(one, undefined, n % 2 ? { usage: { tokens: n } } : {}))),
    );
    const views = await Promise.all(tasks.map(viewOf));
    expect(views.map((view) => view?.usage)).toEqual(tasks.map((_, n) => (n % 2 ? { tokens: n } : undefined)));
  });

  test('goes with steps that end without an attempt that says so: cancelled, or lost for the last time', async () => {
    const run = newId('workflow');
    const cancelled = await submitted(run);
    await store.tasks.settle(settling(await claim(cancelled.queue), again, { usage: { tokens: 7 } }));
    await store.tasks.cancel(cancelled.id, cancelled.tenant);
    expect(await mailOf(run)).toMatchObject([{ type: 'step.failed', state: 'cancelled', usage: { tokens: 7 } }]);
    expect(await viewOf(cancelled)).toMatchObject({ status: 'cancelled', usage: { tokens: 7 } });

    const other = newId('workflow');
    const dying = await openNode(db, { leaseMs: 600_000 });
    const lost = await submitted(other);
    await store.tasks.settle(settling(await claim(lost.queue), again, { usage: { cost: 1.5 } }));
    await dying.tasks.claim([{ queue: lost.queue, slots: 1 }]);
    const dead = `UPDATE node SET lease_until = 'epoch', lease_ms = 1 WHERE id = $1`;
    await db.query(sql('test_dead', dead, toUuid(dying.node)));
    expect((await store.leases.sweep({ poisonAfter: 1 })).tasks).toBe(1);
    expect(await mailOf(other)).toMatchObject([{ type: 'step.failed', state: 'dead', usage: { cost: 1.5 } }]);
  });
});
