// Runs a swarm: every member is evaluated, moves as soon as its score is there, and is evaluated again, until a bound is met. No member
// waits for another. Pure.

import type { CoordinationEvent, Verdict } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { plainInput } from '../common/plain-input.ts';
import { randomFrom } from '../common/random.ts';
import { taskOf } from '../common/step-start.ts';
import { initialSwarm, searchOf } from './begin.ts';
import { finishSwarm, type SwarmFinish } from './end.ts';
import type { SwarmOptions } from './options.ts';
import {
  type Draft,
  draftOf,
  type Member,
  memberOf,
  recordHistory,
  recordImprovement,
  type SwarmState,
  stepOf,
} from './state.ts';

/** Decisions of one kind beyond these are counted, not logged one by one. */
const MAX_LOGGED = 500;

export function startSwarm(workflow: WorkflowSpec, options: SwarmOptions, seed: number): Verdict<SwarmState> {
  const draft = draftOf(workflow, options, initialSwarm(options, seed));
  for (const at of draft.state.members.keys()) evaluate(draft, at);
  return answer(draft);
}

export function decideSwarm(
  workflow: WorkflowSpec,
  options: SwarmOptions,
  state: SwarmState,
  event: CoordinationEvent,
): Verdict<SwarmState> {
  const unchanged: Verdict<SwarmState> = { state, commands: [], decisions: [] };
  if (state.ended !== null) return unchanged;
  switch (event.type) {
    case 'step.completed':
    case 'step.failed': {
      const at = memberOf(event.step, state);
      const member = at === undefined ? undefined : state.members[at];
      // late, doubled, or of another round
      if (at === undefined || !member?.evaluating || event.round !== member.next - 1) return unchanged;
      const draft = draftOf(workflow, options, state);
      const score = event.type === 'step.completed' ? scoreIn(event.output) : undefined;
      if (score !== undefined) scored(draft, at, member, score);
      else failed(draft, at, member, event.type === 'step.failed' ? event.error : NO_SCORE);
      recordHistory(draft);
      const over = concluded(draft);
      if (over) finishSwarm(draft, over);
      else goOn(draft, at);
      return answer(draft);
    }
    case 'cancel': {
      const draft = draftOf(workflow, options, state);
      finishSwarm(draft, { status: 'cancelled', stopReason: 'cancelled', rule: event.reason });
      return answer(draft);
    }
    case 'deadline': {
      const draft = draftOf(workflow, options, state);
      const error = wireError('deadline_exceeded', 'the run had not ended by its deadline');
      finishSwarm(draft, { status: 'failed', stopReason: 'deadline', rule: 'deadline', error });
      return answer(draft);
    }
    default:
      return unchanged;
  }
}

const answer = ({ state, commands, decisions }: Draft): Verdict<SwarmState> => ({ state, commands, decisions });

const NO_SCORE = wireError('invalid_output', 'an objective answers { score }, a finite number');

function scoreIn(output: unknown): number | undefined {
  if (typeof output !== 'object' || output === null || !('score' in output)) return undefined;
  return typeof output.score === 'number' && Number.isFinite(output.score) ? output.score : undefined;
}

/** Starts the evaluation of where the member is, unless the work is used up. */
function evaluate(draft: Draft, at: number): boolean {
  const { state, options, workflow, commands } = draft;
  const { maxEvaluations = Number.POSITIVE_INFINITY, maxIterations = Number.POSITIVE_INFINITY } = options;
  const member = state.members[at];
  const { objective } = workflow;
  if (!member || !objective || state.started >= maxEvaluations || member.next >= maxIterations) return false;
  state.members[at] = { ...member, next: member.next + 1, evaluating: true };
  state.started += 1;
  const given = plainInput(workflow, objective.input) as Record<string, unknown> | undefined;
  const input = { ...given, ...searchOf(options).input(member.at) };
  const reserve = objective.reserve === undefined ? {} : { reserve: objective.reserve };
  commands.push({
    type: 'schedule',
    step: stepOf(at),
    round: member.next,
    task: taskOf(objective, input),
    ...reserve,
  });
  return true;
}

