// Time that stands still until a test moves it. Timers fire in order of their deadline, ties in the order they were set.

import type { Clock, Dispose } from '../../runtime/contracts/ports.ts';

const MAX_TIMER_MS = 2 ** 31 - 1;

interface Timer {
  readonly seq: number;
  readonly fn: () => void;
  readonly everyMs: number | undefined;
  dueMs: number;
}

/** A {@link Clock} for tests: `advance` moves both the wall clock and the monotonic one. */
export class ManualClock implements Clock {
  #wallMs: number;
  #monotonicMs = 0;
  #seq = 0;
  readonly #timers = new Set<Timer>();

  /** Starts at 2026-01-01 unless told otherwise. */
  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#wallMs = startMs;
  }

  nowMs(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  setTimeout(fn: () => void, delayMs: number): Dispose {
    return this.#add(fn, delayMs, undefined);
  }

  setInterval(fn: () => void, everyMs: number): Dispose {
    return this.#add(fn, everyMs, Math.max(1, clamp(everyMs)));
  }

  /** Timers that have not fired nor been cleared; 0 at the end of a test that leaks none. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Milliseconds until the next timer, or undefined when there is none. */
  nextInMs(): number | undefined {
    const next = this.#next(Number.POSITIVE_INFINITY);
    return next === undefined ? undefined : next.dueMs - this.#monotonicMs;
  }

  /** Moves time on and fires, in order, all that falls due: timers set by those that fire included. */
  advance(ms: number): void {
    const until = this.#monotonicMs + ms;
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) this.#fire(timer);
    this.#moveTo(until);
  }

  /** Like {@link advance}, but lets promises settle before the start, between any two timers and at the end. */
  async advanceAsync(ms: number): Promise<void> {
    const until = this.#monotonicMs + ms;
    await settle();
    for (let timer = this.#next(until); timer !== undefined; timer = this.#next(until)) {
      this.#fire(timer);
      await settle();
    }
    this.#moveTo(until);
  }

  /** The wall clock jumps (NTP, an administrator); the monotonic one and the timers do not notice. */
  jumpWall(ms: number): void {
    this.#wallMs += ms;
  }

  #add(fn: () => void, delayMs: number, everyMs: number | undefined): Dispose {
    const timer: Timer = { seq: this.#seq++, fn, everyMs, dueMs: this.#monotonicMs + clamp(delayMs) };
    this.#timers.add(timer);
    return () => {
      this.#timers.delete(timer);
    };
  }

  #next(untilMs: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.dueMs > untilMs) continue;
      const earlier =
        next === undefined || timer.dueMs < next.dueMs || (timer.dueMs === next.dueMs && timer.seq < next.seq);
      if (earlier) next = timer;
    }
    return next;
  }

  #fire(timer: Timer): void {
    this.#moveTo(timer.dueMs);
    if (timer.everyMs === undefined) this.#timers.delete(timer);
    else timer.dueMs += timer.everyMs;
    timer.fn();
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}

/** Lets every promise that can settle now do so: one turn of the event loop, no time passes on a manual clock. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function clamp(ms: number): number {
  return Number.isFinite(ms) ? Math.min(MAX_TIMER_MS, Math.max(0, ms)) : ms > 0 ? MAX_TIMER_MS : 0;
}
