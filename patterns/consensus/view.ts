// A vote as a person sees it: a step per seat, then the judge or the question; and the count of the round.

import type { StepView } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { candidatesOf } from './end.ts';
import { type ConsensusOptions, ruleName } from './options.ts';
import { count } from './rules.ts';
import {
  ASK_STEP,
  type Ballot,
  type ConsensusState,
  castOf,
  isLastRound,
  JUDGE_STEP,
  openSeats,
  quorumOf,
  voterCount,
  voteStep,
} from './state.ts';

const MAX_SEATS_SHOWN = 200;
const MAX_PAST_SHOWN = 1_000;

export function consensusSteps(
  workflow: WorkflowSpec,
  options: ConsensusOptions,
  state: ConsensusState | null,
): StepView[] {
  const seats = Array.from({ length: voterCount(workflow) }, (_, seat) => seat);
  const votes = seats.map(
    (seat): StepView => ({
      id: voteStep(seat),
      round: state?.round ?? 0,
      dependsOn: [],
      ...(workflow.task ? { capability: workflow.task.capability } : {}),
      ...seen(state?.ballots[seat], state),
    }),
  );
  const after = seats.map(voteStep);
  const judge = judgeOf(options);
  if (judge !== null)
    votes.push({ id: JUDGE_STEP, state: decider(state, 'judging'), round: 0, dependsOn: after, capability: judge });
  if (options.tie === 'ask') votes.push({ id: ASK_STEP, state: decider(state, 'asking'), round: 0, dependsOn: after });
  return votes;
}

/** The capability that decides, or breaks ties. */
export const judgeOf = ({ rule, tie, judge }: ConsensusOptions): string | null =>
  typeof rule === 'object' && 'judge' in rule ? rule.judge : tie === 'judge' ? (judge ?? null) : null;

function seen(ballot: Ballot | undefined, state: ConsensusState | null): Pick<StepView, 'state'> & Partial<StepView> {
  if (!ballot) return { state: state?.phase === 'ended' ? 'cancelled' : 'blocked' };
  if (ballot.state === 'open') return { state: 'queued' };
  if (ballot.state === 'cast')
    return { state: 'completed', result: ballot.answer, detail: { ballot: ballot.vote.value } };
  const dropped = ballot.reason === 'not_needed' || ballot.reason === 'late' || ballot.reason === 'cancelled';
  return { state: dropped ? 'cancelled' : 'failed', reason: ballot.reason, detail: { abstained: true } };
}

function decider(state: ConsensusState | null, phase: 'judging' | 'asking'): StepView['state'] {
  if (state?.phase === phase) return phase === 'asking' ? 'waiting' : 'queued';
  if (state?.phase !== 'ended') return 'blocked';
  const referee = phase === 'judging' ? 'judge' : 'person';
  return state.referee === referee ? (state.outcome ? 'completed' : 'failed') : 'skipped';
}

export function consensusProgress(workflow: WorkflowSpec, state: ConsensusState): { done: number; total: number } {
  const total = voterCount(workflow);
  if (state.phase === 'ended') return { done: total, total };
  return { done: state.ballots.length === 0 ? 0 : total - openSeats(state).length, total };
}

export function consensusPicture(workflow: WorkflowSpec, options: ConsensusOptions, state: ConsensusState): unknown {
  const cast = castOf(state);
  return {
    rule: ruleName(options.rule),
    quorum: quorumOf(workflow, options),
    round: state.round,
    rounds: options.rounds + 1,
    valid: cast.length,
    open: openSeats(state).length,
    standings: cast.length === 0 ? [] : candidatesOf(count(options, cast, isLastRound(options, state)).standings),
    ballots: state.ballots.slice(0, MAX_SEATS_SHOWN).map((ballot, seat) => ({
      voter: voteStep(seat),
      agentId: ballot.state === 'open' ? (state.seats[seat]?.agentId ?? null) : ballot.agentId,
      state: ballot.state,
      ...(ballot.state === 'cast' ? { ballot: ballot.vote.value, weight: ballot.weight } : {}),
      ...(ballot.state === 'abstained' ? { reason: ballot.reason } : {}),
    })),
    decision: state.outcome?.decision ?? null,
    agreement: state.outcome?.agreement ?? null,
    dissent: (state.outcome?.dissent ?? []).slice(0, MAX_SEATS_SHOWN).map(voteStep),
    referee: state.referee,
    past: state.past.slice(-MAX_PAST_SHOWN).map(({ seat, round, agentId, ballot, reason }) => ({
      voter: voteStep(seat),
      round,
      agentId,
      ballot,
      ...(reason === undefined ? {} : { reason }),
    })),
  };
}
