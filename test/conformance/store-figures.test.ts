// The history of metrics in either database: rows that are written again, sums and means, hours made of minutes, what is thrown away, what the
// next incarnation of a node still finds.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Store } from '../../runtime/contracts/store.ts';
import { type StoreDb, sql } from '../../runtime/store/sql.ts';
import { ENGINES, openNode } from '../kit/store.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** A whole hour, some hours ago. */
const base = Math.floor(Date.now() / HOUR) * HOUR - 5 * HOUR;

describe.each(ENGINES)('figures on $name', (backend) => {
  let db: StoreDb;
  let close: () => Promise<void>;
  let store: Store;
  let other: Store;
  beforeAll(async () => {
    ({ db, close } = await backend.open());
    store = await openNode(db);
    other = await openNode(db);
  });
  afterAll(async () => {
    await store.leases.release();
    await other.leases.release();
    await close();
  });

  const read = async (metric: string, fromMs: number, toMs: number, stepMs: number) =>
    (await store.figures.read({ metric, fromMs, toMs, stepMs })).map(({ node, series, atMs, value }) => [
      node === store.node ? 'mine' : node === other.node ? 'other' : node,
      series,
      (atMs - base) / MINUTE,
      value,
    ]);

  test('are sums of what is added and means of levels, per node, labels and step', async () => {
    await store.figures.write(base, { 'a_total{x="1"}': 3, 'a_total{x="2"}': 1, level: 10 });
    await store.figures.write(base + MINUTE, { 'a_total{x="1"}': 4, level: 20 });
    // Said again, it is not counted again.
    await store.figures.write(base + MINUTE, { 'a_total{x="1"}': 4, level: 20 });
    await other.figures.write(base + MINUTE, { 'a_total{x="1"}': 100, a_total_of_other_things: 5 });
    expect(await read('a_total', base, base + 10 * MINUTE, 5 * MINUTE)).toEqual(
      expect.arrayContaining([
        ['mine', 'a_total{x="1"}', 0, 7],
        ['mine', 'a_total{x="2"}', 0, 1],
        ['other', 'a_total{x="1"}', 0, 100],
      ]),
    );
    expect(await read('a_total', base, base + 10 * MINUTE, 5 * MINUTE)).toHaveLength(3);
    expect(await read('level', base, base + 10 * MINUTE, MINUTE)).toEqual([
      ['mine', 'level', 0, 10],
      ['mine', 'level', 1, 20],
    ]);
    expect(await read('level', base, base + 10 * MINUTE, 5 * MINUTE)).toEqual([['mine', 'level', 0, 15]]);
    expect(await read('level', base + MINUTE, base + 2 * MINUTE, MINUTE)).toHaveLength(1);
  });

  test('of hours that are over become hours, once, and read the same', async () => {
    const at = base + HOUR;
    for (let n = 0; n < 6; n++) await store.figures.write(at + n * 10 * MINUTE, { rolled_total: n, depth: n });
    const before = await read('rolled_total', at, at + HOUR, HOUR);
    await store.figures.rollUp();
    await store.figures.rollUp();
    expect(before).toEqual([['mine', 'rolled_total', 60, 15]]);
    expect(await read('rolled_total', at, at + HOUR, HOUR)).toEqual(before);
    expect(await read('depth', at, at + HOUR, HOUR)).toEqual([['mine', 'depth', 60, 2.5]]);
    expect(await read('rolled_total', at, at + HOUR, 10 * MINUTE)).toHaveLength(6);
  });

  test('are thrown away after their time: minutes after a week, hours with the history', async () => {
    const old = base - 10 * DAY;
    await store.figures.write(old, { aged_total: 1 });
    await store.figures.rollUp();
    await store.figures.write(base - 100 * DAY, { aged_total: 1 });
    await store.figures.rollUp();
    await store.retain({ historyDays: 30 });
    const { rows } = await db.query<{ step_s: number }>(
      sql('test_figures_left', `SELECT step_s FROM metric_figures WHERE figures ? 'aged_total'`),
    );
    expect(rows).toEqual([{ step_s: 3_600 }]);
    expect(await read('aged_total', base - 200 * DAY, base, HOUR)).toEqual([['mine', 'aged_total', -10 * 24 * 60, 1]]);
  });

  test('are there for whoever comes after', async () => {
    const next = await openNode(db);
    const found = await next.figures.read({ metric: 'level', fromMs: base, toMs: base + HOUR, stepMs: MINUTE });
    expect(found.map(({ value }) => value)).toEqual([10, 20]);
    await next.leases.release();
  });
});
