// The bookkeeping that sequential and parallel share: where each step of a graph stands, and what the end of one means for the others.
// A state is plain JSON and never changed: a decision works on a draft, whose steps are copied when they are touched.

import type { CoordinationCommand, Decision } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { holds } from '../common/conditions.ts';
import { countsSinksOnly } from '../common/joins.ts';
import { ABSENT, DEPS, descend, type Looked, type Path, splitPath } from '../common/references.ts';
import type { DagPlan } from './plan.ts';
import type { DagPolicy } from './policy.ts';

/** `ready`: may start as soon as there is a place. The last four are final. */
export interface StepState {
  readonly state: 'blocked' | 'ready' | 'running' | 'completed' | 'failed' | 'skipped' | 'cancelled';
  /** Dependencies that have not ended. */
  readonly left: number;
  /** Dependencies that completed. */
  readonly satisfied: number;
  /** Round that starts next: the element of forEach, the turn of a loop, else 0. */
  readonly next: number;
  /** Rounds in flight. */
  readonly open: readonly number[];
  /** forEach: how many elements there are and how many rounds have completed. */
  readonly items?: number;
  readonly ended?: number;
  /** Of a completed step; of forEach while it runs: the results so far by position; of a loop: the result of its last round. */
  readonly result?: unknown;
  readonly error?: WireError;
  readonly reason?: string;
}

/** Undoing what had finished, one step at a time, last first. */
export interface UndoState {
  readonly queue: readonly number[];
  readonly current: number | null;
  readonly done: readonly { readonly step: number; readonly ok: boolean }[];
  readonly cause: WireError;
}

