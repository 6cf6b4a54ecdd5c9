// What a simulated world does and what a simulation tells.

import type { Bid, Candidate, CoordinationCommand, CoordinationEvent, Decision } from '../contracts/coordination.ts';
import type { Usage } from '../contracts/workflow.ts';

type Of<Type extends CoordinationCommand['type']> = Extract<CoordinationCommand, { type: Type }>;

/** A command that puts a step in flight. */
export type Start = Of<'schedule' | 'spawn' | 'await'>;
export type Call = Of<'call'>;
export type End = Of<'end'>;

/** How a step ends. `never`: it stays in flight until the strategy cancels it. */
export type Outcome =
  | { readonly output: unknown; readonly agentId?: string; readonly usage?: Usage }
  | {
      readonly fails: string;
      /** Default `handler_failed`. */
      readonly code?: string;
      /** Default `failed`. */
      readonly state?: Extract<CoordinationEvent, { type: 'step.failed' }>['state'];
      readonly agentId?: string;
      readonly usage?: Usage;
    }
  | 'never';

/**
 * What an agent answers to a call: a bid, a refusal (null, or `error` when its function threw), nothing at all,
 * or a tempting bid (cost 0) after the call was closed.
 */
export type BidAnswer = Bid | null | 'error' | 'silent' | 'late';

/** An event from outside. It comes after that many events, or as soon as nothing else is under way. */
export interface Interrupt {
  readonly after: number;
  readonly event:
    | 'cancel'
    | 'deadline'
    | { readonly type: 'input'; readonly key: string; readonly value: unknown }
    | { readonly type: 'items'; readonly items: readonly unknown[]; readonly end: boolean };
}

export interface SimulationOptions {
  readonly seed: number;
  /** How a step ends. Default: completed with `{ step, round }`, an approval with `{ approved: true }`. */
  readonly outcome?: (step: string, round: number, random: () => number, command: Start) => Outcome;
  /** Who answers a `find`. Default: `agent-1` to `agent-5`, without load. */
  readonly agents?: (capability: string, random: () => number) => readonly Candidate[];
  /** Default: a cost of 1 to 100 by chance. */
  readonly bid?: (agentId: string, step: string, round: number, random: () => number, call: Call) => BidAnswer;
  /** Chance that a delivered event comes again later. Default 0.2. */
  readonly duplicates?: number;
  /** Chance that the state goes through JSON after an event. Default 0.1. */
  readonly crashes?: number;
  /** Chance that an event of something that never was comes in between. Default 0.05; under `order` none. */
  readonly noise?: number;
  /** Chance that the views (steps, progress, picture) are looked at after an event. Default 0.1. */
  readonly views?: number;
  /**
   * `random`: whatever is under way may come next, timers too. `order`: answers come in the order in which they were asked for, and
   * timers, earliest first, when nothing else is under way. Default: random.
   */
  readonly schedule?: 'order' | 'random';
  readonly interrupt?: Interrupt;
  readonly interrupts?: readonly Interrupt[];
}

/** A step as it was started. */
export interface Started {
  /** `step/round`. */
  readonly key: string;
  readonly type: Start['type'];
  /** Of the task; of a run inside its body; what a person is asked. */
  readonly input: unknown;
  /** Empty where it is no task. */
  readonly capability: string;
  /** The agent it is pinned to. */
  readonly agentId?: string;
  /** Events delivered by then: the position in the journal. */
  readonly after: number;
}

export interface SimulationResult {
  readonly end: End;
  /** Length of the journal when it ended; what came later was late. */
  readonly endedAfter: number;
  readonly journal: readonly CoordinationEvent[];
  readonly commands: readonly CoordinationCommand[];
  readonly decisions: readonly Decision[];
  /** Steps in the order they were started. */
  readonly scheduled: readonly Started[];
  readonly calls: readonly Call[];
  readonly cancelled: readonly string[];
  readonly skipped: readonly { readonly step: string; readonly reason: string }[];
  /** Steps in flight at once, at most. */
  readonly maxInFlight: number;
  readonly state: unknown;
}
