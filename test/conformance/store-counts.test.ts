// The counts of tasks on every database: what is kept beside the tasks is what counting the tasks would give, whatever ended them.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toUuid } from '../../runtime/contracts/ids.ts';
import type { Store } from '../../runtime/contracts/store.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { ENGINES, newTask, openNode, settling } from '../kit/store.ts';

const boom = { code: 'boom', message: 'it broke', retryable: true };

describe.each(ENGINES)('counts on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;

  beforeAll(async () => {
    ({ db, close } = await backend.open());
  });
  afterAll(() => close());

  async function agree(store: Store): Promise<Record<string, number>> {
    const counted = async (tenant?: string) => {
      const { byState } = await store.tasks.counts(tenant);
      return Object.fromEntries(Object.entries(byState).filter(([, count]) => count > 0));
    };
    const { rows } = await db.query<{ tenant: string; state: string; n: number }>(
      sql('test_count', 'SELECT tenant, state, count(*) AS n FROM task GROUP BY tenant, state'),
    );
    const all: Record<string, number> = {};
    for (const tenant of ['acme', 'other'])
      expect(await counted(tenant)).toEqual(
        Object.fromEntries(rows.filter((row) => row.tenant === tenant).map(({ state, n }) => [state, n])),
      );
    for (const { state, n } of rows) all[state] = (all[state] ?? 0) + n;
    expect(await counted()).toEqual(all);
    return all;
  }

  test('are exact after every way in which a task ends, comes back or is deleted', async () => {
    const store = await openNode(db);
    const doomed = await openNode(db);
    const queue = 'q@1';
    const many = Array.from({ length: 12 }, (_, n) => newTask({ queue, tenant: n % 2 ? 'acme' : 'other' }));
    await Promise.all(many.map((task) => store.tasks.submit(task)));
    expect(await agree(store)).toEqual({ queued: 12 });

    const claims = await store.tasks.claim([{ queue, slots: 8 }]);
    await Promise.all(
      claims.map((claim, n) =>
        store.tasks.settle(
          settling(
            claim,
            n < 3
              ? undefined
              : n === 3
                ? { type: 'retry', error: boom, delayMs: 60_000, charge: true }
                : { type: n === 4 ? 'failed' : 'dead', error: boom },
          ),
        ),
      ),
    );
    expect(await agree(store)).toEqual({ queued: 4, scheduled: 1, completed: 3, failed: 1, dead: 3 });

    // Settled twice, the second is refused and counts nothing.
    if (claims[0]) expect(await store.tasks.settle(settling(claims[0]))).toEqual({ outcome: 'fenced' });
    const back = claims.at(-1);
    if (back) expect(await store.tasks.redrive(back.taskId, back.tenant)).toBe(true);
    expect(await agree(store)).toEqual({ queued: 5, scheduled: 1, completed: 3, failed: 1, dead: 2 });

    const waiting = many.filter(({ id }) => !claims.some(({ taskId }) => taskId === id));
    for (const { id, tenant } of waiting.slice(0, 2)) await store.tasks.cancel(id, tenant);
    const late = newTask({ queue: 'late@1', deadlineMs: 60_000 });
    await store.tasks.submit(late);
    await db.script(`UPDATE task SET deadline_at = 'epoch' WHERE id = '${toUuid(late.id)}'`);
    await store.tasks.expire();
    expect(await agree(store)).toEqual({
      queued: 3,
      scheduled: 1,
      completed: 3,
      failed: 1,
      dead: 2,
      cancelled: 2,
      timed_out: 1,
    });

    await doomed.tasks.claim([{ queue, slots: 1 }]);
    await db.query(
      sql('test_lose', `UPDATE node SET lease_until = 'epoch', lease_ms = 1 WHERE id = $1`, toUuid(doomed.node)),
    );
    await db.script(`UPDATE node SET lease_ms = 1`);
    expect((await store.leases.sweep({ poisonAfter: 1 })).tasks).toBe(1);
    expect(await agree(store)).toMatchObject({ queued: 2, dead: 3 });

    // Old work goes, and the counts of a node that is gone are kept.
    await store.leases.release();
    const later = await openNode(db);
    await db.script(`UPDATE task SET ended_at = 'epoch' WHERE state = 'completed'`);
    await later.retain({ historyDays: 30 });
    expect(await agree(later)).toEqual({ queued: 2, scheduled: 1, failed: 1, dead: 3, cancelled: 2, timed_out: 1 });
    const { rows } = await db.query(sql('test_slots', 'SELECT DISTINCT slot FROM task_tally'));
    expect(rows).toHaveLength(1);
  });
});
