// The figures of a node on their way into the database: a row a minute at most, none while nothing happens, nothing twice.

import { describe, expect, test } from 'vitest';
import type { Figures } from '../../runtime/contracts/store-figures.ts';
import { createMetricsHistory } from '../../runtime/observe/metrics-history.ts';
import { testAmbient } from '../kit/ambient.ts';

const MINUTE = 60_000;

function world() {
  const { clock } = testAmbient({ startMs: 0 });
  const now = { figures: {} as Record<string, number>, activity: 0 };
  const rows = new Map<number, Figures>();
  const store = { writes: 0, refuses: false, loses: false };
  const history = createMetricsHistory({
    clock,
    metrics: { figures: async () => ({ ...now.figures }), activity: () => now.activity },
    store: {
      async write(minute, figures) {
        store.writes += 1;
        if (store.refuses) throw new Error('away');
        rows.set(minute, figures);
        if (store.loses) throw new Error('the answer is lost');
      },
    },
  });
  const happens = (figures: Record<string, number>): void => {
    Object.assign(now.figures, figures);
    now.activity += 1;
  };
  return { clock, rows, store, history, happens };
}

describe('the history', () => {
  test('has what was added since the last row, and levels as they are', async () => {
    const { clock, rows, history, happens } = world();
    happens({ 'done_total{outcome="ok"}': 5, agents: 3 });
    await history.write();
    clock.advance(MINUTE);
    happens({ 'done_total{outcome="ok"}': 7, agents: 2 });
    await history.write();
    expect([...rows]).toEqual([
      [0, { 'done_total{outcome="ok"}': 5, agents: 3 }],
      [MINUTE, { 'done_total{outcome="ok"}': 2, agents: 2 }],
    ]);
  });

  test('writes nothing while nothing happens', async () => {
    const { clock, store, history, happens } = world();
    happens({ done_total: 1 });
    for (let minute = 0; minute < 10; minute++) {
      await history.write();
      clock.advance(MINUTE);
    }
    expect(store.writes).toBe(1);
  });

  test('adds to the row of the same minute', async () => {
    const { rows, history, happens } = world();
    happens({ done_total: 1, agents: 1 });
    await history.write();
    happens({ done_total: 4, agents: 9 });
    await history.write();
    expect([...rows]).toEqual([[0, { done_total: 4, agents: 9 }]]);
  });

  test.each(['refuses', 'loses'] as const)('counts once what a database that %s it took or did not', async (how) => {
    const { clock, rows, store, history, happens } = world();
    happens({ done_total: 1 });
    store[how] = true;
    await expect(history.write()).rejects.toThrow();
    clock.advance(MINUTE);
    happens({ done_total: 3 });
    await expect(history.write()).rejects.toThrow();
    store[how] = false;
    await history.write();
    expect([...rows]).toEqual([
      [0, { done_total: 1 }],
      [MINUTE, { done_total: 2 }],
    ]);
  });

  test('loses nothing while the database is away for long, and stays small', async () => {
    const { clock, rows, store, history, happens } = world();
    store.refuses = true;
    for (let n = 1; n <= 100; n++) {
      happens({ done_total: n });
      await expect(history.write()).rejects.toThrow();
      clock.advance(MINUTE);
    }
    store.refuses = false;
    await history.write();
    expect(rows.size).toBe(30);
    expect([...rows.values()].reduce((sum, figures) => sum + (figures.done_total ?? 0), 0)).toBe(100);
  });

  test('takes nothing off when a counter falls back', async () => {
    const { clock, rows, history, happens } = world();
    happens({ moved_total: 10 });
    await history.write();
    clock.advance(MINUTE);
    happens({ moved_total: 4 });
    await history.write();
    expect(rows.get(MINUTE)).toEqual({});
  });
});
