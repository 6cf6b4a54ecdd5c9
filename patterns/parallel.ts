// Parallel (WCP-2 and WCP-3 fork and join; n-of-m join WCP-30; scatter-gather): every step starts as soon as what it needs is there.

import { z } from 'zod';
import type { CoordinationStrategy, WorkflowProblem } from '../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../runtime/contracts/workflow.ts';
import { joinSchema } from './common/joins.ts';
import { checkDag } from './dag/check.ts';
import { dagPlan } from './dag/plan.ts';
import type { DagPolicy } from './dag/policy.ts';
import { decideDag, startDag } from './dag/run.ts';
import type { DagState } from './dag/state.ts';
import { dagPage, dagProgress, dagSteps, joinPicture } from './dag/view.ts';

const optionsSchema = z.strictObject({
  join: joinSchema.default('all'),
  /** Steps (and elements of forEach) in flight at once. */
  maxConcurrency: z.number().int().min(1).max(10_000).default(10),
});
export type ParallelOptions = z.infer<typeof optionsSchema>;

const policyOf = ({ join, maxConcurrency }: ParallelOptions): DagPolicy => ({
  maxConcurrency,
  join,
  failure: 'join_unsatisfiable',
  leftover: 'cancelled',
  sink: ({ sinks }, { resultOf, first }) => {
    if (join === 'any' || join === 'race') return winnerOf(sinks, first, resultOf);
    return sinks.length === 1 ? resultOf(sinks[0] ?? 0) : sinks.map(resultOf);
  },
});

function winnerOf(sinks: readonly number[], first: number | null, resultOf: (node: number) => unknown): unknown {
  const winners = first === null ? sinks : [first, ...sinks];
  return winners.map(resultOf).find((result) => result !== null) ?? null;
}

function check(workflow: WorkflowSpec, { join }: ParallelOptions): WorkflowProblem | null {
  const problem = checkDag(workflow);
  if (problem) return problem;
  if (join === 'allSettled' && workflow.onFailure === 'compensate') {
    const message =
      'onFailure "compensate" and join "allSettled" exclude each other: one undoes on failure, the other accepts it';
    return { code: 'workflow_invalid', path: 'onFailure', message };
  }
  const candidates = dagPlan(workflow).sinks.length;
  if (typeof join === 'string' || join.quorum <= candidates) return null;
  const message = `a quorum of ${join.quorum} needs as many tasks that nothing depends on; there are ${candidates}`;
  return { code: 'workflow_invalid', path: 'options.join.quorum', message };
}

/**
 * Input: tasks with dependencies, `options.join` (default `all`), `options.maxConcurrency` (default 10).
 * Output: `{ [taskId]: result, sink }`. `sink` is the result of the step nothing depends on; of several, their results in
 * declaration order (null where there is none); under `any` and `race` the winner's.
 * A step may wait for a signal (`signal: { key }`) instead of doing anything: see {@link import('../runtime/contracts/workflow.ts').workflowTaskSchema}.
 * A fork waits for its signals anew.
 * The join fires once, as early as it is satisfied or can no longer be; what is still in flight is cancelled.
 * Stops: `all_done`, `join_satisfied`, `join_unsatisfiable`, `compensated`, `compensation_failed`, `deadline`, `cancelled`.
 */
export const parallel: CoordinationStrategy<ParallelOptions, DagState> = {
  name: 'parallel',
  revision: 1,
  options: optionsSchema,
  check,
  start: (workflow, options) => startDag(workflow, policyOf(options)),
  decide: (workflow, options, state, event) => decideDag(workflow, policyOf(options), state, event),
  steps: (workflow, _options, state) => dagSteps(workflow, state),
  page: (workflow, _options, state, range) => dagPage(workflow, state, range),
  progress: dagProgress,
  picture: (workflow, { join, maxConcurrency }, state) => joinPicture(workflow, { join, maxConcurrency }, state),
};
