// The input of work that stands in no graph: `{ "$input": "field" }` is all it may refer to, and what that stands for is known
// before the run starts. Pure.

import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { ABSENT, findReferences, resolveInput } from './references.ts';

/** The first reference in the input at `at` that cannot be resolved, or null. */
export function checkPlainInput(workflow: WorkflowSpec, input: unknown, at: string): WorkflowProblem | null {
  for (const reference of findReferences(input)) {
    const path = `${at}${reference.at}`;
    if (reference.type === 'malformed') return { code: 'workflow_invalid', path, message: reference.message };
    if (reference.type === 'input') continue;
    const message = `$${reference.type} has no meaning in the pattern "${workflow.pattern}"; $input has`;
    return { code: 'workflow_invalid', path, message };
  }
  const resolved = resolve(workflow, input);
  if (resolved.ok) return null;
  const message = `the input of the workflow has nothing for ${resolved.reference}`;
  return { code: 'workflow_invalid', path: at, message };
}

/** The input with its references replaced; of a checked definition there is nothing that could be missing. */
export function plainInput(workflow: WorkflowSpec, input: unknown): unknown {
  const resolved = resolve(workflow, input);
  return resolved.ok ? resolved.value : input;
}

const resolve = (workflow: WorkflowSpec, input: unknown) =>
  resolveInput(input, { from: () => ABSENT, input: workflow.input });
