// A definition as a graph: numbers for steps, who waits for whom, in which order. Made once per definition and never changed.
// A reference to an earlier result is a dependency too: `$from`, `when`, `forEach` and `loop.until` add the edge they imply.

import { successorsOf, topologicalOrder } from '../../runtime/contracts/graph.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { conditionPaths } from '../common/conditions.ts';
import { DEPS, findReferences, type Path, splitPath } from '../common/references.ts';

export interface DagPlan {
  readonly tasks: readonly WorkflowTask[];
  readonly indexOf: ReadonlyMap<string, number>;
  /** Declared and implied dependencies of each step, without repetition. */
  readonly before: readonly (readonly number[])[];
  readonly after: readonly (readonly number[])[];
  /** Position of each step in topological order; of steps that could run, the one declared first is first. */
  readonly rank: readonly number[];
  readonly order: readonly number[];
  /** Steps that nobody depends on, in declaration order. */
  readonly sinks: readonly number[];
}

/** A place that names a step: `at` is its JSON path in the body. */
export interface Mention {
  readonly at: string;
  readonly path: Path;
  /** Whether it may name the step it stands in: a loop sees its own last result. */
  readonly ownAllowed: boolean;
}

/** All places of one task that read results and therefore imply a dependency. */
export function mentionsOf(task: WorkflowTask, at: string): Mention[] {
  const looped = task.loop !== undefined;
  const mentions: Mention[] = [];
  for (const reference of findReferences(task.input)) {
    if (reference.type === 'from')
      mentions.push({ at: `${at}.input${reference.at}`, path: reference.path, ownAllowed: looped });
  }
  if (task.when) {
    for (const found of conditionPaths(task.when))
      mentions.push({ at: `${at}.when${found.at}`, path: found.path, ownAllowed: false });
  }
  if (task.forEach) mentions.push({ at: `${at}.forEach`, path: splitPath(task.forEach), ownAllowed: false });
  if (task.loop) {
    for (const found of conditionPaths(task.loop.until))
      mentions.push({ at: `${at}.loop.until${found.at}`, path: found.path, ownAllowed: true });
  }
  return mentions;
}

// Derived from the definition alone, so remembering it changes no answer; it goes when the definition goes.
const plans = new WeakMap<WorkflowSpec, DagPlan>();

/** The plan of a definition that passed its check; of others whatever can be said (unknown names are left out). */
export function dagPlan(workflow: WorkflowSpec): DagPlan {
  const known = plans.get(workflow);
  if (known) return known;
  const plan = buildPlan(workflow.tasks);
  plans.set(workflow, plan);
  return plan;
}

function buildPlan(tasks: readonly WorkflowTask[]): DagPlan {
  const indexOf = new Map(tasks.map((task, index) => [task.id, index]));
  const before = tasks.map((task, index) => {
    const names = [...task.dependsOn, ...mentionsOf(task, '').map((mention) => mention.path[0])];
    const nodes = new Set<number>();
    for (const name of names) {
      const node = name === undefined || name === DEPS ? undefined : indexOf.get(name);
      if (node !== undefined && node !== index) nodes.add(node);
    }
    return [...nodes].sort((a, b) => a - b);
  });
  const after = successorsOf(before);
  const order = topologicalOrder(before);
  const rank = tasks.map(() => 0);
  order.forEach((node, position) => {
    rank[node] = position;
  });
  const sinks = after.flatMap((nodes, index) => (nodes.length === 0 ? [index] : []));
  return { tasks, indexOf, before, after, rank, order, sinks };
}
