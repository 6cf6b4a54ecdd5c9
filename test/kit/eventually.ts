// A patient look at something that happens elsewhere, in another thread, process or server.

import { setTimeout as sleep } from 'node:timers/promises';

const LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 20;

/** Resolves with the first answer that is not undefined or false; rejects, naming what was awaited, when there is none in time. */
export async function eventually<T>(
  look: () => Promise<T | undefined | false> | T | undefined | false,
  what: string = look.toString(),
  limitMs = LIMIT_MS,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain: ${what}`);
    await sleep(LOOK_EVERY_MS);
  }
}