/** The place is evaluated: the member may have a new best, and so may all. */
function scored(draft: Draft, at: number, member: Member, score: number): void {
  const { state } = draft;
  state.evaluations += 1;
  const best = member.best && member.best.score <= score ? member.best : { at: member.at, score };
  state.members[at] = { ...member, evaluating: false, failures: 0, best };
  if (state.best === null || score < state.best.score) improved(draft, at, member, score);
  searchOf(draft.options).learn(draft, member.at, score);
}

function improved(draft: Draft, at: number, member: Member, score: number): void {
  const { state, options, decisions } = draft;
  const before = state.best?.score;
  const iteration = member.next - 1;
  state.best = { at: member.at, score };
  recordImprovement(draft, { evaluation: state.evaluations, member: stepOf(at), iteration, score });
  const { epsilon = 0 } = options.stagnation ?? {};
  if (state.gain.score === null || state.gain.score - score > epsilon)
    state.gain = { score, evaluations: state.evaluations };
  if (state.logged.improve >= MAX_LOGGED) return;
  state.logged = { ...state.logged, improve: state.logged.improve + 1 };
  const candidates = [{ id: stepOf(at), score, note: `evaluation ${state.evaluations}` }];
  const beaten = before === undefined ? [] : [{ id: 'before', score: before }];
  decisions.push({ kind: 'improve', rule: 'lowest_score', chosen: stepOf(at), candidates: [...candidates, ...beaten] });
}

/** The particle is lost where it was: it keeps its own best and begins anew at another place. */
function failed(draft: Draft, at: number, member: Member, { code }: WireError): void {
  const { state, decisions } = draft;
  state.evaluations += 1;
  state.failed += 1;
  state.members[at] = { ...member, evaluating: false, failures: member.failures + 1 };
  if (state.logged.respawn >= MAX_LOGGED) return;
  state.logged = { ...state.logged, respawn: state.logged.respawn + 1 };
  const candidates = [{ id: stepOf(at), score: member.failures + 1, note: code }];
  decisions.push({ kind: 'retry', rule: 'respawn', chosen: stepOf(at), candidates });
}

/** What ends the run now, whoever is still being evaluated. */
function concluded({ state, options }: Draft): SwarmFinish | null {
  const { best, members, evaluations, gain } = state;
  const { target, stagnation, minAlive, lostAfter } = options;
  if (best && target !== undefined && best.score <= target)
    return { status: 'completed', stopReason: 'target_reached', rule: 'target' };
  const alive = members.filter((member) => member.failures < lostAfter).length;
  if (alive < minAlive * members.length) {
    const message = `${alive} of ${members.length} particles are alive, ${minAlive * 100} % must be`;
    const error = wireError('attempts_exhausted', message, { alive, agents: members.length, failed: state.failed });
    return { status: 'failed', stopReason: 'population_collapse', rule: 'min_alive', error };
  }
  if (best && stagnation && evaluations - gain.evaluations >= stagnation.iterations * members.length)
    return { status: 'completed', stopReason: 'stagnation', rule: 'stagnation' };
  return null;
}

/** The member moves on; if nobody may any more and nobody is under way, the work is used up. */
function goOn(draft: Draft, at: number): void {
  const { state, options } = draft;
  const member = state.members[at];
  if (!member) return;
  const random = randomFrom(state.random);
  const search = searchOf(options);
  const step = member.failures > 0 ? search.scatter(state, random) : search.move(state, random, member);
  state.members[at] = { ...member, ...step };
  state.random = random.state;
  if (evaluate(draft, at) || state.started > state.evaluations) return;
  const usedUp = state.started >= (options.maxEvaluations ?? Number.POSITIVE_INFINITY);
  const stopReason = usedUp ? 'evaluations_used_up' : 'rounds_used_up';
  if (state.best) {
    finishSwarm(draft, { status: 'completed', stopReason, rule: stopReason });
    return;
  }
  const error = wireError('attempts_exhausted', `none of ${state.evaluations} evaluations gave a score`);
  finishSwarm(draft, { status: 'failed', stopReason, rule: 'no_score', error });
}
