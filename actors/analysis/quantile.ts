// Quantiles and the median absolute deviation. Type 7 throughout (Hyndman and Fan 1996).

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
  return sortedQuantile(Float64Array.from(values).sort(), 0.5);
}

/** Median absolute deviation from the median, unscaled. */
export function medianAbsoluteDeviation(values: ArrayLike<number>, centre = median(values)): number {
  const away = new Float64Array(values.length);
  for (let at = 0; at < values.length; at++) away[at] = Math.abs((values[at] ?? 0) - centre);
  return sortedQuantile(away.sort(), 0.5);
}
