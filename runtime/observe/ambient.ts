// The real clock, randomness and ids: the only place of the runtime where they come from outside. Everything else takes them as arguments.

import { randomBytes } from 'node:crypto';
import { createIdFactory } from '../contracts/ids.ts';
import type { Ambient, Clock, Logger } from '../contracts/ports.ts';

/** The longest timer Node has: a longer one fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Bytes of randomness drawn at once. */
const RANDOM_POOL = 4_096;

/** A duration a timer can take: within [0, 2^31 - 1] ms; what is no number counts as 0. */
export function clampDelayMs(delayMs: number): number {
  return Number.isNaN(delayMs) ? 0 : Math.min(Math.max(delayMs, 0), MAX_TIMER_MS);
}

/** The clock of the machine. Its timers keep the process alive until they fire or are disposed. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout(fn, delayMs) {
    const timer = setTimeout(fn, clampDelayMs(delayMs));
    return () => clearTimeout(timer);
  },
  setInterval(fn, everyMs) {
    const timer = setInterval(fn, Math.max(1, clampDelayMs(everyMs)));
    return () => clearInterval(timer);
  },
};

/** Cryptographic randomness, drawn in bulk: each call of its source costs more than the rest of making an id. No byte is given twice. */
function pooledRandomBytes(): (count: number) => Uint8Array {
  let pool: Uint8Array = new Uint8Array(0);
  let at = 0;
  return (count) => {
    if (at + count > pool.length) {
      pool = randomBytes(Math.max(RANDOM_POOL, count));
      at = 0;
    }
    at += count;
    return pool.subarray(at - count, at);
  };
}

/** What a real node runs on. Ids take cryptographic randomness; `random` (jitter, rotation) need not. */
export function systemAmbient(log: Logger): Ambient {
  return {
    clock: systemClock,
    random: Math.random,
    newId: createIdFactory({ nowMs: systemClock.nowMs, randomBytes: pooledRandomBytes() }),
    log,
  };
}
