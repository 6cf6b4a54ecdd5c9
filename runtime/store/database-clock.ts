// The clock of the database as this node knows it: what its last answer said, and the time since then. Decides no lease.

import type { Clock } from '../contracts/ports.ts';

export interface DatabaseClock {
  /** Milliseconds since 1970. Until the first answer the clock of this machine. */
  nowMs(): number;
  /** An answer said this time just now. */
  saw(atMs: number): void;
}

export function createDatabaseClock(clock: Pick<Clock, 'nowMs' | 'monotonicMs'>): DatabaseClock {
  let seen = { atMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
  return {
    nowMs: () => seen.atMs + clock.monotonicMs() - seen.monotonicMs,
    saw(atMs) {
      seen = { atMs, monotonicMs: clock.monotonicMs() };
    },
  };
}
