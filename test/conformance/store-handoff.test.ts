// A task that changes hands in the store: who may claim it next, what it carries, what its history says, and what the fence refuses.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { agentQueue } from '../../runtime/contracts/agent.ts';
import type { Store } from '../../runtime/contracts/store.ts';
import type { HandoffTarget, TaskSettlement } from '../../runtime/contracts/task.ts';
import type { StoreDb } from '../../runtime/store/sql.ts';
import { ENGINES, newId, newTask, openNode, settling, unique } from '../kit/store.ts';

describe.each(ENGINES)('a handoff on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  let store: Store;
  let other: Store;
  beforeAll(async () => {
    ({ db, close } = await backend.open());
    [store, other] = [await openNode(db), await openNode(db)];
  });
  afterAll(async () => {
    await store.leases.release();
    await other.leases.release();
    await close();
  });

  const toAgent = (): HandoffTarget => {
    const agentId = newId('agent');
    return { capability: 'a.b', version: 2, queue: agentQueue(agentId), agentId };
  };
  const given = (
    target: HandoffTarget,
    rest: { input?: { value: unknown }; reason?: string } = {},
  ): TaskSettlement => ({
    type: 'handed_off',
    target,
    ...rest,
  });
  async function claimed(change: Parameters<typeof newTask>[0] = {}) {
    const task = newTask({ queue: unique('q'), input: { n: 1 }, ...change });
    await store.tasks.submit(task);
    const [claim] = await store.tasks.claim([{ queue: task.queue, slots: 1 }]);
    if (!claim) throw new Error('nothing to claim');
    return claim;
  }

  test('queues the task for its addressee on any node, uncharged, with its new input', async () => {
    const first = await claimed();
    const target = toAgent();
    const settled = await store.tasks.settle(
      settling(first, given(target, { input: { value: { n: 2 } }, reason: 'why' }), { outcome: 'handed_off' }),
    );
    expect(settled).toMatchObject({ outcome: 'committed', state: 'queued' });
    const [second] = await other.tasks.claim([{ queue: target.queue, slots: 1 }]);
    expect(second).toMatchObject({
      taskId: first.taskId,
      attempt: first.attempt,
      agentId: target.agentId,
      capability: 'a.b',
      version: 2,
      input: { n: 2 },
      idempotencyKey: first.idempotencyKey,
    });
    expect(second?.fence).toBeGreaterThan(first.fence);
    expect(await store.tasks.attempts(first.taskId)).toMatchObject([{ outcome: 'handed_off' }, { outcome: 'running' }]);
    const events = await store.events.read(first.taskId, first.tenant, 0, 10);
    expect(events.at(-1)).toMatchObject({
      type: 'task.handed_off',
      data: { to: { agentId: target.agentId, capability: 'a.b@2' }, reason: 'why' },
    });
    expect('events' in settled ? settled.events : []).toEqual([events.at(-1)]);
  });

  test('keeps the input when none is given, and lets a pinned task go to a capability', async () => {
    const first = await claimed();
    const pinned = toAgent();
    await store.tasks.settle(settling(first, given(pinned), { outcome: 'handed_off' }));
    const [second] = await store.tasks.claim([{ queue: pinned.queue, slots: 1 }]);
    if (!second) throw new Error('nothing to claim');
    const open = { capability: 'c.d', version: 1, queue: unique('q'), agentId: null };
    await store.tasks.settle(settling(second, given(open, { input: { value: null } }), { outcome: 'handed_off' }));
    const [third] = await store.tasks.claim([{ queue: open.queue, slots: 1 }]);
    expect(second.input).toEqual({ n: 1 });
    expect(third).toMatchObject({ agentId: null, capability: 'c.d', input: null });
  });

  test('is refused by the fence once the task is somebody else’s or has ended', async () => {
    const first = await claimed();
    await store.tasks.cancel(first.taskId, first.tenant);
    const settled = await store.tasks.settle(settling(first, given(toAgent()), { outcome: 'handed_off' }));
    expect(settled).toEqual({ outcome: 'fenced' });
    expect(await store.tasks.get(first.taskId, first.tenant)).toMatchObject({ status: 'cancelled' });
  });
});
