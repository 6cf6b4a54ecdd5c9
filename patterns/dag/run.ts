// Runs a graph of steps under a policy: starts what may start, answers what happened, stops when the join says so. Pure.

import type { CoordinationEvent, StopReason, Verdict } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { holds } from '../common/conditions.ts';
import { joinName, judgeJoin } from '../common/joins.ts';
import { descend, resolveInput, splitPath } from '../common/references.ts';
import { startOf } from '../common/step-start.ts';
import { finish, stopSteps } from './end.ts';
import { dagPlan } from './plan.ts';
import type { DagPolicy } from './policy.ts';
import { expired, waitForSignal, waitingFor } from './signals.ts';
import {
  admit,
  changeStep,
  type DagState,
  type Draft,
  draftOf,
  endStep,
  initialState,
  isFinal,
  lookUp,
  makeReady,
  type StepEnd,
  stepAt,
  taskAt,
} from './state.ts';
import { beginUndo, isUndo, undoEnded } from './undo.ts';

const MAX_CANDIDATES = 20;

type Completed = Extract<CoordinationEvent, { type: 'step.completed' }>;
type Failed = Extract<CoordinationEvent, { type: 'step.failed' }>;

export function startDag(workflow: WorkflowSpec, policy: DagPolicy): Verdict<DagState> {
  const plan = dagPlan(workflow);
  const draft = draftOf(workflow, plan, policy, initialState(plan));
  for (const node of plan.order) {
    if ((plan.before[node] ?? []).length > 0) continue;
    const end = admit(draft, node);
    if (end) endStep(draft, node, end);
  }
  return goOn(draft);
}

export function decideDag(
  workflow: WorkflowSpec,
  policy: DagPolicy,
  state: DagState,
  event: CoordinationEvent,
): Verdict<DagState> {
  const unchanged: Verdict<DagState> = { state, commands: [], decisions: [] };
  if (state.phase === 'ended') return unchanged;
  const plan = dagPlan(workflow);
  switch (event.type) {
    case 'step.completed':
    case 'step.failed': {
      if (isUndo(event.step)) {
        const draft = draftOf(workflow, plan, policy, state);
        return undoEnded(draft, event) ? answer(draft) : unchanged;
      }
      const node = plan.indexOf.get(event.step);
      // late, doubled, or of a step that was stopped: the outcome no longer matters
      if (node === undefined || !stepAt(state, node).open.includes(event.round)) return unchanged;
      const draft = draftOf(workflow, plan, policy, state);
      roundEnded(draft, node, event);
      return goOn(draft);
    }
    case 'input': {
      const nodes = waitingFor(plan, state, event);
      if (!nodes || state.phase === 'undoing') return unchanged;
      const draft = draftOf(workflow, plan, policy, state);
      draft.state.signals = { ...state.signals, [event.key]: event.value };
      draft.decisions.push({
        kind: 'input',
        rule: 'signal',
        chosen: event.key,
        candidates: nodes.slice(0, MAX_CANDIDATES).map((node) => ({ id: taskAt(plan, node).id })),
      });
      for (const node of nodes) {
        letGo(draft, node);
        endStep(draft, node, { state: 'completed', result: event.value });
      }
      return goOn(draft);
    }
    case 'timer': {
      const late = expired(plan, state, event);
      if (!late) return unchanged;
      const draft = draftOf(workflow, plan, policy, state);
      letGo(draft, late.node);
      endStep(draft, late.node, { state: 'failed', error: late.error });
      return goOn(draft);
    }
    case 'cancel': {
      const draft = draftOf(workflow, plan, policy, state);
      finish(draft, { status: 'cancelled', stopReason: 'cancelled', rule: event.reason, leftover: 'cancelled' });
      return answer(draft);
    }
    case 'deadline': {
      // an undo that has begun is finished: stopping it half-way would help nobody
      if (state.phase === 'undoing') return unchanged;
      const draft = draftOf(workflow, plan, policy, state);
      const error = wireError('deadline_exceeded', 'the run had not ended by its deadline');
      fail(draft, 'deadline', error, 'cancelled');
      return answer(draft);
    }
    default:
      return unchanged;
  }
}

/** The step is no longer in flight. */
function letGo(draft: Draft, node: number): void {
  changeStep(draft, node, { open: [] });
  draft.state.inFlight -= 1;
}

const answer = (draft: Draft): Verdict<DagState> => ({
  state: draft.state,
  commands: draft.commands,
  decisions: draft.decisions,
});

/** Starts what has a place, then asks the join; starting may itself end steps, and so may the join. */
function goOn(draft: Draft): Verdict<DagState> {
  if (!concluded(draft)) {
    while (draft.state.inFlight < draft.policy.maxConcurrency) {
      const node = draft.state.ready[0];
      if (node === undefined) break;
      const end = startRound(draft, node);
      if (!end) continue;
      endStep(draft, node, end);
      if (concluded(draft)) break;
    }
  }
  return answer(draft);
}

/** Starts the next round of the first step in line. Answers how the step ended if it could not start. */
export function startRound(draft: Draft, node: number): StepEnd | undefined {
  const task = taskAt(draft.plan, node);
  const step = stepAt(draft.state, node);
  const round = step.next;
  if (task.signal) return waitForSignal(draft, node, task.signal);
  const resolved = resolveInput(task.input, {
    from: (path) => {
      const looked = lookUp(draft, node, path);
      return looked.type === 'absent' && mayBeNull(draft, node, path[0] ?? '')
        ? { type: 'value', value: null }
        : looked;
    },
    input: draft.workflow.input,
    ...(task.forEach === undefined ? {} : { item: elementOf(draft, node, task.forEach, round), index: round }),
  });
  if (!resolved.ok) {
    const message = `the input of "${task.id}" refers to ${resolved.reference}, which is not there`;
    return { state: 'failed', error: wireError('invalid_input', message, { step: task.id }) };
  }
  const next = round + 1;
  changeStep(draft, node, { state: 'running', next, open: [...step.open, round] });
  if (step.items === undefined || next >= step.items) draft.state.ready.shift();
  draft.state.inFlight += 1;
  draft.commands.push(startOf(task, round, resolved.value));
  return undefined;
}