export interface DagState {
  readonly phase: 'running' | 'undoing' | 'ended';
  readonly steps: readonly StepState[];
  /** Steps that may start, by rank. A forEach step stays until its last element has started. */
  readonly ready: readonly number[];
  /** Rounds in flight over all steps. */
  readonly inFlight: number;
  /** Completed steps in the order they completed: what an undo goes back over. */
  readonly finished: readonly number[];
  /** Steps that have ended, and of these the failed and those skipped behind them. */
  readonly endedCount: number;
  readonly failedCount: number;
  /** Of the candidates of the join: see `Tally` in common/joins.ts. */
  readonly join: {
    readonly completed: number;
    readonly failed: number;
    readonly excused: number;
    readonly first: number | null;
    readonly firstSucceeded: boolean | null;
  };
  readonly firstFailure: number | null;
  /** By key, those that steps of this graph wait for: the first one of each. Absent: none came. */
  readonly signals?: Readonly<Record<string, unknown>>;
  readonly undo: UndoState | null;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** One decision in the making. */
export interface Draft {
  readonly workflow: WorkflowSpec;
  readonly plan: DagPlan;
  readonly policy: DagPolicy;
  readonly state: Mutable<DagState> & { steps: StepState[]; ready: number[]; finished: number[] };
  readonly commands: CoordinationCommand[];
  readonly decisions: Decision[];
}

export function initialState(plan: DagPlan): DagState {
  return {
    phase: 'running',
    steps: plan.before.map((nodes) => ({ state: 'blocked', left: nodes.length, satisfied: 0, next: 0, open: [] })),
    ready: [],
    inFlight: 0,
    finished: [],
    endedCount: 0,
    failedCount: 0,
    join: { completed: 0, failed: 0, excused: 0, first: null, firstSucceeded: null },
    firstFailure: null,
    undo: null,
  };
}

export function draftOf(workflow: WorkflowSpec, plan: DagPlan, policy: DagPolicy, state: DagState): Draft {
  return {
    workflow,
    plan,
    policy,
    state: { ...state, steps: [...state.steps], ready: [...state.ready], finished: [...state.finished] },
    commands: [],
    decisions: [],
  };
}

const NO_STEP: StepState = { state: 'skipped', left: 0, satisfied: 0, next: 0, open: [] };
export const stepAt = (state: DagState, node: number): StepState => state.steps[node] ?? NO_STEP;

export function taskAt(plan: DagPlan, node: number): WorkflowTask {
  const task = plan.tasks[node];
  if (!task) throw new RangeError(`no step ${node}`);
  return task;
}

export function changeStep(draft: Draft, node: number, change: Partial<StepState>): void {
  draft.state.steps[node] = { ...stepAt(draft.state, node), ...change };
}

/** How a step ended. */
export type StepEnd =
  | { readonly state: 'completed'; readonly result: unknown; readonly reason?: string }
  | { readonly state: 'failed' | 'cancelled'; readonly error: WireError }
  | { readonly state: 'skipped'; readonly reason: 'condition' | 'upstream_skipped' | 'upstream_failed' };

/** Ends a step and everything that follows from it: dependants become ready, or are skipped with theirs. Iterative: a chain may be long. */
export function endStep(draft: Draft, node: number, end: StepEnd): void {
  const work: { node: number; end: StepEnd }[] = [{ node, end }];
  const skipped: number[] = [];
  for (let item = work.shift(); item; item = work.shift()) {
    if (isFinal(stepAt(draft.state, item.node))) continue;
    record(draft, item.node, item.end);
    if (item.end.state === 'skipped' && item.end.reason === 'upstream_failed') skipped.push(item.node);
    for (const next of draft.plan.after[item.node] ?? []) {
      const follows = afterDependency(draft, next, item.end);
      if (follows) work.push({ node: next, end: follows });
    }
  }
  if (skipped.length > 0) {
    draft.decisions.push({
      kind: 'skip',
      rule: 'upstream_failed',
      chosen: taskAt(draft.plan, node).id,
      candidates: skipped.slice(0, 20).map((one) => ({ id: taskAt(draft.plan, one).id })),
    });
  }
}

export const isFinal = (step: StepState): boolean =>
  step.state === 'completed' || step.state === 'failed' || step.state === 'skipped' || step.state === 'cancelled';

const isFailure = (end: StepEnd): boolean =>
  end.state === 'failed' || end.state === 'cancelled' || (end.state === 'skipped' && end.reason === 'upstream_failed');

function record(draft: Draft, node: number, end: StepEnd): void {
  const { state, plan, policy } = draft;
  const { open, result: _unfinished, ...step } = stepAt(state, node);
  const detail =
    end.state === 'completed'
      ? { result: end.result ?? null, ...(end.reason ? { reason: end.reason } : {}) }
      : end.state === 'skipped'
        ? { reason: end.reason }
        : { error: end.error };
  state.steps[node] = { ...step, open: [], state: end.state, ...detail };
  state.inFlight -= open.length;
  state.endedCount += 1;
  const at = state.ready.indexOf(node);
  if (at >= 0) state.ready.splice(at, 1);
  // what waits for a signal is nothing but a timer, which means nothing from now on
  for (const round of taskAt(plan, node).signal ? [] : open) {
    draft.commands.push({ type: 'cancel', step: taskAt(plan, node).id, round, reason: 'step_ended' });
  }
  if (end.state === 'completed') state.finished.push(node);
  if (end.state === 'skipped') draft.commands.push({ type: 'skip', step: taskAt(plan, node).id, reason: end.reason });
  const failed = isFailure(end);
  if (failed) state.failedCount += 1;
  if ((end.state === 'failed' || end.state === 'cancelled') && state.firstFailure === null) state.firstFailure = node;
  if (!countsSinksOnly(policy.join) || (plan.after[node] ?? []).length === 0) tally(state, node, end.state, failed);
}

function tally(state: Mutable<DagState>, node: number, end: StepEnd['state'], failed: boolean): void {
  const join = { ...state.join };
  if (end === 'completed') join.completed += 1;
  else if (failed) join.failed += 1;
  else join.excused += 1;
  if ((end === 'completed' || failed) && join.first === null) {
    join.first = node;
    join.firstSucceeded = end === 'completed';
  }
  state.join = join;
}

/** What the end of one dependency means for a step that waits: it ends too, becomes ready, or waits on. */
function afterDependency(draft: Draft, node: number, end: StepEnd): StepEnd | undefined {
  const step = stepAt(draft.state, node);
  const left = step.left - 1;
  const satisfied = step.satisfied + (end.state === 'completed' ? 1 : 0);
  changeStep(draft, node, { left, satisfied });
  if (step.state !== 'blocked') return undefined;
  if (isFailure(end)) return { state: 'skipped', reason: 'upstream_failed' };
  if (left > 0) return undefined;
  return satisfied === 0 ? { state: 'skipped', reason: 'upstream_skipped' } : admit(draft, node);
}

/** A step whose dependencies are settled: asks its condition and counts its elements, then waits for a place. May end it at once. */
export function admit(draft: Draft, node: number): StepEnd | undefined {
  const task = taskAt(draft.plan, node);
  if (task.when) {
    const runs = holds(task.when, (path) => lookUp(draft, node, path));
    draft.decisions.push({ kind: 'condition', rule: 'when', chosen: `${task.id}:${runs ? 'run' : 'skip'}` });
    if (!runs) return { state: 'skipped', reason: 'condition' };
  }
  if (task.forEach !== undefined) {
    const looked = lookUp(draft, node, splitPath(task.forEach));
    if (looked.type === 'absent' || !Array.isArray(looked.value)) {
      return { state: 'failed', error: wireError('invalid_input', `forEach: "${task.forEach}" is not an array`) };
    }
    const items = looked.value.length;
    if (items > MAX_ELEMENTS) {
      const message = `forEach: "${task.forEach}" has ${items} elements, at most ${MAX_ELEMENTS} are allowed`;
      return { state: 'failed', error: wireError('invalid_input', message) };
    }
    draft.decisions.push({ kind: 'expand', rule: 'for_each', chosen: `${task.id}[${items}]` });
    if (items === 0) return { state: 'completed', result: [] };
    changeStep(draft, node, { items, ended: 0, result: Array.from({ length: items }, () => null) });
  }
  changeStep(draft, node, { state: 'ready' });
  makeReady(draft, node);
  return undefined;
}

const MAX_ELEMENTS = 10_000;

/** Puts a step into the line of those that may start, in its place by rank. */
export function makeReady(draft: Draft, node: number): void {
  const { ready } = draft.state;
  const rank = draft.plan.rank[node] ?? 0;
  let from = 0;
  let to = ready.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((draft.plan.rank[ready[middle] ?? 0] ?? 0) < rank) from = middle + 1;
    else to = middle;
  }
  ready.splice(from, 0, node);
}

/** What a path stands for, seen from a step. Absent: a field that is not there, or a step without a result. */
export function lookUp(draft: Draft, node: number, path: Path): Looked {
  const [name = '', ...rest] = path;
  if (name === DEPS) {
    const results = taskAt(draft.plan, node).dependsOn.map((id): [string, unknown] => [id, resultOf(draft, id)]);
    return descend(Object.fromEntries(results), rest);
  }
  const other = draft.plan.indexOf.get(name);
  if (other === undefined) return ABSENT;
  const step = stepAt(draft.state, other);
  const has = step.state === 'completed' || (other === node && step.next > 0);
  return has ? descend(step.result, rest) : ABSENT;
}

function resultOf(draft: Draft, id: string): unknown {
  const node = draft.plan.indexOf.get(id);
  const step = node === undefined ? undefined : stepAt(draft.state, node);
  return step?.state === 'completed' ? step.result : null;
}
