// What a graph of tasks must satisfy before it can run. The first problem found is named with its JSON path in the body.

import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import { findCycle } from '../../runtime/contracts/graph.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { conditionPaths } from '../common/conditions.ts';
import { foreignField } from '../common/fields.ts';
import { DEPS, findReferences } from '../common/references.ts';
import { type DagPlan, dagPlan, mentionsOf } from './plan.ts';

/** `deps` is a word in paths, `sink` a key of the output. */
const RESERVED_IDS: readonly string[] = [DEPS, 'sink'];

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

/** The first problem of the tasks, or null: names, dependencies, references, conditions, then cycles. */
export function checkDag(workflow: WorkflowSpec): WorkflowProblem | null {
  const { tasks } = workflow;
  const foreign = foreignField(workflow, ['tasks', 'input']);
  if (foreign) return foreign;
  if (tasks.length === 0) return invalid('tasks', 'a workflow needs at least one task');
  const known = new Map<string, number>();
  for (const [index, task] of tasks.entries()) {
    const problem = checkName(task.id, `tasks[${index}].id`, known);
    if (problem) return problem;
    known.set(task.id, index);
  }
  for (const [index, task] of tasks.entries()) {
    const at = `tasks[${index}]`;
    const problem =
      checkDependencies(task, at, known) ??
      checkReferences(task, at, known, workflow.input) ??
      checkConditions(task, at) ??
      checkSignal(task, at);
    if (problem) return problem;
  }
  const plan = dagPlan(workflow);
  return checkCycle(plan) ?? checkUndoReferences(plan);
}

function checkName(id: string, at: string, known: ReadonlyMap<string, number>): WorkflowProblem | null {
  if (RESERVED_IDS.includes(id)) return invalid(at, `"${id}" is a reserved word; give the task another id`);
  const first = known.get(id);
  return first === undefined ? null : invalid(at, `duplicate task id "${id}", already used by tasks[${first}]`);
}

function checkDependencies(task: WorkflowTask, at: string, known: ReadonlyMap<string, number>): WorkflowProblem | null {
  for (const [index, name] of task.dependsOn.entries()) {
    const path = `${at}.dependsOn[${index}]`;
    if (name === task.id) return invalid(path, `task "${task.id}" depends on itself`);
    if (!known.has(name)) return invalid(path, `task "${task.id}" depends on "${name}", which does not exist`);
  }
  return null;
}

function checkReferences(
  task: WorkflowTask,
  at: string,
  known: ReadonlyMap<string, number>,
  workflowInput: unknown,
): WorkflowProblem | null {
  if (task.forEach !== undefined && task.loop !== undefined)
    return invalid(`${at}.loop`, `task "${task.id}" has both forEach and loop; give one of them`);
  if (task.forEach?.split('.').includes('')) return invalid(`${at}.forEach`, `"${task.forEach}" is not a path`);
  for (const [place, input] of [
    ['input', task.input],
    ['compensate.input', task.compensate?.input],
  ] as const) {
    for (const reference of findReferences(input)) {
      const path = `${at}.${place}${reference.at}`;
      if (reference.type === 'malformed') return invalid(path, reference.message);
      if (reference.type === 'input') {
        if (workflowInput === undefined)
          return invalid(path, '$input refers to the input of the workflow, which has none');
        continue;
      }
      if (reference.type !== 'from' && (task.forEach === undefined || place !== 'input'))
        return invalid(path, `$${reference.type} has a meaning only in the input of a task with forEach`);
    }
  }
  for (const mention of mentionsOf(task, at)) {
    const problem = checkMention(task, mention.at, mention.path[0] ?? '', mention.ownAllowed, known);
    if (problem) return problem;
    if (mention.path[0] === DEPS && mention.path[1] !== undefined && !task.dependsOn.includes(mention.path[1]))
      return invalid(mention.at, `"${mention.path[1]}" is not in dependsOn of task "${task.id}"`);
  }
  return null;
}

function checkMention(
  task: WorkflowTask,
  at: string,
  name: string,
  ownAllowed: boolean,
  known: ReadonlyMap<string, number>,
): WorkflowProblem | null {
  if (name === DEPS) return null;
  if (!known.has(name)) return invalid(at, `task "${task.id}" refers to "${name}", which does not exist`);
  return name !== task.id || ownAllowed
    ? null
    : invalid(at, `task "${task.id}" refers to its own result; only a task with loop can`);
}

function checkConditions(task: WorkflowTask, at: string): WorkflowProblem | null {
  for (const [place, condition] of [
    ['when', task.when],
    ['loop.until', task.loop?.until],
  ] as const) {
    const wrong = condition && conditionPaths(condition).find((found) => found.problem !== undefined);
    if (wrong) return invalid(`${at}.${place}${wrong.at}`, wrong.problem ?? '');
  }
  return null;
}

/** What waits for a signal does so once, and is given nothing. */
function checkSignal(task: WorkflowTask, at: string): WorkflowProblem | null {
  const useless = (['input', 'forEach', 'loop', 'retry', 'agentId', 'reserve'] as const).find(
    (field) => task.signal && task[field] !== undefined,
  );
  return useless
    ? invalid(`${at}.${useless}`, `task "${task.id}" waits for a signal and has no use for "${useless}"`)
    : null;
}

function checkCycle(plan: DagPlan): WorkflowProblem | null {
  const cycle = findCycle(plan.before);
  const [first, second] = cycle ?? [];
  if (!cycle || first === undefined || second === undefined) return null;
  const names = cycle.map((node) => plan.tasks[node]?.id ?? '');
  const waiting = plan.tasks[second];
  const declared = waiting?.dependsOn.indexOf(names[0] ?? '') ?? -1;
  const mention = waiting && mentionsOf(waiting, `tasks[${second}]`).find((one) => one.path[0] === names[0]);
  return {
    code: 'workflow_cycle',
    path: declared >= 0 ? `tasks[${second}].dependsOn[${declared}]` : (mention?.at ?? `tasks[${second}]`),
    message: `the tasks wait for each other: ${names.join(' → ')}`,
    cycle: names,
  };
}

/** An undo may read its own step and what that step could read: anything upstream. It adds no edge, for it runs after all of them. */
function checkUndoReferences(plan: DagPlan): WorkflowProblem | null {
  for (const [index, task] of plan.tasks.entries()) {
    const references = findReferences(task.compensate?.input).flatMap((one) => (one.type === 'from' ? [one] : []));
    if (references.length === 0) continue;
    const upstream = ancestorsOf(plan, index);
    for (const { at, path } of references) {
      const node = plan.indexOf.get(path[0] ?? '');
      if (path[0] === DEPS || (node !== undefined && (node === index || upstream.has(node)))) continue;
      return invalid(
        `tasks[${index}].compensate.input${at}`,
        `the undo of "${task.id}" refers to "${path[0]}", which "${task.id}" does not depend on`,
      );
    }
  }
  return null;
}

function ancestorsOf(plan: DagPlan, node: number): Set<number> {
  const found = new Set<number>();
  const stack = [...(plan.before[node] ?? [])];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    if (found.has(next)) continue;
    found.add(next);
    stack.push(...(plan.before[next] ?? []));
  }
  return found;
}
