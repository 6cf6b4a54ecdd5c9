// Ends of steps that wait for the decision on them: settled in its commit, or alone when there can be none.

import type { InboxEvent, SettleAnswer, SettledStep, TaskStore } from '../contracts/store.ts';
import type { Coordinator, Prepared } from './coordinator.ts';
import type { RunLoopParts } from './ports.ts';
import type { RunCommit } from './run-commit.ts';

/** `decided`: the run has taken it. */
export type DecidedAnswer = SettleAnswer & { readonly decided?: boolean };

export interface HeldEnd extends SettledStep {
  readonly resolve: (answer: DecidedAnswer) => void;
  readonly reject: (error: unknown) => void;
}

interface Decided {
  readonly coordinator: Coordinator;
  readonly prepared: Prepared;
  /** Read and told before; taken by the same decision. */
  readonly mail: readonly InboxEvent[];
  readonly ends: readonly HeldEnd[];
}

/** Each for itself. Never rejects: whoever waits for an end hears of it. */
export async function settleAlone(tasks: Pick<TaskStore, 'settle'>, ends: readonly HeldEnd[]): Promise<void> {
  await Promise.all(ends.map(({ settle, resolve, reject }) => tasks.settle(settle).then(resolve, reject)));
}

/** Commits a decision with the ends it was made on. Rejects where it was not made, or nobody knows. */
export async function commitWithEnds(
  { store, tasks, feed }: Pick<RunLoopParts, 'store' | 'tasks' | 'feed'>,
  commits: RunCommit,
  { coordinator, prepared, mail, ends }: Decided,
): Promise<void> {
  try {
    const { settled, advanced } = await commits.run(coordinator, prepared, async (advance) => {
      const consumed = mail.map(({ eventId }) => eventId);
      const both = await store.settleDecided(ends, { ...advance, consumed });
      for (const answer of both.settled) if (answer.outcome === 'committed') feed.publish(answer.events);
      return both;
    });
    const decided = advanced.outcome === 'committed';
    ends.forEach(({ resolve }, at) => {
      const answer = settled[at] ?? { outcome: 'fenced' };
      resolve(answer.outcome === 'committed' ? { ...answer, events: [], decided } : answer);
    });
  } catch (error) {
    // Refused for one of them, or nobody knows: each for itself now.
    if ((error as { code?: unknown }).code === 'store_unavailable') for (const { reject } of ends) reject(error);
    else await settleAlone(tasks, ends);
    throw error;
  }
}
