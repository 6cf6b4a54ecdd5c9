// When the results of several steps are enough (fork-join, n-of-m: workflow control-flow patterns WCP-3, WCP-9, WCP-30). Pure counting.

import { z } from 'zod';

/**
 * `all`: every step; one that fails ends the join. `allSettled`: until every step has ended, however. `any`: the first success.
 * `race`: the first to end, and how it ended. `{ quorum: n }`: n successes.
 * The last three count the steps that nothing depends on: a step on the way to another wins nothing yet.
 */
export const joinSchema = z.union([
  z.enum(['all', 'allSettled', 'any', 'race']),
  z.strictObject({ quorum: z.number().int().min(1).max(10_000) }),
]);
export type Join = z.infer<typeof joinSchema>;

/** How the candidates of a join stand. Steps skipped by their own condition are no candidates: they are counted out. */
export interface Tally {
  readonly completed: number;
  readonly failed: number;
  /** Still to end. */
  readonly open: number;
  /** Whether the first candidate that ended succeeded; null before. */
  readonly firstSucceeded: boolean | null;
}

export type JoinVerdict = 'open' | 'satisfied' | 'unsatisfiable';

export const countsSinksOnly = (join: Join): boolean => join !== 'all' && join !== 'allSettled';

/** Says at the earliest moment whether a join is satisfied or can no longer be. */
export function judgeJoin(join: Join, tally: Tally): JoinVerdict {
  switch (join) {
    case 'all':
      return tally.failed > 0 ? 'unsatisfiable' : tally.open === 0 ? 'satisfied' : 'open';
    case 'allSettled':
      return tally.open === 0 ? 'satisfied' : 'open';
    case 'race':
      if (tally.firstSucceeded !== null) return tally.firstSucceeded ? 'satisfied' : 'unsatisfiable';
      return tally.open === 0 ? 'unsatisfiable' : 'open';
    default: {
      const needed = join === 'any' ? 1 : join.quorum;
      if (tally.completed >= needed) return 'satisfied';
      return tally.completed + tally.open < needed ? 'unsatisfiable' : 'open';
    }
  }
}

/** As it is written in a decision: `all`, `quorum(3)`. */
export const joinName = (join: Join): string => (typeof join === 'string' ? join : `quorum(${join.quorum})`);
