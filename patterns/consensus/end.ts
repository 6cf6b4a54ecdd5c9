// How a consensus ends: what is still out is cancelled and reported, the votes are gathered once.

import type { StopReason } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import { agreementWith, type Standing } from './rules.ts';
import {
  type Abstention,
  ASK_STEP,
  type ConsensusState,
  castOf,
  type Draft,
  JUDGE_STEP,
  type Outcome,
  openSeats,
  roundTimer,
  voteStep,
} from './state.ts';

const MAX_CANDIDATES = 50;
const MAX_LABEL = 100;

/** Ends the ballots of the round that are still out. */
export function closeRound(draft: Draft, reason: Extract<Abstention, 'late' | 'not_needed'>): void {
  const { state, commands } = draft;
  for (const seat of openSeats(state)) {
    commands.push({ type: 'cancel', step: voteStep(seat), round: state.round, reason });
    state.ballots[seat] = { state: 'abstained', agentId: state.seats[seat]?.agentId ?? null, reason };
  }
}

export function endDecided(draft: Draft, rule: string, outcome: Outcome, standings: readonly Standing[]): void {
  draft.state.outcome = outcome;
  closeRound(draft, 'not_needed');
  draft.decisions.push({ kind: 'vote', rule, chosen: label(outcome.decision), candidates: candidatesOf(standings) });
  endRun(draft, { status: 'completed', stopReason: 'decided', rule });
}

/** A decision that was taken by somebody else than the rule. */
export function endJudged(draft: Draft, rule: string, decision: unknown, reason: string | undefined): void {
  const outcome = { decision, ...agreementWith(decision, castOf(draft.state)), ...(reason ? { reason } : {}) };
  endDecided(draft, rule, outcome, []);
}

export function endFailed(
  draft: Draft,
  stopReason: StopReason,
  message: string,
  details: Record<string, unknown>,
): void {
  const error = wireError(stopReason === 'deadline' ? 'deadline_exceeded' : 'workflow_state', message, details);
  endRun(draft, { status: 'failed', stopReason, rule: stopReason, error });
}

interface End {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly stopReason: StopReason;
  readonly rule: string;
  readonly error?: WireError;
}

export function endRun(draft: Draft, { status, stopReason, rule, error }: End): void {
  const { state, commands, decisions } = draft;
  closeRound(draft, 'not_needed');
  if (state.phase === 'judging') commands.push({ type: 'cancel', step: JUDGE_STEP, round: 0, reason: stopReason });
  if (state.phase === 'asking') commands.push({ type: 'cancel', step: ASK_STEP, round: 0, reason: stopReason });
  state.phase = 'ended';
  decisions.push({ kind: 'stop', rule, chosen: `${status}:${stopReason}` });
  commands.push({ type: 'end', status, stopReason, output: outputOf(state), ...(error ? { error } : {}) });
}

/** `{ decision, agreement, votes, dissent, rounds }`; a run without a decision has null and 0. */
function outputOf(state: ConsensusState): Record<string, unknown> {
  const { outcome, round, ballots } = state;
  const { decision = null, agreement = 0, dissent = [] } = outcome ?? {};
  return {
    decision,
    agreement,
    votes: [...pastVotes(state), ...ballots.map((_, seat) => voteOf(state, seat))],
    dissent: dissentOf(state, dissent),
    rounds: ballots.length === 0 ? 0 : round + 1,
    ...(outcome?.reason === undefined ? {} : { reason: outcome.reason }),
  };
}

function pastVotes({ past }: ConsensusState): Record<string, unknown>[] {
  return past.map(({ seat, reason, ...vote }) => ({
    voter: voteStep(seat),
    ...vote,
    ...(reason === undefined ? {} : { abstained: true, reason }),
  }));
}

function voteOf({ ballots, seats, round }: ConsensusState, seat: number): Record<string, unknown> {
  const ballot = ballots[seat];
  const vote = { voter: voteStep(seat), agentId: seats[seat]?.agentId ?? null, round, ballot: null };
  if (!ballot || ballot.state === 'open') return vote;
  if (ballot.state === 'abstained')
    return { ...vote, agentId: ballot.agentId ?? vote.agentId, abstained: true, reason: ballot.reason };
  return { ...vote, agentId: ballot.agentId ?? vote.agentId, ballot: ballot.vote.value, answer: ballot.answer };
}

/** One entry per other ballot, with the voters behind it. */
function dissentOf({ ballots }: ConsensusState, seats: readonly number[]): { ballot: unknown; voters: string[] }[] {
  const byKey = new Map<string, { ballot: unknown; voters: string[] }>();
  for (const seat of seats) {
    const ballot = ballots[seat];
    if (ballot?.state !== 'cast') continue;
    const entry = byKey.get(ballot.vote.key) ?? { ballot: ballot.vote.value, voters: [] };
    entry.voters.push(voteStep(seat));
    byKey.set(ballot.vote.key, entry);
  }
  return [...byKey.values()].sort((a, b) => b.voters.length - a.voters.length);
}

export const candidatesOf = (standings: readonly Standing[]) =>
  standings.slice(0, MAX_CANDIDATES).map(({ value, score }) => ({ id: label(value), score }));

/** A value as the decision log shows it. */
export function label(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'null');
  return text.length > MAX_LABEL ? `${text.slice(0, MAX_LABEL - 1)}…` : text;
}

export const timerIsOfRound = (state: ConsensusState, key: string): boolean =>
  state.phase === 'voting' && key === roundTimer(state.round);