/** A step that was skipped, and the first turn of a loop that looks at its own last result, give null; a missing field is a failure. */
function mayBeNull(draft: Draft, node: number, name: string): boolean {
  const other = draft.plan.indexOf.get(name);
  if (other === undefined) return false;
  const step = stepAt(draft.state, other);
  return other === node ? step.next === 0 : step.state !== 'completed';
}

function elementOf(draft: Draft, node: number, source: string, round: number): unknown {
  const looked = lookUp(draft, node, splitPath(source));
  const element = looked.type === 'value' ? descend(looked.value, [String(round)]) : looked;
  return element.type === 'value' ? element.value : null;
}

export function roundEnded(draft: Draft, node: number, event: Completed | Failed): void {
  const step = stepAt(draft.state, node);
  changeStep(draft, node, { open: step.open.filter((round) => round !== event.round) });
  draft.state.inFlight -= 1;
  if (event.type === 'step.failed') {
    endStep(draft, node, { state: event.state === 'cancelled' ? 'cancelled' : 'failed', error: event.error });
    return;
  }
  const output = event.output ?? null;
  const task = taskAt(draft.plan, node);
  if (step.items !== undefined) elementEnded(draft, node, event.round, output);
  else if (task.loop) turnEnded(draft, node, task.loop, output);
  else endStep(draft, node, { state: 'completed', result: output });
}

function elementEnded(draft: Draft, node: number, round: number, output: unknown): void {
  const step = stepAt(draft.state, node);
  const results = Array.isArray(step.result) ? step.result.with(round, output) : [];
  const ended = (step.ended ?? 0) + 1;
  if (ended === step.items) endStep(draft, node, { state: 'completed', result: results });
  else changeStep(draft, node, { result: results, ended });
}

function turnEnded(draft: Draft, node: number, loop: NonNullable<WorkflowTask['loop']>, output: unknown): void {
  changeStep(draft, node, { result: output });
  const { next } = stepAt(draft.state, node);
  const id = taskAt(draft.plan, node).id;
  const done = holds(loop.until, (path) => lookUp(draft, node, path));
  const chosen = `${id}:${done ? 'done' : next < loop.maxRounds ? 'again' : 'max_rounds'}`;
  draft.decisions.push({ kind: 'condition', rule: 'loop_until', chosen });
  if (done) endStep(draft, node, { state: 'completed', result: output });
  else if (next >= loop.maxRounds) endStep(draft, node, { state: 'completed', result: output, reason: 'max_rounds' });
  else {
    changeStep(draft, node, { state: 'ready' });
    makeReady(draft, node);
  }
}

/** Ends the run, or begins its undo, once the join is decided. */
function concluded(draft: Draft): boolean {
  const { state, policy, workflow, plan } = draft;
  const goesOn = policy.join === 'all' && workflow.onFailure === 'continue';
  const join = goesOn ? 'allSettled' : policy.join;
  const candidates = join === 'all' || join === 'allSettled' ? plan.tasks.length : plan.sinks.length;
  const { completed, failed, excused, firstSucceeded } = state.join;
  const open = candidates - completed - failed - excused;
  const verdict = judgeJoin(join, { completed, failed, open, firstSucceeded });
  if (verdict === 'open') return false;
  const rule = joinName(policy.join);
  draft.decisions.push({ kind: 'join', rule, chosen: verdict, candidates: candidatesOf(draft) });
  if (verdict === 'unsatisfiable') {
    fail(draft, policy.failure, failureOf(draft), policy.leftover);
  } else if (join === 'all' || join === 'allSettled') {
    const status = failed === 0 ? 'completed' : completed > 0 ? 'partial' : 'failed';
    const stopReason = status === 'failed' && goesOn ? policy.failure : 'all_done';
    const error = failed === 0 ? undefined : failureOf(draft);
    finish(draft, { status, stopReason, rule, leftover: policy.leftover, ...(error ? { error } : {}) });
  } else {
    finish(draft, { status: 'completed', stopReason: 'join_satisfied', rule, leftover: 'cancelled' });
  }
  return true;
}

/** What the decision log keeps of a join: the steps that counted when it fired. */
function candidatesOf({ state, plan }: Draft): { id: string; note: string }[] {
  const ended = plan.sinks.filter((node) => isFinal(stepAt(state, node)));
  return ended.slice(0, 20).map((node) => ({ id: taskAt(plan, node).id, note: stepAt(state, node).state }));
}

function failureOf({ state, plan }: Draft): WireError {
  const node = state.firstFailure;
  const error = node === null ? undefined : stepAt(state, node).error;
  if (node === null || !error) return wireError('workflow_state', 'no step could satisfy the join');
  return { ...error, details: { ...error.details, step: taskAt(plan, node).id } };
}

function fail(draft: Draft, stopReason: StopReason, error: WireError, leftover: 'skipped' | 'cancelled'): void {
  if (draft.workflow.onFailure !== 'compensate') {
    finish(draft, { status: 'failed', stopReason, rule: stopReason, leftover, error });
    return;
  }
  stopSteps(draft, leftover, stopReason);
  beginUndo(draft, error);
}
