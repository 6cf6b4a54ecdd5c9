// Time and silence for the HTTP edge when nobody passes a clock or a log: an app mounted in a user's own server.

import type { Clock, Logger } from '../runtime/contracts/ports.ts';

const MAX_TIMER_MS = 2 ** 31 - 1;
const clamp = (ms: number): number => Math.min(Math.max(ms, 0), MAX_TIMER_MS);

export const hostClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimeout(fn, delayMs) {
    const timer = setTimeout(fn, clamp(delayMs));
    return () => clearTimeout(timer);
  },
  setInterval(fn, everyMs) {
    const timer = setInterval(fn, Math.max(1, clamp(everyMs)));
    return () => clearInterval(timer);
  },
};

export const quietLog: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quietLog,
};
