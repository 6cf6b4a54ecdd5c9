// Runs a vote: takes the ballots and counts after each whether the outcome is fixed; else another round, or a referee. Pure.

import type { CoordinationEvent, Verdict } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { readBallot } from './ballot.ts';
import { closeRound, endDecided, endFailed, endRun, timerIsOfRound } from './end.ts';
import { type ConsensusOptions, ruleName } from './options.ts';
import { answered, breakTie, callJudge, judged } from './referee.ts';
import { debate, own, seatVoters, weightsOf } from './round.ts';
import { count, isFixed, type Tally } from './rules.ts';
import {
  ASK_STEP,
  type ConsensusState,
  castOf,
  type Draft,
  draftOf,
  FIND_KEY,
  isLastRound,
  JUDGE_STEP,
  openSeats,
  quorumOf,
  seatOf,
} from './state.ts';

type Ended = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;

export function startConsensus(
  workflow: WorkflowSpec,
  options: ConsensusOptions,
  seed: number,
): Verdict<ConsensusState> {
  const draft = draftOf(workflow, options, {
    phase: 'finding',
    generator: seed | 0,
    round: 0,
    seats: [],
    ballots: [],
    past: [],
    weights: {},
    options: [],
    referee: null,
    outcome: null,
  });
  const { voters, task } = workflow;
  // who they are is known already, and no weight depends on what they are called
  if (voters && 'agents' in voters && weightsOf(options) === null) seatVoters(draft, []);
  else draft.commands.push({ type: 'find', key: FIND_KEY, capability: task?.capability ?? '' });
  return answer(draft);
}

export function decideConsensus(
  workflow: WorkflowSpec,
  options: ConsensusOptions,
  state: ConsensusState,
  event: CoordinationEvent,
): Verdict<ConsensusState> {
  const unchanged: Verdict<ConsensusState> = { state, commands: [], decisions: [] };
  if (state.phase === 'ended') return unchanged;
  const draft = () => draftOf(workflow, options, state);
  switch (event.type) {
    case 'found':
      return event.key === FIND_KEY && state.phase === 'finding'
        ? change(draft(), (it) => seatVoters(it, event.agents))
        : unchanged;
    case 'step.completed':
    case 'step.failed': {
      const ballot = state.ballots[seatOf(event.step)];
      if (state.phase === 'voting' && event.round === state.round && ballot?.state === 'open')
        return change(draft(), (it) => takeBallot(it, seatOf(event.step), event));
      if (state.phase === 'judging' && event.step === JUDGE_STEP && event.round === 0)
        return change(draft(), (it) => judged(it, event));
      if (state.phase === 'asking' && event.step === ASK_STEP && event.round === 0)
        return change(draft(), (it) => answered(it, event));
      return unchanged;
    }
    case 'timer':
      if (timerIsOfRound(state, event.key)) return change(draft(), roundIsOver);
      if (state.phase === 'judging' && event.key === JUDGE_STEP)
        return change(draft(), (it) => endFailed(it, 'judge_failed', 'the judge did not answer in time', {}));
      return unchanged;
    case 'cancel':
      return change(draft(), (it) => endRun(it, { status: 'cancelled', stopReason: 'cancelled', rule: event.reason }));
    case 'deadline':
      return change(draft(), (it) => endFailed(it, 'deadline', 'the run had not ended by its deadline', {}));
    default:
      return unchanged;
  }
}

function change(draft: Draft, make: (draft: Draft) => void): Verdict<ConsensusState> {
  make(draft);
  return answer(draft);
}

const answer = ({ state, commands, decisions }: Draft): Verdict<ConsensusState> => ({ state, commands, decisions });

function takeBallot(draft: Draft, seat: number, event: Ended): void {
  const { state, options } = draft;
  const pinned = state.seats[seat];
  const agentId = event.agentId ?? pinned?.agentId ?? null;
  if (event.type === 'step.failed') state.ballots[seat] = { state: 'abstained', agentId, reason: event.state };
  else if (pinned?.agentId != null && hasVoted(state, event.agentId))
    state.ballots[seat] = { state: 'abstained', agentId, reason: 'double_vote' };
  else {
    const read = readBallot(options, event.output);
    state.ballots[seat] = read.ok
      ? {
          state: 'cast',
          agentId,
          vote: read.vote,
          weight: weightOfBallot(draft, seat, event.agentId),
          answer: event.output ?? null,
        }
      : { state: 'abstained', agentId, reason: read.reason };
  }
  countBallots(draft);
}

/** An agent that was named twice, by id and by name, has one voice. */
function hasVoted(state: ConsensusState, agentId: string | null): boolean {
  if (agentId === null) return false;
  return state.ballots.some(
    (ballot, seat) =>
      ballot.state === 'cast' && ballot.agentId === agentId && (state.seats[seat]?.agentId ?? null) !== null,
  );
}

function weightOfBallot({ state, options }: Draft, seat: number, agentId: string | null): number {
  const pinned = state.seats[seat];
  if (pinned?.agentId != null || weightsOf(options) === null) return pinned?.weight ?? 1;
  return (agentId === null ? undefined : own(state.weights, agentId)) ?? 1;
}

/** After every ballot: is there no quorum any more, is the outcome fixed, is the round over? */
function countBallots(draft: Draft): void {
  const { state, options, workflow } = draft;
  const cast = castOf(state);
  const open = openSeats(state);
  const quorum = quorumOf(workflow, options);
  if (cast.length + open.length < quorum) {
    noQuorum(draft, cast.length, quorum);
    return;
  }
  const last = isLastRound(options, state);
  if (open.length > 0) {
    const weights = open.map((seat) => state.seats[seat]?.weight ?? 1);
    if (cast.length < quorum || !isFixed(options, cast, weights, last)) return;
  }
  conclude(draft, count(options, cast, last), last);
}

function roundIsOver(draft: Draft): void {
  closeRound(draft, 'late');
  countBallots(draft);
}

function noQuorum(draft: Draft, valid: number, quorum: number): void {
  const voters = draft.state.seats.length;
  const message = `${valid} of ${voters} voters gave a valid ballot in round ${draft.state.round}; the quorum is ${quorum}`;
  endFailed(draft, 'no_quorum', message, { valid, quorum, voters, round: draft.state.round });
}

function conclude(draft: Draft, tally: Tally, last: boolean): void {
  const { options } = draft;
  const rule = ruleName(options.rule);
  if (tally.type === 'decided') {
    const { value, agreement, dissent, standings } = tally;
    endDecided(draft, rule, { decision: value, agreement, dissent }, standings);
  } else if (tally.type === 'judge') {
    const capability = typeof options.rule === 'object' && 'judge' in options.rule ? options.rule.judge : '';
    callJudge(draft, capability, null);
  } else if (last) breakTie(draft, tally);
  else debate(draft, tally.standings);
}
