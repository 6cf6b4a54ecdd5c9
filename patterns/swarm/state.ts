// Where a swarm stands: its members with what each tries now and its best, the best of all, what it has used up. Plain JSON.

import type { CoordinationCommand, Decision, StopReason } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import type { SwarmOptions } from './options.ts';

/** Coordinates of a particle, or the nodes of an ant's way by number. */
export type Place = readonly number[];

/** A particle or an ant. */
export interface Member {
  /** Its iterations so far: the round that starts next. */
  readonly next: number;
  /** Whether the last of them is still being evaluated. */
  readonly evaluating: boolean;
  readonly at: Place;
  /** Of a particle. */
  readonly velocity: readonly number[];
  readonly best: { readonly at: Place; readonly score: number } | null;
  /** Evaluations in a row that failed. It is alive below `lostAfter`. */
  readonly failures: number;
}

export interface Found {
  readonly at: Place;
  readonly score: number;
}

/** A point of the history: the best score after so many evaluations. */
export interface HistoryPoint {
  readonly iteration: number;
  readonly evaluations: number;
  readonly best: number | null;
}

export interface Improvement {
  /** The how-manieth evaluation that ended it was, from 1. */
  readonly evaluation: number;
  readonly member: string;
  readonly iteration: number;
  readonly score: number;
}

export interface SwarmState {
  readonly ended: StopReason | null;
  /** Of the generator of random numbers. */
  readonly random: number;
  readonly members: readonly Member[];
  /** Evaluations started and ended; of these the failed. */
  readonly started: number;
  readonly evaluations: number;
  readonly failed: number;
  readonly best: Found | null;
  /** The score from which stagnation is measured, and when it was reached. */
  readonly gain: { readonly score: number | null; readonly evaluations: number };
  /** One point per iteration of the swarm (as many evaluations as it has members); with more than 1,000 every second goes. */
  readonly history: readonly HistoryPoint[];
  readonly stride: number;
  /** The last 1,000. */
  readonly improvements: readonly Improvement[];
  /** Decisions of a kind that may be many, logged so far. */
  readonly logged: { readonly improve: number; readonly respawn: number };
  /** Of ants: the pheromone on each edge, and the best way of the generation that is under way. */
  readonly ants?: {
    readonly pheromone: readonly number[];
    readonly ended: number;
    readonly best: Found | null;
  };
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** One decision in the making. */
export interface Draft {
  readonly workflow: WorkflowSpec;
  readonly options: SwarmOptions;
  readonly state: Mutable<SwarmState> & { members: Member[] };
  readonly commands: CoordinationCommand[];
  readonly decisions: Decision[];
}

export function draftOf(workflow: WorkflowSpec, options: SwarmOptions, state: SwarmState): Draft {
  const copy = { ...state, members: [...state.members] };
  return { workflow, options, state: copy, commands: [], decisions: [] };
}

export const stepOf = (member: number): string => `p${member + 1}`;

/** The number of the member behind a step, or undefined. */
export function memberOf(step: string, { members }: SwarmState): number | undefined {
  const number = /^p[1-9]\d{0,5}$/.test(step) ? Number(step.slice(1)) - 1 : -1;
  return number >= 0 && number < members.length ? number : undefined;
}

const MAX_HISTORY = 1_000;

/** The state with a point of history, if an iteration of the whole swarm is over. */
export function recordHistory({ state }: Draft): void {
  const { evaluations, members, best } = state;
  if (evaluations % members.length !== 0) return;
  const iteration = evaluations / members.length;
  if (iteration % state.stride !== 0) return;
  state.history = [...state.history, { iteration, evaluations, best: best?.score ?? null }];
  if (state.history.length <= MAX_HISTORY) return;
  state.stride *= 2;
  state.history = state.history.filter((point) => point.iteration % state.stride === 0);
}

export function recordImprovement({ state }: Draft, improvement: Improvement): void {
  state.improvements = [...state.improvements, improvement].slice(-MAX_HISTORY);
}
