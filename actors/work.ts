// What long pure work needs of its surroundings: when to stop, whom to tell, and a breath so that the thread can answer.

import { setImmediate as nextTurn } from 'node:timers/promises';

export interface Work {
  readonly signal: AbortSignal;
  /** `fraction` from 0 to 1; `note` in a few words. */
  progress(fraction: number, note: string): void;
}

/** What `ctx.progress` is given by the agents of this folder. */
export interface WorkProgress {
  readonly fraction: number;
  readonly note: string;
}

/** Work that nobody watches: for tests and small inputs. */
export const quietWork: Work = { signal: new AbortController().signal, progress: () => {} };

/** The work of one task, from its context. */
export function workOf(ctx: { readonly signal: AbortSignal; progress(progress: unknown): void }): Work {
  return {
    signal: ctx.signal,
    progress: (fraction, note) =>
      ctx.progress({ fraction: Math.round(fraction * 1_000) / 1_000, note } satisfies WorkProgress),
  };
}

/** Lets messages, heartbeats and other agents of the thread have a turn. Throws the abort reason when the work is cancelled. */
export async function breathe(work: Work): Promise<void> {
  await nextTurn();
  work.signal.throwIfAborted();
}

/** A part of some work, mapped to its share of the whole. */
export function share(work: Work, from: number, to: number): Work {
  return { signal: work.signal, progress: (fraction, note) => work.progress(from + fraction * (to - from), note) };
}
