// A state of a graph as a person sees it: the steps with their dependencies, the undos, how far the run is.

import type { StepView } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { countsSinksOnly, type Join, joinName } from '../common/joins.ts';
import { undoStep } from './end.ts';
import { type DagPlan, dagPlan } from './plan.ts';
import { type DagState, type StepState, taskAt } from './state.ts';

/** Steps in declaration order, then undos in the order they run. Without a state: before the start. */
export function dagSteps(workflow: WorkflowSpec, state: DagState | null): StepView[] {
  const plan = dagPlan(workflow);
  const views = plan.tasks.map((_, node) => stepView(plan, state, node));
  return state?.undo ? [...views, ...undoViews(plan, state.undo)] : views;
}

/** A part of {@link dagSteps}: of ten thousand steps, those that are looked at. */
export function dagPage(
  workflow: WorkflowSpec,
  state: DagState | null,
  { from, to }: { readonly from: number; readonly to: number },
): { steps: StepView[]; total: number } {
  const plan = dagPlan(workflow);
  const count = plan.tasks.length;
  const undos = state?.undo ? undoViews(plan, state.undo) : [];
  const nodes = Array.from({ length: Math.max(0, Math.min(to, count) - from) }, (_, at) => from + at);
  const steps = nodes.map((node) => stepView(plan, state, node));
  return {
    steps: [...steps, ...undos.slice(Math.max(0, from - count), Math.max(0, to - count))],
    total: count + undos.length,
  };
}

function stepView(plan: DagPlan, state: DagState | null, node: number): StepView {
  const task = taskAt(plan, node);
  const step = state?.steps[node];
  return {
    id: task.id,
    state: step ? VIEWED[step.state] : 'blocked',
    round: step ? Math.max(0, step.next - 1) : 0,
    dependsOn: (plan.before[node] ?? []).map((before) => taskAt(plan, before).id),
    ...(task.capability === undefined ? {} : { capability: task.capability }),
    ...(step ? detail(step) : {}),
    ...(task.signal && step?.state === 'running' ? { state: 'waiting', reason: `signal:${task.signal.key}` } : {}),
  };
}

// A round in flight is `queued` until the row of its task says more; a step without a place waits too.
const VIEWED = {
  blocked: 'blocked',
  ready: 'queued',
  running: 'queued',
  completed: 'completed',
  failed: 'failed',
  skipped: 'skipped',
  cancelled: 'cancelled',
} as const satisfies Record<StepState['state'], StepView['state']>;

function detail(step: StepState): Partial<StepView> {
  return {
    ...(step.state === 'completed' ? { result: step.result } : {}),
    ...(step.error ? { error: step.error } : {}),
    ...(step.reason ? { reason: step.reason } : {}),
    ...(step.state === 'ready' && step.next === 0 ? { reason: 'waits_for_a_place' } : {}),
  };
}

function undoViews(plan: DagPlan, undo: NonNullable<DagState['undo']>): StepView[] {
  const view = (node: number, state: StepView['state']): StepView => {
    const task = taskAt(plan, node);
    const capability = task.compensate?.capability;
    return { id: undoStep(plan, node), state, round: 0, dependsOn: [task.id], ...(capability ? { capability } : {}) };
  };
  return [
    ...undo.done.map(({ step, ok }) => view(step, ok ? 'completed' : 'failed')),
    ...(undo.current === null ? [] : [view(undo.current, 'queued')]),
    ...undo.queue.map((node) => view(node, 'blocked')),
  ];
}

/** Undos are not counted: they take back what was done. */
export function dagProgress(workflow: WorkflowSpec, state: DagState): { done: number; total: number } {
  return { done: state.endedCount, total: workflow.tasks.length };
}

/** Steps at most that a picture names; of longer runs those around the one at work. */
const MAX_NAMED = 200;

/** A sequence: its steps in the order they run, from `from` on, and which one is at work (`at`, a place in the whole order; null: none). */
export function orderPicture(workflow: WorkflowSpec, state: DagState): unknown {
  const plan = dagPlan(workflow);
  const stateOf = (node: number): StepState['state'] => state.steps[node]?.state ?? 'blocked';
  const found = plan.order.findIndex((node) => stateOf(node) === 'running');
  const centre = found >= 0 ? found : plan.order.findIndex((node) => stateOf(node) === 'blocked');
  const last = Math.max(0, plan.order.length - MAX_NAMED);
  const from = Math.min(last, Math.max(0, centre - MAX_NAMED / 2));
  return {
    total: plan.order.length,
    at: found < 0 ? null : found,
    from,
    order: plan.order
      .slice(from, from + MAX_NAMED)
      .map((node) => ({ id: taskAt(plan, node).id, state: VIEWED[stateOf(node)] })),
  };
}

/** A fork and its join: what the join counts, how many it needs (null: all to have ended), how many may be at work at once. */
export function joinPicture(
  workflow: WorkflowSpec,
  { join, maxConcurrency }: { readonly join: Join; readonly maxConcurrency: number },
  state: DagState,
): unknown {
  const plan = dagPlan(workflow);
  const counted = countsSinksOnly(join) ? plan.sinks : plan.tasks.map((_, node) => node);
  const { completed, failed, excused, first } = state.join;
  const needed =
    join === 'all'
      ? counted.length
      : join === 'allSettled' || join === 'race'
        ? null
        : join === 'any'
          ? 1
          : join.quorum;
  return {
    join: joinName(join),
    needed,
    candidates: counted.length,
    completed,
    failed,
    excused,
    first: first === null ? null : taskAt(plan, first).id,
    inFlight: state.inFlight,
    maxConcurrency,
  };
}
