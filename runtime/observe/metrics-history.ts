// Writes the figures of a node down, a row a minute at most: what was added since the last row, and how things stand. A minute in which nothing
// happened has no row. Rows are written again as they are when it is not known whether they were taken, so nothing counts twice.

import type { Clock } from '../contracts/ports.ts';
import type { FigureStore, Figures } from '../contracts/store-figures.ts';
import type { Metrics } from './metrics.ts';

const MINUTE_MS = 60_000;
/** Minutes that wait for the database at most; beyond them the oldest two become one. */
const MAX_WAITING = 30;

export interface MetricsHistory {
  /** Writes what happened since it was last called; without effect when nothing did. Rejects when the database is away: call it again. */
  write(): Promise<void>;
}

export function createMetricsHistory(parts: {
  readonly metrics: Pick<Metrics, 'figures' | 'activity'>;
  readonly store: Pick<FigureStore, 'write'>;
  readonly clock: Pick<Clock, 'nowMs'>;
}): MetricsHistory {
  const { metrics, store, clock } = parts;
  let seen = 0;
  let before: Figures = {};
  /** Not known to be stored; the newest minute goes on growing. */
  const waiting = new Map<number, Figures>();
  let newest: { readonly minute: number; readonly figures: Figures } | undefined;

  const gather = async (): Promise<void> => {
    const activity = metrics.activity();
    if (activity === seen) return;
    const now = await metrics.figures();
    const minute = Math.floor(clock.nowMs() / MINUTE_MS) * MINUTE_MS;
    const added = increase(before, now);
    const figures = newest?.minute === minute ? together(newest.figures, added) : added;
    [seen, before] = [activity, now];
    newest = { minute, figures };
    waiting.set(minute, figures);
    const [oldest, next] = waiting.keys();
    if (waiting.size <= MAX_WAITING || oldest === undefined || next === undefined) return;
    waiting.set(next, together(waiting.get(oldest) ?? {}, waiting.get(next) ?? {}));
    waiting.delete(oldest);
  };

  return {
    async write() {
      await gather();
      for (const [minute, figures] of waiting) {
        await store.write(minute, figures);
        if (waiting.get(minute) === figures) waiting.delete(minute);
      }
    },
  };
}

const isTotal = (name: string): boolean => /_total(\{|$)/.test(name);

/** Of `_total`s what was added; what a thread counted goes with it, and is not taken off. */
function increase(before: Figures, now: Figures): Figures {
  return Object.fromEntries(
    Object.entries(now)
      .map(([name, value]) => [name, isTotal(name) ? Math.max(0, value - (before[name] ?? 0)) : value] as const)
      .filter(([name, value]) => value !== 0 || !isTotal(name)),
  );
}

function together(earlier: Figures, later: Figures): Figures {
  const sums = Object.entries(earlier).map(([name, value]) => [
    name,
    isTotal(name) ? value + (later[name] ?? 0) : value,
  ]);
  return {
    ...later,
    ...Object.fromEntries(sums.filter(([name]) => isTotal(String(name)) || !(String(name) in later))),
  };
}
