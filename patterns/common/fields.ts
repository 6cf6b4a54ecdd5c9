// Which fields of a definition belong to which pattern: one that belongs to another is a mistake, and is said to be.

import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';

const OWNED = [
  'tasks',
  'input',
  'stages',
  'items',
  'open',
  'goal',
  'coordinator',
  'task',
  'question',
  'voters',
  'objective',
] as const satisfies readonly (keyof WorkflowSpec)[];
export type OwnedField = (typeof OWNED)[number];

/** The first field this pattern has no use for. */
export function foreignField(workflow: WorkflowSpec, own: readonly OwnedField[]): WorkflowProblem | null {
  const found = OWNED.find((field) => !own.includes(field) && isGiven(workflow[field]));
  if (!found) return null;
  const message = `the pattern "${workflow.pattern}" has no use for "${found}"; it takes ${own.join(', ')}`;
  return { code: 'workflow_invalid', path: found, message };
}

const isGiven = (value: unknown): boolean => value !== undefined && !(Array.isArray(value) && value.length === 0);
