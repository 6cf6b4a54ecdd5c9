// The trend of a series, three ways: least squares, Theil-Sen (robust against outliers), Mann-Kendall (is there one at all).

import { z } from 'zod';
import { leastSquares } from './least-squares.ts';
import { medianInPlace } from './quantile.ts';

export const trendSchema = z
  .object({
    direction: z.enum(['rising', 'falling', 'none']),
    /** Least squares, change per step. */
    slope: z.number(),
    standardError: z.number(),
    rSquared: z.number(),
    /** Median of the slopes of all pairs (Sen 1968), change per step. */
    robustSlope: z.number(),
    /** Mann-Kendall, two-sided, normal approximation with ties corrected. */
    tau: z.number(),
    pValue: z.number(),
  })
  .meta({ id: 'Trend' });
export type Trend = z.infer<typeof trendSchema>;

const SIGNIFICANT = 0.01;
/** Pairs grow with the square: a longer series is thinned evenly for Theil-Sen and Mann-Kendall. */
const MAX_POINTS = 2_000;

/** Needs at least 3 values. */
export function findTrend(values: readonly number[]): Trend {
  const time = Float64Array.from(values, (_, at) => at);
  const fitted = leastSquares([time], values);
  const stride = Math.ceil(values.length / MAX_POINTS);
  const thinned = stride === 1 ? values : values.filter((_, at) => at % stride === 0);
  const { tau, pValue } = mannKendall(thinned);
  return {
    direction: pValue < SIGNIFICANT && tau !== 0 ? (tau > 0 ? 'rising' : 'falling') : 'none',
    slope: fitted.ok ? (fitted.fit.coefficients[1] ?? 0) : 0,
    standardError: fitted.ok ? (fitted.fit.standardErrors[1] ?? 0) : 0,
    rSquared: fitted.ok ? fitted.fit.rSquared : 0,
    robustSlope: theilSen(thinned) / stride,
    tau,
    pValue,
  };
}

export function theilSen(values: readonly number[]): number {
  const n = values.length;
  const slopes = new Float64Array((n * (n - 1)) / 2);
  let next = 0;
  for (let later = 1; later < n; later++) {
    for (let earlier = 0; earlier < later; earlier++) {
      slopes[next++] = ((values[later] ?? 0) - (values[earlier] ?? 0)) / (later - earlier);
    }
  }
  return medianInPlace(slopes);
}

export function mannKendall(values: readonly number[]): { readonly tau: number; readonly pValue: number } {
  const n = values.length;
  let s = 0;
  for (let later = 1; later < n; later++) {
    for (let earlier = 0; earlier < later; earlier++) s += Math.sign((values[later] ?? 0) - (values[earlier] ?? 0));
  }
  const ties = new Map<number, number>();
  for (const value of values) ties.set(value, (ties.get(value) ?? 0) + 1);
  let tied = 0;
  for (const count of ties.values()) tied += count * (count - 1) * (2 * count + 5);
  const variance = (n * (n - 1) * (2 * n + 5) - tied) / 18;
  const z = variance === 0 ? 0 : (s - Math.sign(s)) / Math.sqrt(variance);
  return { tau: n < 2 ? 0 : (2 * s) / (n * (n - 1)), pValue: 2 * (1 - normalCdf(Math.abs(z))) };
}

/** Abramowitz and Stegun 26.2.17: absolute error below 7.5e-8. */
function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * x);
  const tail = t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return 1 - (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * tail;
}
