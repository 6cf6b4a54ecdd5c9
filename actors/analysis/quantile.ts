// Quantiles and the median absolute deviation. Type 7 throughout (Hyndman and Fan 1996).

import { quickselect } from 'simple-statistics';

/** Quantile of an ascending array, `q` in [0, 1]. NaN for an empty array. */
export function sortedQuantile(sorted: ArrayLike<number>, q: number): number {
  if (sorted.length === 0) return Number.NaN;
  const at = (sorted.length - 1) * q;
  const low = Math.floor(at);
  const below = sorted[low] ?? Number.NaN;
  const above = sorted[Math.min(low + 1, sorted.length - 1)] ?? Number.NaN;
  return at === low ? below : below + (at - low) * (above - below);
}

export function median(values: ArrayLike<number>): number {
  return medianInPlace(Float64Array.from(values));
}

/** The median of values that nobody needs in their order any more: selected, not sorted, because slopes come in tens of thousands. */
export function medianInPlace(values: Float64Array): number {
  if (values.length === 0) return Number.NaN;
  const middle = values.length >> 1;
  // The library asks for a plain array, but only reads and swaps elements.
  quickselect(values as unknown as number[], middle);
  const upper = values[middle] ?? Number.NaN;
  if (values.length % 2 === 1) return upper;
  let lower = Number.NEGATIVE_INFINITY;
  for (let at = 0; at < middle; at++) lower = Math.max(lower, values[at] ?? lower);
  return lower + (upper - lower) / 2;
}

/** Median absolute deviation from the median, unscaled. */
export function medianAbsoluteDeviation(values: ArrayLike<number>, centre = median(values)): number {
  const away = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) away[at] = Math.abs((values[at] ?? 0) - centre);
  return medianInPlace(away);
}
