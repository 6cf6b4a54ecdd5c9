// The history of a metric as the API gives it: points per node and labels.

import { RuntimeError } from '../contracts/errors.ts';
import type { FigurePoint, FigureStore, MetricHistory } from '../contracts/store-figures.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** Points of one series. */
const MAX_POINTS = 2_000;
/** About so many, where the caller does not say how far apart. */
const FAIR_POINTS = 200;

export interface MetricWish {
  /** Name of a series, without prefix and labels. */
  readonly metric: string;
  /** Milliseconds since 1970; default: an hour before `toMs`. */
  readonly fromMs?: number;
  /** Default: now. */
  readonly toMs?: number;
  /** Whole minutes; default: what gives some 200 points. */
  readonly stepMs?: number;
}

/** @throws RuntimeError `invalid_input` for a range that is none, a step that is no whole number of minutes, or more than 2,000 points. */
export async function metricSeries(
  store: Pick<FigureStore, 'read'>,
  wish: MetricWish,
  nowMs: number,
): Promise<MetricHistory> {
  const toMs = wish.toMs ?? nowMs;
  const fromMs = wish.fromMs ?? toMs - HOUR_MS;
  if (fromMs >= toMs) throw refused('from', 'expected a time before `to`');
  const stepMs = wish.stepMs ?? fairStep(toMs - fromMs);
  if (stepMs < MINUTE_MS || stepMs % MINUTE_MS !== 0) throw refused('stepS', 'expected a multiple of 60');
  if ((toMs - fromMs) / stepMs > MAX_POINTS)
    throw refused('stepS', `more than ${MAX_POINTS} points: take longer steps`);
  const points = await store.read({ metric: wish.metric, fromMs, toMs, stepMs });
  return {
    metric: wish.metric,
    from: new Date(fromMs).toISOString(),
    to: new Date(toMs).toISOString(),
    stepS: stepMs / 1_000,
    series: seriesOf(points),
  };
}

/** Above an hour in whole hours, which are kept longer. */
function fairStep(rangeMs: number): number {
  const wanted = rangeMs / FAIR_POINTS;
  const unit = wanted > HOUR_MS / 2 ? HOUR_MS : MINUTE_MS;
  return Math.max(1, Math.ceil(wanted / unit)) * unit;
}

function seriesOf(points: readonly FigurePoint[]): MetricHistory['series'] {
  const found = new Map<string, MetricHistory['series'][number]>();
  for (const { node, series, atMs, value } of points) {
    const key = `${node} ${series}`;
    const one = found.get(key) ?? { node, labels: labelsOf(series), points: [] };
    found.set(key, one);
    one.points.push([Math.round(atMs / 1_000), value]);
  }
  return [...found.values()];
}

function labelsOf(series: string): Record<string, string> {
  return Object.fromEntries([...series.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
}

function refused(field: string, message: string): RuntimeError {
  return new RuntimeError('invalid_input', `${field}: ${message}`, { details: { field } });
}
