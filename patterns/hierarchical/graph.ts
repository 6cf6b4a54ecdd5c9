// The subtasks of a hierarchical run as one graph that grows by a plan: what a plan adds may depend on what earlier rounds gave.

import type { WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { startRound } from '../dag/run.ts';
import { admit, type Draft, endStep, type StepState, stepAt } from '../dag/state.ts';
import { type HierarchicalDraft, inGraph } from './state.ts';

/** Takes the subtasks of a plan in. Every earlier one has ended. */
export function addTasks(draft: HierarchicalDraft, tasks: readonly WorkflowTask[]): void {
  const { state } = draft;
  const first = state.tasks.length;
  state.tasks = [...state.tasks, ...tasks];
  state.rounds = [...state.rounds, tasks.length];
  inGraph(draft, (graph) => {
    for (let node = first; node < graph.plan.tasks.length; node++) graph.state.steps.push(waiting(graph, node, first));
    for (const node of graph.plan.order) if (node >= first) settle(graph, node, first);
  });
}

function waiting({ plan, state }: Draft, node: number, first: number): StepState {
  const earlier = (plan.before[node] ?? []).filter((before) => before < first);
  const left = (plan.before[node] ?? []).length - earlier.length;
  const satisfied = earlier.filter((before) => stepAt(state, before).state === 'completed').length;
  return { state: 'blocked', left, satisfied, next: 0, open: [] };
}

/** What earlier rounds mean for a new subtask: it may start, or it never will. */
function settle(graph: Draft, node: number, first: number): void {
  const step = stepAt(graph.state, node);
  if (step.state !== 'blocked') return;
  const before = graph.plan.before[node] ?? [];
  const earlier = before.filter((one) => one < first).map((one) => stepAt(graph.state, one));
  if (earlier.some(hasFailed)) endStep(graph, node, { state: 'skipped', reason: 'upstream_failed' });
  else if (earlier.length < before.length) return;
  else if (before.length > 0 && step.satisfied === 0)
    endStep(graph, node, { state: 'skipped', reason: 'upstream_skipped' });
  else {
    const end = admit(graph, node);
    if (end) endStep(graph, node, end);
  }
}

const hasFailed = ({ state, reason }: StepState): boolean =>
  state === 'failed' || state === 'cancelled' || (state === 'skipped' && reason === 'upstream_failed');

/** Starts what has a place. True when every subtask has ended. */
export function dispatch(draft: HierarchicalDraft): boolean {
  return inGraph(draft, (graph) => {
    while (graph.state.inFlight < graph.policy.maxConcurrency) {
      const node = graph.state.ready[0];
      if (node === undefined) break;
      const end = startRound(graph, node);
      if (end) endStep(graph, node, end);
    }
    return graph.state.endedCount === graph.plan.tasks.length;
  });
}
