// Time along a line: where a moment lies, and which round times are written under it. Pure.

export interface TimeScale {
  readonly fromMs: number;
  readonly toMs: number;
  /** 0 to 1, clamped. */
  at(ms: number): number;
}

/** An empty span is widened to one millisecond. */
export function timeScale(fromMs: number, toMs: number): TimeScale {
  const span = Math.max(1, toMs - fromMs);
  return { fromMs, toMs: fromMs + span, at: (ms) => Math.min(1, Math.max(0, (ms - fromMs) / span)) };
}

const STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000,
  900_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
];

/** Offsets from the beginning in ms, at round distances, at most `most` of them, 0 first. */
export function ticks(spanMs: number, most: number): readonly number[] {
  const least = spanMs / Math.max(1, most);
  const day = 86_400_000;
  const step = STEPS.find((one) => one >= least) ?? Math.ceil(least / day) * day;
  return Array.from({ length: Math.floor(spanMs / step) + 1 }, (_, index) => index * step).slice(0, most + 1);
}
