// Outliers of a series by the modified z-score (Iglewicz and Hoaglin 1993), after the trend and the cycle are taken away.
// Medians throughout: what is sought must not shift what it is measured against.

import { z } from 'zod';
import { meanAndSd } from './describe.ts';
import { median, medianAbsoluteDeviation } from './quantile.ts';
import { detrend } from './seasonality.ts';

export const anomalySchema = z
  .object({
    /** Position in the series, from 0. */
    index: z.number().int(),
    value: z.number(),
    /** What trend and cycle lead to expect here. */
    expected: z.number(),
    /** Modified z-score; its sign tells above from below. */
    score: z.number(),
  })
  .meta({ id: 'Anomaly' });
export type Anomaly = z.infer<typeof anomalySchema>;

export interface AnomalyOptions {
  /** Steps of the cycle to remove first. */
  readonly period?: number | null;
  /** Least |score|. Default 3.5, as Iglewicz and Hoaglin recommend. */
  readonly threshold?: number;
}

/** Makes the median absolute deviation comparable to a standard deviation under a normal distribution. */
const MAD_TO_SD = 1.4826;
const MEAN_AD_TO_SD = 1.2533;
/** Fewer values on one side do not make a scale of their own. */
const MIN_SIDE = 10;
/** Share of the variance. */
const MIN_TREND = 0.1;

/** Strongest first. */
export function findAnomalies(values: readonly number[], options: AnomalyOptions = {}): Anomaly[] {
  if (values.length < 3) return [];
  const expected = expectation(values, options.period ?? null);
  const residuals = values.map((value, at) => value - (expected[at] ?? 0));
  const centre = median(residuals);
  const above = sideScale(residuals.map((residual) => residual - centre));
  const below = sideScale(residuals.map((residual) => centre - residual));
  const threshold = options.threshold ?? 3.5;
  return residuals
    .map((residual, index) => ({
      index,
      value: values[index] ?? 0,
      expected: (expected[index] ?? 0) + centre,
      score: scoreOf(residual - centre, residual > centre ? above : below),
    }))
    .filter((anomaly) => Math.abs(anomaly.score) > threshold)
    .sort((a, b) => Math.abs(b.score) - Math.abs(a.score) || a.index - b.index);
}

/**
 * Scale of one side of the median (double MAD, Rosenmai 2013): a skewed series, such as rain, is not outlying for being skewed.
 * Never below the scale of both sides together.
 */
function sideScale(offsets: readonly number[]): number {
  const side = offsets.filter((offset) => offset > 0);
  const both = medianAbsoluteDeviation(offsets, 0) * MAD_TO_SD;
  return Math.max(both, side.length < MIN_SIDE ? 0 : median(side) * MAD_TO_SD, both === 0 ? meanDeviation(offsets) : 0);
}

const scoreOf = (offset: number, scale: number): number => (scale === 0 ? 0 : offset / scale);

/** For series of which most values are the same, so that their MAD is 0. */
function meanDeviation(offsets: readonly number[]): number {
  return (offsets.reduce((sum, offset) => sum + Math.abs(offset), 0) / offsets.length) * MEAN_AD_TO_SD;
}

/**
 * A smooth trend, the median of each phase of the cycle, and a running median of what both leave. The trend goes first, because a
 * running median lags behind it at the ends, where its window is cut; the cycle goes second, because the median over one cycle
 * falls where values are rarest and would be all noise.
 */
function expectation(values: readonly number[], period: number | null): number[] {
  const usable = period !== null && period >= 2 && period * 2 <= values.length ? period : null;
  const flat = withoutTrend(values);
  const cycle = usable === null ? () => 0 : phaseOf(flat, usable);
  const level = runningMedian(
    flat.map((value, at) => value - cycle(at)),
    windowOf(values.length, usable),
  );
  return values.map((value, at) => value - (flat[at] ?? 0) + cycle(at) + (level[at] ?? 0));
}

/** The cycle, measured against the moving mean over one cycle, so that a slow change of level is not taken for it. */
function phaseOf(values: Float64Array, period: number): (at: number) => number {
  const mean = movingMean(values, period);
  const phases = phaseMedians(
    Array.from(values, (value, at) => value - (mean[at] ?? 0)),
    period,
  );
  return (at) => phases[at % period] ?? 0;
}

/** Centred, over whole cycles; at the ends the nearest whole cycle. */
function movingMean(values: Float64Array, period: number): Float64Array {
  const sums = new Float64Array(values.length + 1);
  for (const [at, value] of values.entries()) sums[at + 1] = (sums[at] ?? 0) + value;
  return values.map((_, at) => {
    const from = Math.min(Math.max(0, at - (period >> 1)), values.length - period);
    return ((sums[from + period] ?? 0) - (sums[from] ?? 0)) / period;
  });
}

/** A trend that explains next to nothing is left in: taking it away would only smear values that are all the same. */
function withoutTrend(values: readonly number[]): Float64Array {
  const flat = detrend(values);
  const kept = meanAndSd(flat).sd / (meanAndSd(values).sd || 1);
  return kept ** 2 > 1 - MIN_TREND ? Float64Array.from(values) : flat;
}

/** Odd, so that it is centred; a whole cycle, so that the level does not follow the cycle. */
function windowOf(n: number, period: number | null): number {
  const wanted = period ?? Math.max(11, Math.floor(n / 10));
  return Math.min(wanted % 2 === 0 ? wanted + 1 : wanted, n % 2 === 0 ? n - 1 : n);
}

/** At the ends the window is cut, not padded. */
function runningMedian(values: Float64Array, window: number): Float64Array {
  const half = Math.floor(window / 2);
  return values.map((_, at) => median(values.subarray(Math.max(0, at - half), at + half + 1)));
}

/** Few cycles make a noisy median: neighbouring phases of a long cycle are pooled. */
function phaseMedians(values: readonly number[], period: number): number[] {
  const cycles = Math.ceil(values.length / period);
  const pool = Math.floor(Math.min(period / 24, Math.max(0, 30 / cycles)));
  const byPhase: number[][] = Array.from({ length: period }, () => []);
  for (const [at, value] of values.entries()) byPhase[at % period]?.push(value);
  return byPhase.map((_, phase) => {
    const pooled: number[] = [];
    for (let off = -pool; off <= pool; off++) pooled.push(...(byPhase[(phase + off + period) % period] ?? []));
    return median(pooled);
  });
}
