// Where a consensus stands: who has which seat, what came of each ballot of the round. Plain JSON, never changed: a decision works on a copy.

import type { CoordinationCommand, Decision } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import type { Spoilt, Vote } from './ballot.ts';
import type { ConsensusOptions } from './options.ts';
import type { Cast } from './rules.ts';

/** A place for one ballot a round. */
export interface Seat {
  /** The agent it is for, as the definition or `find` named it; null: whoever offers the capability. */
  readonly agentId: string | null;
  /** The greatest weight its ballot may have. */
  readonly weight: number;
}

export type Ballot =
  | { readonly state: 'open' }
  | {
      readonly state: 'cast';
      readonly agentId: string | null;
      readonly vote: Vote;
      readonly weight: number;
      readonly answer: unknown;
    }
  | { readonly state: 'abstained'; readonly agentId: string | null; readonly reason: Abstention };

/** Why there is no ballot: it was invalid, its step ended so, it came too late, or the decision no longer needed it. */
export type Abstention = Spoilt | 'double_vote' | 'failed' | 'dead' | 'timed_out' | 'cancelled' | 'late' | 'not_needed';

/** A ballot of an earlier round. Its answer is with its task. */
export interface PastVote {
  readonly seat: number;
  readonly round: number;
  readonly agentId: string | null;
  readonly ballot: unknown;
  readonly reason?: Abstention;
}

export interface ConsensusState {
  readonly phase: 'finding' | 'voting' | 'judging' | 'asking' | 'ended';
  /** Of the seeded order in which answers are shown. */
  readonly generator: number;
  readonly round: number;
  readonly seats: readonly Seat[];
  /** Of this round, by seat. */
  readonly ballots: readonly Ballot[];
  readonly past: readonly PastVote[];
  /** Weights of agents by id, of those the rule names. */
  readonly weights: Readonly<Record<string, number>>;
  /** What a judge or a person chooses among, of a vote without a decision. */
  readonly options: readonly unknown[];
  /** Who was asked to decide in place of the rule. */
  readonly referee: 'judge' | 'person' | null;
  readonly outcome: Outcome | null;
}

export interface Outcome {
  readonly decision: unknown;
  readonly agreement: number;
  /** Seats whose valid ballot says otherwise. */
  readonly dissent: readonly number[];
  readonly reason?: string;
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

export interface Draft {
  readonly workflow: WorkflowSpec;
  readonly options: ConsensusOptions;
  readonly state: Mutable<ConsensusState> & { ballots: Ballot[] };
  readonly commands: CoordinationCommand[];
  readonly decisions: Decision[];
}

export const DEFAULT_VOTERS = 5;
export const JUDGE_STEP = 'judge';
export const ASK_STEP = 'tie';
export const FIND_KEY = 'voters';
export const voteStep = (seat: number): string => `vote-${seat + 1}`;
export const roundTimer = (round: number): string => `round-${round}`;

/** The seat of a step, or -1. */
export function seatOf(step: string): number {
  const found = /^vote-([1-9][0-9]*)$/.exec(step);
  return found ? Number(found[1]) - 1 : -1;
}

export const voterCount = ({ voters }: WorkflowSpec): number =>
  voters === undefined ? DEFAULT_VOTERS : 'n' in voters ? voters.n : voters.agents.length;

export const quorumOf = (workflow: WorkflowSpec, { quorum }: ConsensusOptions): number =>
  quorum ?? Math.floor(voterCount(workflow) / 2) + 1;

export const isLastRound = ({ rounds }: ConsensusOptions, { round }: Pick<ConsensusState, 'round'>): boolean =>
  round >= rounds;

/** The valid ballots of this round, by seat. */
export function castOf({ ballots }: Pick<ConsensusState, 'ballots'>): Cast[] {
  return ballots.flatMap((ballot, seat) =>
    ballot.state === 'cast' ? [{ seat, vote: ballot.vote, weight: ballot.weight }] : [],
  );
}

export function openSeats({ ballots }: Pick<ConsensusState, 'ballots'>): number[] {
  return ballots.flatMap((ballot, seat) => (ballot.state === 'open' ? [seat] : []));
}

export function draftOf(workflow: WorkflowSpec, options: ConsensusOptions, state: ConsensusState): Draft {
  return { workflow, options, state: { ...state, ballots: [...state.ballots] }, commands: [], decisions: [] };
}
