// Descriptive statistics of one series. Two passes over the data, so that a large mean does not eat the variance.

import { z } from 'zod';
import { sortedQuantile } from './quantile.ts';

export const descriptionSchema = z
  .object({
    n: z.number().int(),
    mean: z.number(),
    /** Sample standard deviation (n - 1); null for one value. */
    sd: z.number().nullable(),
    min: z.number(),
    q1: z.number(),
    median: z.number(),
    q3: z.number(),
    max: z.number(),
    sum: z.number(),
  })
  .meta({ id: 'Description' });
export type Description = z.infer<typeof descriptionSchema>;

/** Quantiles are of type 7 (Hyndman and Fan 1996), as in R, NumPy and spreadsheets. `values` must not be empty. */
export function describeValues(values: readonly number[]): Description {
  const sorted = Float64Array.from(values).sort();
  const { mean, sd } = meanAndSd(values);
  return {
    n: values.length,
    mean,
    sd: values.length > 1 ? sd : null,
    min: sortedQuantile(sorted, 0),
    q1: sortedQuantile(sorted, 0.25),
    median: sortedQuantile(sorted, 0.5),
    q3: sortedQuantile(sorted, 0.75),
    max: sortedQuantile(sorted, 1),
    sum: compensatedSum(values),
  };
}

/** Mean and sample standard deviation; `sd` is 0 for a single value. Corrected two-pass (Chan, Golub, LeVeque 1983). */
export function meanAndSd(values: ArrayLike<number>): { readonly mean: number; readonly sd: number } {
  const n = values.length;
  const mean = compensatedSum(values) / n;
  let squares = 0;
  let drift = 0;
  for (let at = 0; at < n; at++) {
    const off = (values[at] ?? 0) - mean;
    squares += off * off;
    drift += off;
  }
  const variance = n > 1 ? (squares - (drift * drift) / n) / (n - 1) : 0;
  return { mean: mean + drift / n, sd: Math.sqrt(Math.max(0, variance)) };
}

/** Neumaier's sum: the rounding error of each addition is kept and added at the end. */
export function compensatedSum(values: ArrayLike<number>): number {
  let sum = 0;
  let lost = 0;
  for (let at = 0; at < values.length; at++) {
    const value = values[at] ?? 0;
    const next = sum + value;
    lost += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
    sum = next;
  }
  return sum + lost;
}
