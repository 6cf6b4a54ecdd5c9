// A pattern is a pure supervisor strategy: it is told what happened and answers with commands. It has no clock, no random, no I/O,
// so that every run can be replayed from its journal.

import { z } from 'zod';
import type { WireError } from './errors.ts';
import type { WorkflowId } from './ids.ts';
import type { Placement } from './placement.ts';
import type { SubmitTask } from './task.ts';
import type { CreateWorkflow, Usage, WorkflowSpec } from './workflow.ts';

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
      /** When its row was made, and when a handler took it for the last time; absent: not known. */
      readonly createdAtMs?: number;
      readonly lastStartedAtMs?: number | null;
      /** What the step used, as its agent reported it; absent: nothing was reported. */
      readonly usage?: Usage;
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
      readonly createdAtMs?: number;
      readonly lastStartedAtMs?: number | null;
      readonly usage?: Usage;
    } & StepRef)
  | { readonly type: 'timer'; readonly atMs: number; readonly key: string }
  /** A signal from outside (`POST .../workflows/{id}/signals`). Answers to `await` come as the end of their step instead. */
  | { readonly type: 'input'; readonly atMs: number; readonly key: string; readonly value: unknown }
  /** The answer to `find`: agents that offer the capability now, by id. */
  | { readonly type: 'found'; readonly atMs: number; readonly key: string; readonly agents: readonly Candidate[] }
  /**
   * One addressee's answer to `call`. `bid: null` is a refusal, and so is an error. At most one per (step, round, agent); a bid that
   * comes after the timer by which the strategy closed the call stands after that timer in the journal: the journal's order decides.
   */
  | ({
      readonly type: 'bid';
      readonly atMs: number;
      readonly agentId: string;
      readonly bid: Bid | null;
      readonly error?: WireError;
    } & StepRef)
  /** More items for a pipeline whose source is open; `end`: no more will come. */
  | { readonly type: 'items'; readonly atMs: number; readonly items: readonly unknown[]; readonly end: boolean }
  | { readonly type: 'deadline'; readonly atMs: number }
  | { readonly type: 'cancel'; readonly atMs: number; readonly reason: string }
  /** Of the coordinator, never shown to a strategy: nothing new starts between `pause` and `resume`. */
  | { readonly type: 'pause' | 'resume'; readonly atMs: number };

/** Mail of a run: an event under an id, by which it is taken once. */
export interface InboxEvent {
  readonly workflowId: WorkflowId;
  readonly eventId: string;
  readonly event: CoordinationEvent;
  /** Of the end of a step: how the agent of its last attempt was chosen. For the decision log only, so it is no part of the event. */
  readonly placed?: Placement;
}

/** An agent that could do it. `load`: tasks it holds now over the tasks it takes at once; of an agent of another node, whose load is not known, 0. */
export interface Candidate {
  readonly agentId: string;
  readonly name: string | null;
  readonly load: number;
}

/** What the budget keeps back for a step while it runs; default: the budget's `perStep`. */
interface Reserving {
  readonly reserve?: Usage;
}

export type CoordinationCommand =
  /** Runs a task as this step. Carried out once: the row is unique by (workflow, step, round). */
  | ({ readonly type: 'schedule'; readonly task: Omit<SubmitTask, 'idempotencyKey' | 'dedupeKey'> } & StepRef &
      Reserving)
  /**
   * Runs a whole workflow as this step: it ends with the run. `completed` and `partial` give `step.completed` with the run's output,
   * anything else `step.failed` (`child_failed`, or `task_cancelled`). Cancelling the step cancels the run and its descendants.
   */
  | ({ readonly type: 'spawn'; readonly workflow: CreateWorkflow } & StepRef & Reserving)
  /** Asks a person. The answer is the output of the step; no answer in time fails it (`input_expired`), a refused approval too (`rejected`). */
  | ({ readonly type: 'await'; readonly request: HumanRequest } & StepRef)
  /** Asks who offers a capability; answered once, by `found` with this key. A key serves once in a run. */
  | { readonly type: 'find'; readonly key: string; readonly capability: string }
  /**
   * Sends a sealed call for bids to these agents, each answered by one `bid`. Repeated after a crash to those whose bid is not in the journal.
   * It is over by `close`; the time limit of each ask is `replyByMs` and as much again, so that a late bid is seen as late.
   */
  | ({
      readonly type: 'call';
      readonly capability: string;
      readonly input: unknown;
      readonly replyByMs: number;
      readonly agents: readonly string[];
    } & StepRef)
  | ({ readonly type: 'close' } & StepRef)
  /** Stops a step in flight (schedule, spawn or await); its late outcome is ignored. */
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
  'rejected',
  'evaluations_used_up',
  'judge_failed',
  'coordinator_failed',
] as const;
export type StopReason = (typeof STOP_REASONS)[number];

/** One entry of the decision log: what was chosen among what, by which rule. */
export interface Decision {
  readonly kind:
    | 'placement'
    | 'schedule'
    | 'retry'
    | 'skip'
    | 'join'
    | 'stop'
    | 'compensate'
    | 'condition'
    | 'expand'
    | 'select'
    | 'bid'
    | 'award'
    | 'vote'
    | 'round'
    | 'plan'
    | 'improve'
    | 'budget'
    | 'input'
    | 'dead_letter'
    | 'fork';
  readonly rule: string;
  readonly chosen: string;
  /** The step it is about, where it is about one that `chosen` does not name. */
  readonly step?: string;
  readonly round?: number;
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
  /** What only this pattern has to say of the step: the queue of a stage, the ballot of a voter, the score of a particle. */
  readonly detail?: unknown;
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
  /** Those of {@link steps} from the position `from` until before `to`, for patterns that need not build the others. `total`: all of them. */
  page?(
    workflow: WorkflowSpec,
    options: Options,
    state: State | null,
    range: { readonly from: number; readonly to: number },
  ): { readonly steps: readonly StepView[]; readonly total: number };
  /** Chooses another pattern for the workflow, by its body alone; then nothing else of this strategy is used. The reason is the first decision of the run. */
  select?(workflow: WorkflowSpec): { readonly pattern: string; readonly rule: string } | WorkflowProblem;
  /** Every capability the definition names, with its place, so that a name nobody offers is refused at creation. Default: those of `tasks`. */
  capabilities?(
    workflow: WorkflowSpec,
    options: Options,
  ): readonly { readonly capability: string; readonly path: string }[];
  /** The pattern's own picture of a run for a person: bid book, ballots, plan tree, swarm. Plain JSON, bounded. */
  picture?(workflow: WorkflowSpec, options: Options, state: State): unknown;
  /** The same as counting {@link steps}, for patterns that can tell without building them. */
  progress?(workflow: WorkflowSpec, state: State): { readonly done: number; readonly total: number };
}

/** What a person is asked. */
export interface HumanRequest {
  /** `approval`: the value is `{ approved, comment? }`; `input`: the value fits `schema`. */
  readonly kind: 'approval' | 'input';
  readonly prompt: string;
  /** JSON Schema (2020-12) of the value. */
  readonly schema?: Readonly<Record<string, unknown>> | undefined;
  /** What the person decides on. */
  readonly context?: unknown;
  /** Default 7 days. */
  readonly expiresMs?: number | undefined;
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
export const bidSchema = z
  .object({
    cost: z.number().min(0),
    etaMs: z.number().min(0).optional(),
    /** 0 to 1. */
    confidence: z.number().min(0).max(1).optional(),
  })
  .nullable();
export type Bid = NonNullable<z.output<typeof bidSchema>>;
