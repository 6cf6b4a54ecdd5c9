// Tasks that wait for a person, in the store: put aside under the fence, back with one answer or when it expires, and never twice.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../../runtime/contracts/store.ts';
import type { TaskSettlement } from '../../runtime/contracts/task.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { ENGINES, newTask, openNode, settling, unique } from '../kit/store.ts';

const asks = (prompt: string, expiresMs = 60_000): TaskSettlement => ({
  type: 'waiting',
  question: { prompt, expiresMs, schema: { type: 'number' } },
});

describe.each(ENGINES)('questions of tasks on $name', (backend) => {
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

  async function submitted(tenant = unique('tenant')) {
    const task = newTask({ queue: unique('q'), tenant });
    await store.tasks.submit(task);
    return task;
  }
  async function claim({ queue }: { readonly queue: string }) {
    const [claimed] = await store.tasks.claim([{ queue: queue as never, slots: 1 }]);
    if (!claimed) throw new Error('nothing to claim');
    return claimed;
  }

  test('are open one at a time, answered once, and the next claim carries all answers in order', async () => {
    const task = await submitted();
    const first = await claim(task);
    const put = await store.tasks.settle(settling(first, asks('a?'), { usage: { tokens: 2 } }));
    expect(put).toMatchObject({ outcome: 'committed', state: 'waiting', events: [{ type: 'task.waiting' }] });
    expect(await store.tasks.claim([{ queue: task.queue, slots: 1 }])).toEqual([]);
    const view = await store.tasks.get(task.id, task.tenant);
    expect(view).toMatchObject({
      status: 'waiting',
      attempt: 0,
      usage: { tokens: 2 },
      question: { question: 0, prompt: 'a?', schema: { type: 'number' } },
    });
    expect(await store.tasks.openInputs(task.tenant, { limit: 10 })).toMatchObject([{ taskId: task.id, prompt: 'a?' }]);
    expect(await store.tasks.openInputs('others', { limit: 10 })).toEqual([]);

    const give = (question: number, value: unknown, tenant = task.tenant) =>
      store.tasks.answer(task.id, tenant, { question, value, by: 'ann' });
    expect(await give(1, 9)).toBeNull();
    expect(await give(0, 9, 'others')).toBeNull();
    expect(await give(0, null)).toMatchObject({ queue: task.queue, events: [{ type: 'task.answered' }] });
    expect(await give(0, 9)).toBeNull();

    const second = await claim(task);
    expect(second).toMatchObject({ attempt: 1, answers: [{ value: null }] });
    expect(second.fence).toBeGreaterThan(first.fence);
    await store.tasks.settle(settling(second, asks('b?')));
    await give(1, { deep: [1] });
    expect(await claim(task)).toMatchObject({ answers: [{ value: null }, { value: { deep: [1] } }] });
    const events = await store.events.read(task.id, task.tenant, 0, 20);
    expect(events.map(({ type, seq }) => [seq, type])).toEqual(
      ['accepted', 'waiting', 'answered', 'waiting', 'answered'].map((type, n) => [n + 1, `task.${type}`]),
    );
    expect((await store.tasks.attempts(task.id)).map(({ outcome }) => outcome)).toEqual([
      'waiting',
      'waiting',
      'running',
    ]);
  });

  test('expire: the task is queued again and knows it, and nobody can answer any more', async () => {
    const task = await submitted();
    await store.tasks.settle(settling(await claim(task), asks('a?', 0)));
    expect(await store.tasks.answer(task.id, task.tenant, { question: 0, value: 1, by: null })).toBeNull();
    expect((await store.tasks.promote()).queues).toContain(task.queue);
    expect(await claim(task)).toMatchObject({ attempt: 1, answers: [{ expired: true }] });
  });

  test('wake the node when they expire', async () => {
    const task = await submitted();
    await store.tasks.settle(settling(await claim(task), asks('a?', 30_000)));
    for (const inMs of [(await store.pulse()).promoteInMs, (await store.tasks.promote()).nextInMs]) {
      expect(inMs).toBeGreaterThan(0);
      expect(inMs).toBeLessThanOrEqual(30_000);
    }
    await store.tasks.cancel(task.id, task.tenant);
  });

  test('are refused by the fence, and do not reach a task that was cancelled', async () => {
    const task = await submitted();
    const claimed = await claim(task);
    await db.query(sql('test_fence', 'UPDATE task SET fence = fence + 1 WHERE queue = $1', task.queue));
    expect(await store.tasks.settle(settling(claimed, asks('a?')))).toEqual({ outcome: 'fenced' });
    expect(await store.tasks.openInputs(task.tenant, { limit: 10 })).toEqual([]);
    const other = await submitted();
    await store.tasks.settle(settling(await claim(other), asks('a?')));
    await store.tasks.cancel(other.id, other.tenant);
    expect(await store.tasks.answer(other.id, other.tenant, { question: 0, value: 1, by: null })).toBeNull();
    expect(await store.tasks.get(other.id, other.tenant)).toMatchObject({ status: 'cancelled' });
  });
});
