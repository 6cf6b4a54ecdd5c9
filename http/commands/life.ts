// How commands that stay learn that they should end, and make sure that they do.

import { EXIT } from '../exit-codes.ts';

const LEFTOVER_MS = 2_000;

/** Resolves with the first SIGTERM or SIGINT, for an orderly end; a second one ends the process at once. */
export function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let count = 0;
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        count++;
        if (count > 1) process.exit(EXIT.failure);
        resolve(signal);
      });
    }
  });
}

/** Nothing should be left after a stop; if something is, it must not keep the process alive. */
export function endSoon(): void {
  setTimeout(() => process.exit(), LEFTOVER_MS).unref();
}
