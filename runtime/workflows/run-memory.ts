// What a coordinator remembers of its run: the state of the strategy, the rounds in flight, what was asked, the budget, the times. Made by
// events alone, so a snapshot and the journal after it give the same memory again. Pure.

import type { CoordinationCommand, CoordinationEvent } from '../contracts/coordination.ts';
import type { TaskId } from '../contracts/ids.ts';
import type { StepTiming } from './analytics.ts';
import type { Amounts } from './budget.ts';

/** A round that has started and not ended. */
export interface InFlight {
  readonly step: string;
  readonly round: number;
  /** What it is: a task, a run inside the run, or a question to a person. */
  readonly kind: 'task' | 'run' | 'input';
  /** Of the task; of a run or a question the id it would have as a task. */
  readonly taskId: TaskId;
  readonly scheduledAtMs: number;
  /** When the strategy asked for it, if it had to wait. */
  readonly dueAtMs?: number;
  readonly reserved?: Amounts;
}

export type OpenCall = Extract<CoordinationCommand, { type: 'call' }> & {
  /** Agents whose bid is in the journal. */
  readonly answered: readonly string[];
};

export type Waiting = Extract<CoordinationCommand, { type: 'schedule' | 'spawn' | 'await' | 'find' | 'call' }> & {
  readonly dueAtMs?: number;
};

type Outcome = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;

/** Plain JSON: also the snapshot. */
export interface RunMemory {
  readonly format: 2;
  readonly state: unknown;
  readonly inFlight: readonly InFlight[];
  readonly timings: readonly StepTiming[];
  readonly startedAtMs: number;
  /** Events so far: the length of the journal. */
  readonly events: number;
  readonly ended: boolean;
  readonly paused: boolean;
  /** Commands that wait: for a resume, or for budget that others hold. */
  readonly held: readonly Waiting[];
  /** Asked of the directory and of agents, not answered yet. */
  readonly finds: readonly { readonly key: string; readonly capability: string }[];
  readonly calls: readonly OpenCall[];
  /** Of a synchronous run: outcomes that came before those of rounds started earlier. */
  readonly early: readonly Outcome[];
  readonly used: Amounts;
  readonly granted: Amounts;
  /** `winding`: nothing new starts, the run ends when nothing is in flight. `asking`: a person decides on more. */
  readonly budget: 'open' | 'winding' | 'asking';
  readonly asks: number;
  readonly pauses: readonly { readonly fromMs: number; readonly toMs: number | null }[];
  /** Rounds started, and calls for bids by addressee. */
  readonly dispatched: number;
  readonly called: number;
}

/** Before the first event. */
export function newMemory(startedAtMs: number): RunMemory {
  return {
    format: 2,
    state: null,
    inFlight: [],
    timings: [],
    startedAtMs,
    events: 0,
    ended: false,
    paused: false,
    held: [],
    finds: [],
    calls: [],
    early: [],
    used: {},
    granted: {},
    budget: 'open',
    asks: 0,
    pauses: [],
    dispatched: 0,
    called: 0,
  };
}

/** When a round was wanted, made, started and over. */
export function timingOf({ step, round, kind, dueAtMs, scheduledAtMs }: InFlight, event: Outcome): StepTiming {
  const { startedAtMs, createdAtMs, lastStartedAtMs, attempts, atMs } = event;
  return {
    step,
    round,
    ...(kind === 'task' ? {} : { kind }),
    ...(dueAtMs === undefined ? {} : { dueAtMs }),
    scheduledAtMs,
    ...(createdAtMs === undefined ? {} : { createdAtMs }),
    startedAtMs,
    ...(attempts > 1 && typeof lastStartedAtMs === 'number' ? { attempts, lastStartedAtMs } : {}),
    endedAtMs: atMs,
  };
}
