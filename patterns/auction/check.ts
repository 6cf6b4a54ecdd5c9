// What tasks must satisfy to be auctioned. The first problem found is named with its JSON path in the body.

import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { foreignField } from '../common/fields.ts';
import { checkPlainInput } from '../common/plain-input.ts';
import type { AuctionOptions } from './options.ts';

/** A bid book is kept whole: so many tasks with so many bidders are what one run can carry. */
const MAX_TASKS = 1_000;

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

/** Fields of a task that an auction has no use for, and why. */
const UNUSED = {
  workflow: 'agents bid for a capability, not for a workflow',
  approval: 'agents bid for a capability; a person is not asked',
  signal: 'agents bid for a capability; a signal is not waited for',
  ask: 'agents bid for a capability; a person is not asked',
  when: 'every task is auctioned',
  forEach: 'every task is auctioned once; give one task per element',
  loop: 'a task is done once',
  agentId: 'the auction chooses the agent; a task for one agent needs none',
  compensate: 'an auction undoes nothing',
} as const satisfies Partial<Record<keyof WorkflowTask, string>>;

export function checkAuction(workflow: WorkflowSpec, { weights }: AuctionOptions): WorkflowProblem | null {
  const foreign = foreignField(workflow, ['tasks', 'input']);
  if (foreign) return foreign;
  const { tasks, onFailure } = workflow;
  if (tasks.length === 0) return invalid('tasks', 'an auction needs at least one task');
  if (tasks.length > MAX_TASKS)
    return invalid(`tasks[${MAX_TASKS}]`, `an auction has at most ${MAX_TASKS} tasks; make several of it`);
  if (onFailure === 'compensate') return invalid('onFailure', `"compensate" has no meaning: ${UNUSED.compensate}`);
  const first = new Map<string, number>();
  for (const [index, task] of tasks.entries()) {
    const problem = checkTask(workflow, task, `tasks[${index}]`);
    if (problem) return problem;
    const before = first.get(task.id);
    if (before !== undefined)
      return invalid(`tasks[${index}].id`, `duplicate task id "${task.id}", already used by tasks[${before}]`);
    first.set(task.id, index);
  }
  if (weights.cost + weights.etaMs + weights.confidence > 0) return null;
  return invalid('options.weights', 'give at least one figure of a bid a weight above 0');
}

function checkTask(workflow: WorkflowSpec, task: WorkflowTask, at: string): WorkflowProblem | null {
  for (const [field, why] of Object.entries(UNUSED))
    if (task[field as keyof typeof UNUSED] !== undefined) return invalid(`${at}.${field}`, why);
  if (task.dependsOn.length > 0)
    return invalid(`${at}.dependsOn`, 'the tasks of an auction are independent; put the auction into a sequential run');
  return checkPlainInput(workflow, task.input, `${at}.input`);
}
