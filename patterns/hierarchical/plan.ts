// The answer of a coordinator: it comes from an agent, perhaps from a model, so that nothing in it is believed before it is checked.

import { z } from 'zod';
import {
  participantSchema,
  type WorkflowSpec,
  type WorkflowTask,
  workflowTaskSchema,
} from '../../runtime/contracts/workflow.ts';
import { checkDag } from '../dag/check.ts';
import { coordinatorOf, type HierarchicalOptions } from './options.ts';

/** The steps of the coordinator and of the synthesis; no subtask is called so. */
export const PLAN_STEP = 'plan';
export const SYNTHESIS_STEP = 'synthesis';

export interface Limit {
  readonly name: 'maxRounds' | 'maxSubtasks' | 'maxDepth';
  readonly message: string;
}

export type Answer =
  | { readonly type: 'done'; readonly output: unknown }
  | { readonly type: 'plan'; readonly tasks: readonly WorkflowTask[] }
  /** `message` is for the coordinator, with the place in its answer. */
  | { readonly type: 'bad'; readonly message: string }
  | { readonly type: 'limit'; readonly limit: Limit };

/** What a plan is read against. */
export interface PlanContext {
  readonly workflow: WorkflowSpec;
  readonly options: HierarchicalOptions;
  /** Subtasks of the rounds before: their ids are taken, their results may be referred to. */
  readonly known: readonly WorkflowTask[];
}

const MAX_MESSAGE_CHARS = 1_000;
const SHAPE = 'answer { "tasks": [...] } to go on or { "done": true, "output": ... } to end';

const nestedSchema = z.object({ goal: z.string().min(1).max(20_000), coordinator: participantSchema.optional() });

export function readAnswer(answer: unknown, context: PlanContext): Answer {
  if (!isRecord(answer)) return bad(SHAPE);
  if (answer.done === true) return { type: 'done', output: answer.output ?? null };
  if (!Array.isArray(answer.tasks) || answer.tasks.length === 0) return bad(SHAPE);
  const limit = overLimit(answer.tasks, context);
  if (limit) return { type: 'limit', limit };
  const tasks: WorkflowTask[] = [];
  for (const [index, given] of answer.tasks.entries()) {
    const read = readTask(given, context);
    if (typeof read === 'string') return bad(`tasks[${index}]${read}`);
    tasks.push(read);
  }
  const problem = checkPlan(tasks, context);
  return problem === null ? { type: 'plan', tasks } : bad(problem);
}

const bad = (message: string): Answer => ({ type: 'bad', message: message.slice(0, MAX_MESSAGE_CHARS) });

function overLimit(tasks: readonly unknown[], { options, known }: PlanContext): Limit | null {
  const { maxSubtasks, maxDepth, depth } = options;
  const count = known.length + tasks.length;
  if (count > maxSubtasks)
    return { name: 'maxSubtasks', message: `the plan makes ${count} subtasks of ${maxSubtasks} allowed` };
  if (depth + 1 < maxDepth || !tasks.some(isNested)) return null;
  return { name: 'maxDepth', message: `the plan names a coordinator on level ${depth + 2} of ${maxDepth} allowed` };
}

const isNested = (task: unknown): boolean => isRecord(task) && ('coordinator' in task || 'goal' in task);

/** The task, or what is wrong with it, beginning with its place. */
function readTask(given: unknown, context: PlanContext): WorkflowTask | string {
  if (!isRecord(given) || !isNested(given)) return parsed(given);
  const { goal, coordinator, ...rest } = given;
  const nested = nestedSchema.safeParse({ goal, coordinator });
  if (!nested.success) return issueOf(nested.error);
  const { workflow, options } = context;
  const input = rest.input === undefined && workflow.input !== undefined ? { input: { $input: '' } } : {};
  return parsed({ ...rest, ...input, workflow: nestedBody(rest.id, nested.data, workflow, options) });
}

/** The run of a subtask that has a coordinator: one level below, under the same limits. */
function nestedBody(
  id: unknown,
  { goal, coordinator }: z.infer<typeof nestedSchema>,
  workflow: WorkflowSpec,
  options: HierarchicalOptions,
): Record<string, unknown> {
  const { synthesis: _own, depth, ...limits } = options;
  return {
    name: `${workflow.name} / ${id}`.slice(-200),
    pattern: workflow.pattern,
    goal,
    coordinator: coordinator ?? coordinatorOf(workflow),
    options: { ...limits, depth: depth + 1 },
    seed: workflow.seed,
  };
}

function parsed(given: unknown): WorkflowTask | string {
  const task = workflowTaskSchema.safeParse(given);
  if (!task.success) return issueOf(task.error);
  if (task.data.signal) return '.signal: a plan does not wait for signals; make the subtask a workflow that does';
  return task.data.compensate ? '.compensate: nothing is undone here; plan the undo as a subtask' : task.data;
}

function issueOf(error: z.ZodError): string {
  const [issue] = error.issues;
  const path = (issue?.path ?? [])
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('');
  return `${path}: ${issue?.message ?? 'not valid'}`;
}

/** Ids, dependencies, references and cycles, seen together with the rounds before. */
function checkPlan(tasks: readonly WorkflowTask[], { workflow, known }: PlanContext): string | null {
  const reserved = tasks.findIndex(({ id }) => id === PLAN_STEP || id === SYNTHESIS_STEP);
  if (reserved >= 0) return `tasks[${reserved}].id: "${tasks[reserved]?.id}" is a reserved word; choose another id`;
  const taken = new Set(known.map(({ id }) => id));
  const again = tasks.findIndex(({ id }) => taken.has(id));
  if (again >= 0)
    return `tasks[${again}].id: "${tasks[again]?.id}" was a subtask of an earlier round; choose another id`;
  const problem = checkDag(graphOf(workflow, [...known, ...tasks]));
  if (!problem) return null;
  const path = problem.path.replace(/^tasks\[(\d+)\]/, (_, at: string) => `tasks[${Number(at) - known.length}]`);
  return `${path}: ${problem.message}`;
}

/** Subtasks as a graph of its own. */
export function graphOf(workflow: WorkflowSpec, tasks: readonly WorkflowTask[]): WorkflowSpec {
  const { goal: _goal, coordinator: _coordinator, ...rest } = workflow;
  return { ...rest, tasks: [...tasks] };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
