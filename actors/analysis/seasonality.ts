// Finds the cycle of a series: autocorrelation of the detrended series proposes a period, a harmonic fit settles it.

import { z } from 'zod';
import { meanAndSd } from './describe.ts';
import { leastSquares } from './least-squares.ts';

export const seasonalitySchema = z
  .object({
    /** In steps of the series; null when there is no cycle to speak of. */
    period: z.number().int().nullable(),
    /** Autocorrelation of the detrended series at the period, -1 to 1. */
    autocorrelation: z.number(),
    /** Share of the detrended variance that the mean cycle explains, 0 to 1. */
    strength: z.number(),
    /** Mean of the detrended series per phase (smoothed when the cycle is long), from the first step on; empty without a period. */
    profile: z.array(z.number()),
  })
  .meta({ id: 'Seasonality' });
export type Seasonality = z.infer<typeof seasonalitySchema>;

/** A peak of the autocorrelation below this is taken for noise, whatever the length of the series. */
const MIN_AUTOCORRELATION = 0.2;
/** Of several peaks nearly as high as the highest, the first is the period and the others are its multiples. */
const NEARLY = 0.85;
const MAX_LAG = 1_500;
/** What was seen fewer times may as well be chance. */
const MIN_CYCLES = 3;

/** `maxPeriod` defaults to a third of the series, its highest value; at most 1,500 steps. Fewer than 8 values have no period. */
export function findSeasonality(values: readonly number[], options: { maxPeriod?: number } = {}): Seasonality {
  const none: Seasonality = { period: null, autocorrelation: 0, strength: 0, profile: [] };
  if (values.length < 8) return none;
  const detrended = detrend(values);
  const third = Math.floor(values.length / MIN_CYCLES);
  const maxLag = Math.min(options.maxPeriod ?? third, third, MAX_LAG);
  const acf = autocorrelations(detrended, maxLag + 1);
  const proposed = firstHighPeak(acf, noiseLevel(values.length));
  if (proposed === undefined) return none;
  const period = settle(detrended, proposed, maxLag);
  const means = phaseMeans(detrended, period);
  const strength = explained(detrended, means);
  return { period, autocorrelation: acf[period] ?? 0, strength, profile: smooth(means) };
}

/** The series without its quadratic trend: a straight line would leave a bow that drowns the cycle. */
export function detrend(values: readonly number[]): Float64Array {
  const n = values.length;
  const time = Float64Array.from({ length: n }, (_, at) => at / n);
  const fitted = leastSquares([time, time.map((value) => value * value)], values);
  if (fitted.ok) return fitted.fit.residuals;
  const { mean } = meanAndSd(values);
  return Float64Array.from(values, (value) => value - mean);
}

/** Entry `lag` is the autocorrelation at that lag (biased estimator, so that long lags are not inflated). */
export function autocorrelations(values: Float64Array, maxLag: number): Float64Array {
  const result = new Float64Array(maxLag + 1);
  for (let lag = 0; lag <= maxLag; lag++) {
    let sum = 0;
    for (let at = lag; at < values.length; at++) sum += (values[at] ?? 0) * (values[at - lag] ?? 0);
    result[lag] = sum;
  }
  const variance = result[0] ?? 0;
  return variance === 0 ? result : result.map((value) => value / variance);
}

const noiseLevel = (n: number): number => Math.max(MIN_AUTOCORRELATION, 2.6 / Math.sqrt(n));

/** The first of the highest local maxima beyond the first lag at which the series no longer resembles itself. */
function firstHighPeak(acf: Float64Array, noise: number): number | undefined {
  let start = 1;
  while (start < acf.length && (acf[start] ?? 0) > 0) start++;
  const peaks: number[] = [];
  for (let lag = Math.max(2, start); lag < acf.length - 1; lag++) {
    const here = acf[lag] ?? 0;
    if (here > noise && here >= (acf[lag - 1] ?? 0) && here >= (acf[lag + 1] ?? 0)) peaks.push(lag);
  }
  const highest = Math.max(...peaks.map((lag) => acf[lag] ?? 0));
  const first = peaks.find((lag) => (acf[lag] ?? 0) >= NEARLY * highest);
  if (first === undefined) return undefined;
  // Noise makes a wide peak ragged: take its top within the width of a tenth of the period.
  const near = peaks.filter((lag) => lag >= first && lag <= first * 1.1);
  return near.reduce((best, lag) => ((acf[lag] ?? 0) > (acf[best] ?? 0) ? lag : best), first);
}

/** Tries the periods around the proposed one and keeps the one whose sine and cosine explain most. */
function settle(values: Float64Array, proposed: number, maxLag: number): number {
  const reach = Math.floor(proposed * 0.06);
  if (reach < 1) return proposed;
  let best = { period: proposed, power: harmonicPower(values, proposed) };
  for (let period = Math.max(2, proposed - reach); period <= Math.min(maxLag, proposed + reach); period++) {
    const power = harmonicPower(values, period);
    if (power > best.power) best = { period, power };
  }
  return best.period;
}

/** R squared of one sine wave beside a trend: fitted together, because a few cycles and a trend are not orthogonal. */
function harmonicPower(values: Float64Array, period: number): number {
  const over = (of: (at: number) => number) => Float64Array.from(values, (_, at) => of(at));
  const angle = (2 * Math.PI) / period;
  const columns = [over((at) => at), over((at) => Math.cos(angle * at)), over((at) => Math.sin(angle * at))];
  const fitted = leastSquares(columns, values);
  return fitted.ok ? fitted.fit.rSquared : 0;
}

function phaseMeans(values: Float64Array, period: number): number[] {
  const sums = new Array<number>(period).fill(0);
  const counts = new Array<number>(period).fill(0);
  for (let at = 0; at < values.length; at++) {
    sums[at % period] = (sums[at % period] ?? 0) + (values[at] ?? 0);
    counts[at % period] = (counts[at % period] ?? 0) + 1;
  }
  return sums.map((sum, phase) => sum / Math.max(1, counts[phase] ?? 1));
}

/** A long cycle seen a few times has a ragged profile: each phase is averaged with its neighbours, a twenty-fourth to each side. */
function smooth(profile: readonly number[]): number[] {
  const n = profile.length;
  const reach = Math.floor(n / 24);
  return profile.map((_, phase) => {
    let sum = 0;
    for (let off = -reach; off <= reach; off++) sum += profile[(phase + off + n) % n] ?? 0;
    return sum / (2 * reach + 1);
  });
}

/** Adjusted for the number of phases, which would explain noise by their number alone (as adjusted R squared). */
function explained(values: Float64Array, profile: readonly number[]): number {
  const period = profile.length;
  let left = 0;
  let all = 0;
  for (let at = 0; at < values.length; at++) {
    left += ((values[at] ?? 0) - (profile[at % period] ?? 0)) ** 2;
    all += (values[at] ?? 0) ** 2;
  }
  const n = values.length;
  if (all === 0 || n <= period) return 0;
  return Math.min(1, Math.max(0, 1 - left / (n - period) / (all / (n - 1))));
}
