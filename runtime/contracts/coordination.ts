// A pattern is a pure supervisor strategy: it is told what happened and answers with commands. It has no clock, no random, no I/O,
// so that every run can be replayed from its journal.

import type { z } from 'zod';
import type { WireError } from './errors.ts';
import type { SubmitTask } from './task.ts';
import type { WorkflowSpec } from './workflow.ts';

/** A step is one unit in flight under a coordinator. `round` grows when the same step runs again by decision (loop, re-plan). */
export interface StepRef {
  readonly step: string;
  readonly round: number;
}

export type CoordinationEvent =
  | { readonly type: 'started'; readonly atMs: number; readonly seed: number }
  | ({
      readonly type: 'step.completed';
      readonly atMs: number;
      readonly output: unknown;
      readonly taskId: string;
      readonly agentId: string | null;
      readonly attempts: number;
      readonly startedAtMs: number | null;
    } & StepRef)
  | ({
      readonly type: 'step.failed';
      readonly atMs: number;
      readonly state: 'failed' | 'dead' | 'timed_out' | 'cancelled';
      readonly error: WireError;
      readonly taskId: string;
      readonly agentId: string | null;
      readonly attempts: number;
      readonly startedAtMs: number | null;
    } & StepRef)
  | { readonly type: 'timer'; readonly atMs: number; readonly key: string }
  | { readonly type: 'input'; readonly atMs: number; readonly key: string; readonly value: unknown }
  | { readonly type: 'deadline'; readonly atMs: number }
  | { readonly type: 'cancel'; readonly atMs: number; readonly reason: string };

export type CoordinationCommand =
  /** Runs a task as this step. Carried out once: the row is unique by (workflow, step, round). */
  | ({ readonly type: 'schedule'; readonly task: Omit<SubmitTask, 'idempotencyKey' | 'dedupeKey'> } & StepRef)
  /** Stops a step in flight; its late outcome is ignored. */
  | ({ readonly type: 'cancel'; readonly reason: string } & StepRef)
  /** Notes a step that will not run. */
  | { readonly type: 'skip'; readonly step: string; readonly reason: string }
  | { readonly type: 'timer'; readonly key: string; readonly afterMs: number }
  /** Ends the run; steps still in flight are cancelled first. */
  | {
      readonly type: 'end';
      readonly status: 'completed' | 'partial' | 'failed' | 'cancelled';
      readonly stopReason: StopReason;
      readonly output: unknown;
      readonly error?: WireError;
    };

/** Why a run ended: closed over all patterns. */
export const STOP_REASONS = [
  'all_done',
  'join_satisfied',
  'join_unsatisfiable',
  'step_failed',
  'compensated',
  'compensation_failed',
  'cancelled',
  'deadline',
  'budget',
  'decided',
  'no_quorum',
  'tie',
  'rounds_used_up',
  'no_bids',
  'target_reached',
  'stagnation',
  'population_collapse',
  'plan_done',
  'plan_limits',
  'items_failed',
  'definition_changed',
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** One entry of the decision log: what was chosen among what, by which rule. */
export interface Decision {
  readonly kind: 'placement' | 'schedule' | 'retry' | 'skip' | 'join' | 'stop' | 'compensate' | 'condition' | 'expand';
  readonly rule: string;
  readonly chosen: string;
  readonly candidates?: readonly { readonly id: string; readonly score?: number; readonly note?: string }[];
}

export interface Verdict<State> {
  readonly state: State;
  readonly commands: readonly CoordinationCommand[];
  readonly decisions: readonly Decision[];
}

/** What the API shows of one step. */
export interface StepView {
  readonly id: string;
  readonly state: 'blocked' | 'queued' | 'running' | 'waiting' | 'completed' | 'failed' | 'skipped' | 'cancelled';
  readonly round: number;
  readonly dependsOn: readonly string[];
  readonly capability?: string;
  readonly reason?: string;
  /** Set by the pattern where no single task has it: the results of `forEach`, a step that failed before it had a task. */
  readonly result?: unknown;
  readonly error?: WireError;
}

/**
 * A coordination pattern. `State` must be plain JSON: it is snapshot and compared by canonical hash.
 * Both functions are pure; the coordinator journals the event before it carries out the commands.
 */
export interface CoordinationStrategy<Options = unknown, State = unknown> {
  readonly name: string;
  /** Grows when the meaning of `State` or of a decision changes: a run that began under another one ends `definition_changed`. Default 1. */
  readonly revision?: number;
  /** Validates and defaults `options` of the workflow; errors become 422 with their path. */
  readonly options: z.ZodType<Options>;
  /** Refuses a definition that cannot run (cycles, dangling references): the first problem, naming the place, or null. */
  check(workflow: WorkflowSpec, options: Options): WorkflowProblem | null;
  start(
    workflow: WorkflowSpec,
    options: Options,
    event: Extract<CoordinationEvent, { type: 'started' }>,
  ): Verdict<State>;
  decide(workflow: WorkflowSpec, options: Options, state: State, event: CoordinationEvent): Verdict<State>;
  /** The steps as a person sees them; `running` is filled in by the coordinator from task rows. */
  steps(workflow: WorkflowSpec, options: Options, state: State | null): readonly StepView[];
  /** The same as counting {@link steps}, for patterns that can tell without building them. */
  progress?(workflow: WorkflowSpec, state: State): { readonly done: number; readonly total: number };
}

export interface WorkflowProblem {
  readonly code: 'workflow_cycle' | 'workflow_invalid';
  /** JSON path in the request body, e.g. `tasks[2].dependsOn[0]`. */
  readonly path: string;
  readonly message: string;
  /** The steps of the cycle in the order they would run; the first is repeated at the end. */
  readonly cycle?: readonly string[];
}

/** Type of the ask by which an auction calls for bids. An agent that declares `bid` answers it; its reply is a {@link Bid} or null. */
export const CALL_FOR_BIDS = 'troupe.cfp';

/** What a bidder is told (FIPA SC00029H: cfp). */
export interface CallForBids {
  readonly capability: string;
  readonly input: unknown;
  /** Bids after this time are refused. */
  readonly replyByMs?: number;
}

/** A proposal; lower cost wins, by default. null instead of it is a refusal. */
export interface Bid {
  readonly cost: number;
  readonly etaMs?: number;
  /** 0 to 1. */
  readonly confidence?: number;
}
