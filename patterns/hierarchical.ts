// Hierarchical (master-worker; orchestrator-workers; HTN planning, Erol, Hendler and Nau 1994): a coordinator plans, the runtime dispatches.

import type { CoordinationStrategy } from '../runtime/contracts/coordination.ts';
import {
  checkHierarchical,
  coordinatorOf,
  type HierarchicalOptions,
  hierarchicalOptionsSchema,
} from './hierarchical/options.ts';
import { decideHierarchical, startHierarchical } from './hierarchical/run.ts';
import type { HierarchicalState } from './hierarchical/state.ts';
import { hierarchicalProgress, hierarchicalSteps, planPicture } from './hierarchical/view.ts';

export type { HierarchicalOptions } from './hierarchical/options.ts';

/**
 * Input: `goal`, `coordinator` (default: the capability `plan.make`) and, as it likes, `input`. In each turn (the step `plan`, one round a turn) the coordinator gets
 * `{ goal, round, depth, results: [{ id, round, status, result?, error?, reason? }], input?, error? }` beside the fields of
 * `coordinator.input`, and answers `{ tasks }` to go on or `{ done: true, output }` to end.
 *
 * A subtask is a task as in a graph (capability, workflow, approval or ask; dependsOn, `$from`, when, forEach, loop), without an undo.
 * Its id is new in the run; it may depend on subtasks of earlier rounds and refer to their results. A subtask with `goal` (and
 * `coordinator`; default: the same) is a run of its own one level below, under the same limits. The runtime dispatches what may
 * start, at most `options.maxConcurrency` (10) at once; agents are never handed work by the coordinator itself.
 *
 * Output: `{ result, plan }`: what the coordinator gave as `output`, or what `options.synthesis` made of it and the results; and the
 * tree of the rounds with status and result of every subtask, runs inside included.
 *
 * | what happens | what follows |
 * |---|---|
 * | a subtask fails | its dependants are skipped (`upstream_failed`); the coordinator is told as the round ends and may plan anew |
 * | a plan that cannot be carried out | the coordinator gets another turn with `error`; twice in a row: `failed`/`coordinator_failed` |
 * | the coordinator fails, its retries used up | `failed`/`coordinator_failed`; a crash before that runs its turn again, no subtask |
 * | `maxRounds` (5) plans carried out, or a plan beyond `maxSubtasks` (50) or `maxDepth` (3 levels) | that plan is not begun; one last turn with `final: true` and `reason` asks for a synthesis of what there is (with `options.synthesis` that is asked at once); then `partial`/`plan_limits`, or `failed` when there is nothing at all |
 * | the synthesis fails | `failed`/`step_failed`; the results are in `plan` |
 *
 * Stops: `plan_done`, `plan_limits`, `coordinator_failed`, `step_failed`, `deadline`, `cancelled`.
 * Guarantee: a subtask that ended is never run again, whatever becomes of the coordinator; nothing runs on after the end.
 */
export const hierarchical: CoordinationStrategy<HierarchicalOptions, HierarchicalState> = {
  name: 'hierarchical',
  revision: 1,
  options: hierarchicalOptionsSchema,
  check: checkHierarchical,
  start: startHierarchical,
  decide: decideHierarchical,
  steps: hierarchicalSteps,
  progress: hierarchicalProgress,
  capabilities: (workflow, { synthesis }) => [
    { capability: coordinatorOf(workflow).capability, path: 'coordinator.capability' },
    ...(synthesis ? [{ capability: synthesis.capability, path: 'options.synthesis.capability' }] : []),
  ],
  picture: (workflow, _options, state) => planPicture(workflow, state),
};
