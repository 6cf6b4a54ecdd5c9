// What can be said about a pipeline, and what a definition must satisfy before it can run.

import { z } from 'zod';
import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import type { Stage, WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { foreignField } from '../common/fields.ts';
import { findReferences } from '../common/references.ts';

export const MAX_ITEMS = 100_000;

export const pipelineOptionsSchema = z.strictObject({
  /** The output lists items in the order they came; else those that finished first come first. */
  ordered: z.boolean().default(true),
  /** One dead letter more than this fails the run. Default: no limit, an item that fails never stops the others. */
  maxFailedItems: z.number().int().min(0).max(MAX_ITEMS).optional(),
  /** The output has the result of every stage of every item; else the last one's only. */
  keepStages: z.boolean().default(true),
  /** Items taken from an open source, those of the definition included; it is closed then. */
  maxItems: z.number().int().min(1).max(MAX_ITEMS).default(MAX_ITEMS),
});
export type PipelineOptions = z.infer<typeof pipelineOptionsSchema>;

/** In a path: the item as it came from the source. */
export const SOURCE = 'item';

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

export function checkPipeline(workflow: WorkflowSpec, options: PipelineOptions): WorkflowProblem | null {
  const foreign = foreignField(workflow, ['stages', 'items', 'open', 'input']);
  if (foreign) return foreign;
  const { stages = [], items = [], open = false, onFailure } = workflow;
  if (stages.length === 0) return invalid('stages', 'a pipeline needs at least one stage');
  if (items.length === 0 && !open)
    return invalid('items', 'a pipeline needs items, or "open": true so that they can come while it runs');
  if (items.length > options.maxItems)
    return invalid('options.maxItems', `it is ${options.maxItems}, and there are ${items.length} items`);
  if (onFailure !== 'fail_fast') {
    const message = 'an item that fails never stops the others; say options.maxFailedItems to end the run';
    return invalid('onFailure', message);
  }
  const known = new Map<string, number>();
  for (const [at, stage] of stages.entries()) {
    const problem = checkName(stage.id, `stages[${at}].id`, known) ?? checkInput(stage, at, known, workflow.input);
    if (problem) return problem;
    known.set(stage.id, at);
  }
  return null;
}

function checkName(id: string, at: string, known: ReadonlyMap<string, number>): WorkflowProblem | null {
  if (id === SOURCE) return invalid(at, `"${id}" is a reserved word; give the stage another id`);
  const first = known.get(id);
  return first === undefined ? null : invalid(at, `duplicate stage id "${id}", already used by stages[${first}]`);
}

/** A stage sees the item, what the stages before it gave, and the input of the workflow. */
function checkInput(
  stage: Stage,
  at: number,
  before: ReadonlyMap<string, number>,
  workflowInput: unknown,
): WorkflowProblem | null {
  for (const reference of findReferences(stage.input)) {
    const path = `stages[${at}].input${reference.at}`;
    if (reference.type === 'malformed') return invalid(path, reference.message);
    if (reference.type === 'input' && workflowInput === undefined)
      return invalid(path, '$input refers to the input of the workflow, which has none');
    if (reference.type !== 'from') continue;
    const name = reference.path[0] ?? '';
    if (name !== SOURCE && !before.has(name))
      return invalid(path, `stage "${stage.id}" refers to "${name}", which is no stage before it, nor "${SOURCE}"`);
  }
  return null;
}
