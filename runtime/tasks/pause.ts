// Waiting on an injected clock: a wait that always ends, by time or by its signal, and back-off with jitter.

import type { Clock, Random } from '../contracts/ports.ts';

/** Resolves after `ms` or as soon as `signal` aborts; never rejects. */
export function pause(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const cancel = clock.setTimeout(done, ms);
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Whether `work` settled within `ms`. The work itself goes on. */
export async function settledWithin(clock: Clock, work: Promise<unknown>, ms: number): Promise<boolean> {
  const over = new AbortController();
  const settled = work.then(
    () => true,
    () => true,
  );
  const ended = await Promise.race([settled, pause(clock, ms, over.signal).then(() => false)]);
  over.abort();
  return ended;
}

/** Wait before try number `failures` + 1: doubles from `baseMs` to `capMs`, half of it fixed and half by chance. */
export function jitteredBackoffMs(failures: number, baseMs: number, capMs: number, random: Random): number {
  const full = Math.min(baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30), capMs);
  return Math.ceil(full * (0.5 + random() / 2));
}

/** The `code` of a thrown value, if it has one. */
export function errorCode(thrown: unknown): string | undefined {
  const code = (thrown as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
