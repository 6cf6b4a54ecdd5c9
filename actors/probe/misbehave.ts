// The ways to misbehave that supervision must survive. Each is the real thing.

import { z } from 'zod';

/**
 * `throw`: an exception outside every promise; `thread`: the thread's process.exit; `oom`: the heap filled with small
 * objects; `spin`: an endless loop.
 */
export const exitSchema = z.enum(['throw', 'thread', 'oom', 'spin']);
export type Exit = z.output<typeof exitSchema>;

/** Does not come back, except with the abort reason after `throw` in a cell that outlives it. */
export async function exitBy(how: Exit, signal: AbortSignal): Promise<never> {
  switch (how) {
    case 'throw':
      setImmediate(() => {
        throw new Error('the probe throws outside its promise, as it was told to');
      });
      return await rejectionBy(signal);
    case 'thread':
      return process.exit(1);
    case 'oom':
      return fillHeap();
    case 'spin':
      return spin();
  }
}

/** Keeps the thread busy. */
export function burnCpu(forMs: number, clock: { nowMs(): number }): void {
  const end = clock.nowMs() + forMs;
  while (clock.nowMs() < end);
}

function rejectionBy(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function fillHeap(): never {
  const kept: unknown[] = [];
  for (;;) kept.push({ at: kept.length, text: `small object ${kept.length}` });
}

function spin(): never {
  for (;;);
}
