// How long to wait before a restart. Pure: time and chance are arguments.

import type { Backoff } from '../contracts/supervision.ts';

/** Restarts in a row, and when the last of them was decided (monotonic). */
export interface BackoffState {
  readonly attempts: number;
  readonly lastAtMs: number;
}

export const NO_BACKOFF: BackoffState = { attempts: 0, lastAtMs: Number.NEGATIVE_INFINITY };

/**
 * The delay of the next restart: `minMs * factor^attempts`, capped at `maxMs`, varied by +-`jitter`.
 * `random` is uniform in [0, 1). After `resetAfterMs` without a restart the row begins anew.
 */
export function nextBackoff(
  previous: BackoffState,
  backoff: Backoff,
  at: { readonly nowMs: number; readonly random: number },
): { readonly delayMs: number; readonly state: BackoffState } {
  const calm = at.nowMs - previous.lastAtMs >= backoff.resetAfterMs;
  const attempts = calm ? 0 : previous.attempts;
  // `factor ** attempts` becomes infinite in time, and 0 times that is no number.
  const base = backoff.minMs === 0 ? 0 : Math.min(backoff.maxMs, backoff.minMs * backoff.factor ** attempts);
  const delayMs = Math.round(base * (1 + backoff.jitter * (2 * at.random - 1)));
  return { delayMs, state: { attempts: attempts + 1, lastAtMs: at.nowMs + delayMs } };
}
