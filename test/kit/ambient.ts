// The surroundings of a unit under test: manual time, seeded randomness, reproducible ids, a log that can be read.

import { createIdFactory } from '../../runtime/contracts/ids.ts';
import type { Ambient, Logger, Random } from '../../runtime/contracts/ports.ts';
import { ManualClock } from './manual-clock.ts';

export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

export interface TestAmbient extends Ambient {
  readonly clock: ManualClock;
  /** What was logged, oldest first, lines of child loggers included with their fields merged. */
  readonly logged: readonly LoggedLine[];
}

/** A fresh {@link Ambient}: the same seed gives the same random numbers and ids. Nothing is printed. */
export function testAmbient(options: { readonly seed?: number; readonly startMs?: number } = {}): TestAmbient {
  const clock = new ManualClock(options.startMs);
  const random = seededRandom(options.seed ?? 1);
  const logged: LoggedLine[] = [];
  const randomBytes = (count: number) => Uint8Array.from({ length: count }, () => Math.floor(random() * 256));
  const newId = createIdFactory({ nowMs: () => clock.nowMs(), randomBytes });
  return { clock, random, newId, log: recordingLogger(logged), logged };
}

/** Uniform in [0, 1) and the same for the same seed (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A {@link Logger} that appends to `lines`. */
export function recordingLogger(lines: LoggedLine[], bound: Record<string, unknown> = {}): Logger {
  const at =
    (level: LoggedLine['level']) =>
    (message: string, fields: Record<string, unknown> = {}): void => {
      lines.push({ level, message, fields: { ...bound, ...fields } });
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recordingLogger(lines, { ...bound, ...fields }),
  };
}

/** A {@link Logger} that says nothing. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
