// What a hierarchical run may be told, and what is refused before it starts.

import { z } from 'zod';
import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import { type Participant, participantSchema, type WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { foreignField } from '../common/fields.ts';
import { checkPlainInput } from '../common/plain-input.ts';

export const hierarchicalOptionsSchema = z.strictObject({
  /** Plans that are carried out; then the coordinator is asked once more, for its synthesis. */
  maxRounds: z.number().int().min(1).max(100).default(5),
  /** Levels of coordinators, the first included. */
  maxDepth: z.number().int().min(1).max(10).default(3),
  /** Subtasks of this run over all its rounds; those of runs inside count there. */
  maxSubtasks: z.number().int().min(1).max(1_000).default(50),
  /** Subtasks in flight at once. */
  maxConcurrency: z.number().int().min(1).max(1_000).default(10),
  /** Who makes the result of the results. Default: the coordinator, with `{ done: true, output }`. */
  synthesis: participantSchema.optional(),
  /** Level of this run; a run inside another is given the next one. */
  depth: z.number().int().min(0).max(10).default(0),
});
export type HierarchicalOptions = z.infer<typeof hierarchicalOptionsSchema>;

/** The planner that comes with the package. */
const PLANNER: Participant = { capability: 'plan.make' };

export const coordinatorOf = ({ coordinator }: WorkflowSpec): Participant => coordinator ?? PLANNER;

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

export function checkHierarchical(
  workflow: WorkflowSpec,
  { synthesis, depth, maxDepth }: HierarchicalOptions,
): WorkflowProblem | null {
  const foreign = foreignField(workflow, ['goal', 'coordinator', 'input']);
  if (foreign) return foreign;
  const { goal, coordinator, onFailure } = workflow;
  if (goal === undefined) return invalid('goal', 'a hierarchical workflow needs a goal');
  if (onFailure !== 'fail_fast')
    return invalid('onFailure', `a failed subtask is told to the coordinator; "${onFailure}" has no meaning here`);
  if (depth >= maxDepth)
    return invalid('options.depth', `a run of level ${depth} is deeper than maxDepth ${maxDepth} allows`);
  return (
    checkExtra(workflow, coordinator?.input, 'coordinator.input') ??
    checkExtra(workflow, synthesis?.input, 'options.synthesis.input')
  );
}

/** What a participant is given beside its part of the plan. */
function checkExtra(workflow: WorkflowSpec, input: unknown, at: string): WorkflowProblem | null {
  if (input === undefined) return null;
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return invalid(at, 'is an object: its fields are given beside the goal and the results');
  return checkPlainInput(workflow, input, at);
}
