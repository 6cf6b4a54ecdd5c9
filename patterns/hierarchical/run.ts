// Runs a hierarchy: the coordinator plans, the runtime dispatches, results go back, until it says it is done or a limit is met. Pure.

import type { CoordinationEvent, Verdict } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import type { Participant, WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { plainInput } from '../common/plain-input.ts';
import { taskOf } from '../common/step-start.ts';
import { stopSteps } from '../dag/end.ts';
import { dagPlan } from '../dag/plan.ts';
import { roundEnded } from '../dag/run.ts';
import { stepAt } from '../dag/state.ts';
import { addTasks, dispatch } from './graph.ts';
import { coordinatorOf, type HierarchicalOptions } from './options.ts';
import { type Limit, PLAN_STEP, readAnswer, SYNTHESIS_STEP } from './plan.ts';
import {
  begin,
  goOnFrom,
  graphOfState,
  type HierarchicalDraft,
  type HierarchicalState,
  inGraph,
  verdictOf,
} from './state.ts';
import { planTree, resultsOf } from './view.ts';

type Ended = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;
type End = Omit<Extract<HierarchicalDraft['commands'][number], { type: 'end' }>, 'type' | 'output'>;

export function startHierarchical(workflow: WorkflowSpec, options: HierarchicalOptions): Verdict<HierarchicalState> {
  const draft = begin(workflow, options);
  askCoordinator(draft);
  return verdictOf(draft);
}

export function decideHierarchical(
  workflow: WorkflowSpec,
  options: HierarchicalOptions,
  state: HierarchicalState,
  event: CoordinationEvent,
): Verdict<HierarchicalState> {
  const draft = goOnFrom(workflow, options, state);
  return state.phase !== 'ended' && happened(draft, event) ? verdictOf(draft) : { state, commands: [], decisions: [] };
}

/** False when the event means nothing here: late, doubled, unknown, or of a step that was stopped. */
function happened(draft: HierarchicalDraft, event: CoordinationEvent): boolean {
  switch (event.type) {
    case 'cancel':
      end(draft, { status: 'cancelled', stopReason: 'cancelled' }, event.reason);
      return true;
    case 'deadline': {
      const error = wireError('deadline_exceeded', 'the run had not ended by its deadline');
      end(draft, { status: 'failed', stopReason: 'deadline', error }, 'deadline');
      return true;
    }
    case 'step.completed':
    case 'step.failed':
      if (event.step === PLAN_STEP) return turnEnded(draft, event);
      return event.step === SYNTHESIS_STEP ? synthesisEnded(draft, event) : subtaskEnded(draft, event);
    default:
      return false;
  }
}

/** Gives the coordinator a turn. With a limit it is the last one. */
function askCoordinator(draft: HierarchicalDraft): void {
  const { state, workflow, options } = draft;
  const { limit, error } = state;
  const part = {
    round: state.rounds.length,
    depth: options.depth,
    ...(error === null ? {} : { error }),
    ...(limit ? { final: true, reason: limit.message } : {}),
  };
  give(draft, PLAN_STEP, state.turns, coordinatorOf(workflow), part);
  state.phase = 'planning';
  state.turns += 1;
}

/** Hands a participant the goal and the results, and its own part. */
function give(
  { workflow, state, commands }: HierarchicalDraft,
  step: string,
  round: number,
  participant: Participant,
  part: Record<string, unknown>,
): void {
  const extra = plainInput(workflow, participant.input);
  const input = {
    ...(typeof extra === 'object' ? extra : {}),
    goal: workflow.goal ?? '',
    ...(workflow.input === undefined ? {} : { input: workflow.input }),
    results: resultsOf(state),
    ...part,
  };
  const reserve = participant.reserve ? { reserve: participant.reserve } : {};
  commands.push({ type: 'schedule', step, round, task: taskOf(participant, input), ...reserve });
  state.asked = true;
}

function turnEnded(draft: HierarchicalDraft, event: Ended): boolean {
  const { state } = draft;
  if (state.phase !== 'planning' || event.round !== state.turns - 1) return false;
  state.asked = false;
  if (event.type === 'step.failed') coordinatorFailed(draft, event.error);
  else answered(draft, event.output);
  return true;
}

function answered(draft: HierarchicalDraft, output: unknown): void {
  const { state, workflow, options, decisions } = draft;
  const answer = readAnswer(output, { workflow, options, known: state.tasks });
  const rule = `round_${state.rounds.length}`;
  if (answer.type === 'done') {
    decisions.push({ kind: 'plan', rule, chosen: 'done' });
    state.output = answer.output;
    conclude(draft);
  } else if (state.limit) {
    // It was asked for a synthesis and gave none: what the subtasks gave is the result there is.
    decisions.push({ kind: 'plan', rule: state.limit.name, chosen: 'no_synthesis' });
    conclude(draft);
  } else if (answer.type === 'limit') meetLimit(draft, answer.limit);
  else if (answer.type === 'bad') badPlan(draft, answer.message);
  else {
    const candidates = answer.tasks.slice(0, 50).map(({ id, capability }) => ({ id, note: capability ?? 'run' }));
    decisions.push({ kind: 'plan', rule, chosen: `${answer.tasks.length} subtasks`, candidates });
    state.error = null;
    state.phase = 'working';
    addTasks(draft, answer.tasks);
    goOn(draft);
  }
}

/** The first time the coordinator hears what is wrong; the second time in a row it has failed. */
function badPlan(draft: HierarchicalDraft, message: string): void {
  const { state, decisions } = draft;
  const again = state.error === null;
  decisions.push({
    kind: 'plan',
    rule: 'schema',
    chosen: again ? 'ask_again' : 'give_up',
    candidates: [{ id: PLAN_STEP, note: message }],
  });
  if (!again) {
    coordinatorFailed(draft, wireError('invalid_output', `the plan cannot be carried out: ${message}`));
    return;
  }
  state.error = message;
  askCoordinator(draft);
}

function coordinatorFailed(draft: HierarchicalDraft, error: WireError): void {
  draft.state.turnFailed = true;
  if (draft.state.limit) conclude(draft, error);
  else end(draft, { status: 'failed', stopReason: 'coordinator_failed', error }, 'coordinator');
}

function subtaskEnded(draft: HierarchicalDraft, event: Ended): boolean {
  const { workflow, state } = draft;
  const node = dagPlan(graphOfState(workflow, state)).indexOf.get(event.step);
  if (node === undefined || !stepAt(state.dag, node).open.includes(event.round)) return false;
  inGraph(draft, (graph) => roundEnded(graph, node, event));
  goOn(draft);
  return true;
}

/** Dispatches; when every subtask has ended the round is over. */
function goOn(draft: HierarchicalDraft): void {
  if (!dispatch(draft)) return;
  const { state, options, decisions } = draft;
  const round = state.rounds.length - 1;
  const results = resultsOf(state).filter((one) => one.round === round);
  const completed = results.filter(({ status }) => status === 'completed').length;
  const candidates = results.slice(0, 50).map(({ id, status }) => ({ id, note: status }));
  const chosen = `${completed} of ${results.length} completed`;
  decisions.push({ kind: 'round', rule: `round_${round}`, chosen, candidates });
  if (state.rounds.length < options.maxRounds) askCoordinator(draft);
  else meetLimit(draft, { name: 'maxRounds', message: `${options.maxRounds} rounds are used up` });
}

/** No further plan is carried out: what there is becomes the result, by the synthesis or a last turn of the coordinator. */
function meetLimit(draft: HierarchicalDraft, limit: Limit): void {
  draft.state.limit = limit;
  draft.state.error = null;
  draft.decisions.push({
    kind: 'plan',
    rule: limit.name,
    chosen: 'last_turn',
    candidates: [{ id: PLAN_STEP, note: limit.message }],
  });
  if (draft.options.synthesis) conclude(draft);
  else askCoordinator(draft);
}

/** Nothing is left to do but the synthesis, if one is asked for. */
function conclude(draft: HierarchicalDraft, error?: WireError): void {
  const { state, options } = draft;
  if (options.synthesis) {
    state.phase = 'synthesis';
    const part = state.output === null ? {} : { output: state.output };
    give(draft, SYNTHESIS_STEP, 0, options.synthesis, part);
    return;
  }
  endWithResult(draft, error);
}

function synthesisEnded(draft: HierarchicalDraft, event: Ended): boolean {
  if (draft.state.phase !== 'synthesis' || event.round !== 0) return false;
  draft.state.asked = false;
  if (event.type === 'step.failed') {
    const error = { ...event.error, details: { ...event.error.details, step: SYNTHESIS_STEP } };
    end(draft, { status: 'failed', stopReason: 'step_failed', error }, SYNTHESIS_STEP);
    return true;
  }
  draft.state.synthesis = event.output ?? null;
  endWithResult(draft);
  return true;
}

function endWithResult(draft: HierarchicalDraft, error?: WireError): void {
  const { limit, output, synthesis } = draft.state;
  if (!limit) {
    end(draft, { status: 'completed', stopReason: 'plan_done' }, 'done');
    return;
  }
  const something = output !== null || synthesis !== null || resultsOf(draft.state).some((one) => 'result' in one);
  const why = error ?? wireError('workflow_state', limit.message);
  end(draft, { status: something ? 'partial' : 'failed', stopReason: 'plan_limits', error: why }, limit.name);
}

/** What is in flight is cancelled first. */
function end(draft: HierarchicalDraft, how: End, rule: string): void {
  const { state, workflow, commands, decisions } = draft;
  const reason = how.stopReason;
  if (state.asked) {
    const planning = state.phase === 'planning';
    const [step, round] = planning ? [PLAN_STEP, state.turns - 1] : [SYNTHESIS_STEP, 0];
    commands.push({ type: 'cancel', step, round, reason });
  }
  inGraph(draft, (graph) => stopSteps(graph, 'cancelled', reason));
  state.asked = false;
  state.phase = 'ended';
  decisions.push({ kind: 'stop', rule, chosen: `${how.status}:${reason}` });
  const result = state.synthesis ?? state.output;
  commands.push({ type: 'end', ...how, output: { result, plan: planTree(workflow, state) } });
}
