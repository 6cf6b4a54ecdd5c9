// Tells from its beats how a thread lives: idle, busy, stuck or dead. It judges and counts; the pool kills.

import { BEAT, PROGRESS } from '../transport/frames.ts';

export type Liveness = 'idle' | 'busy' | 'stuck' | 'dead';

/** What one thread has shown so far. */
export class Pulse {
  readonly #life: Int32Array;
  #beat = 0;
  #progress = 0;
  #beatSeenAtMs: number;
  #progressSeenAtMs: number;
  /** Whether its stuckness has been told. */
  told = false;

  constructor(life: Int32Array, nowMs: number) {
    this.#life = life;
    this.#beatSeenAtMs = nowMs;
    this.#progressSeenAtMs = nowMs;
  }

  /** Reads the shared memory. `pausedMs`: how long the watchdog itself stood still, which is nobody's fault. */
  read(nowMs: number, pausedMs: number): void {
    const beat = Atomics.load(this.#life, BEAT);
    const progress = Atomics.load(this.#life, PROGRESS);
    if (beat !== this.#beat) {
      this.#beat = beat;
      this.#beatSeenAtMs = nowMs;
      this.told = false;
    } else this.#beatSeenAtMs += pausedMs;
    if (progress !== this.#progress) {
      this.#progress = progress;
      this.#progressSeenAtMs = nowMs;
    } else this.#progressSeenAtMs += pausedMs;
  }

  /** Milliseconds without a turn of its loop. */
  silentMs(nowMs: number): number {
    return Math.max(0, nowMs - this.#beatSeenAtMs);
  }

  /** Milliseconds with neither a beat nor a finished handler. */
  motionlessMs(nowMs: number): number {
    return Math.max(0, nowMs - Math.max(this.#beatSeenAtMs, this.#progressSeenAtMs));
  }
}

export interface Verdict {
  readonly liveness: Liveness;
  readonly kill: boolean;
}

/**
 * Judges a thread. `tasks`: when each of its running attempts is over for good (time limit plus grace), the one on the
 * stack first known by `onStackDueMs`. A loop that is blocked inside a time limit is busy; beyond it the thread is killed.
 * Without any task it is killed after `stuckKillMs`.
 */
export function judge(facts: {
  readonly motionlessMs: number;
  readonly nowMs: number;
  readonly dueAtMs: readonly number[];
  readonly onStackDueMs: number | undefined;
  readonly working: boolean;
  readonly stuckAfterMs: number;
  readonly stuckKillMs: number;
}): Verdict {
  const { motionlessMs, nowMs, dueAtMs, onStackDueMs, working, stuckAfterMs, stuckKillMs } = facts;
  if (motionlessMs <= stuckAfterMs) return { liveness: working ? 'busy' : 'idle', kill: false };
  if (onStackDueMs !== undefined) {
    return onStackDueMs > nowMs ? { liveness: 'busy', kill: false } : { liveness: 'stuck', kill: true };
  }
  if (dueAtMs.length === 0) return { liveness: 'stuck', kill: motionlessMs > stuckKillMs };
  if (dueAtMs.some((due) => due <= nowMs)) return { liveness: 'stuck', kill: true };
  return { liveness: 'busy', kill: false };
}
