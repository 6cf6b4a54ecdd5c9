// Counts restarts in a sliding window (OTP supervisor: restart intensity and period). Pure: time is an argument.

import type { RestartIntensity } from '../contracts/supervision.ts';

export interface IntensityVerdict {
  /** One restart too many: the supervisor must fail. */
  readonly exceeded: boolean;
  /** The restarts to remember for the next call, newest first; never more than `maxRestarts + 1`. */
  readonly restartsAtMs: readonly number[];
}

/**
 * Adds a restart at `nowMs` (monotonic). Exceeded when more than `maxRestarts` lie within `withinMs`;
 * one that is exactly `withinMs` old still counts, as in OTP's `add_restart`.
 */
export function addRestart(
  restartsAtMs: readonly number[],
  nowMs: number,
  { maxRestarts, withinMs }: RestartIntensity,
): IntensityVerdict {
  const recent = [nowMs, ...restartsAtMs.filter((at) => at >= nowMs - withinMs)];
  return { exceeded: recent.length > maxRestarts, restartsAtMs: recent.slice(0, maxRestarts + 1) };
}
