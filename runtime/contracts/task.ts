// Tasks: units of user work that are never lost once accepted. Schemas of the API, and the shapes between dispatcher, thread and store.

import { z } from 'zod';
import { agentQueue, capabilityQueue, capabilityRefSchema, type Queue } from './agent.ts';
import { type WireError, wireErrorSchema } from './errors.ts';
import { type HumanAnswer, type HumanQuestion, taskInputSchema } from './human-question.ts';
import type { AgentId, TaskId, WorkflowId } from './ids.ts';
import { taskIdSchema } from './ids.ts';
import type { Placement } from './placement.ts';
import { type TaskUsage, usageSchema } from './usage.ts';

/**
 * `scheduled`: waits for its time (delay or back-off); `queued`: runnable; `running`; `waiting`: for a person's input.
 * The rest are terminal: `completed`, `failed` (an error that no retry can mend), `dead` (attempts used up, or poison),
 * `cancelled`, `timed_out`.
 */
export const TASK_STATES = [
  'scheduled',
  'queued',
  'running',
  'waiting',
  'completed',
  'failed',
  'dead',
  'cancelled',
  'timed_out',
] as const;
export const taskStateSchema = z.enum(TASK_STATES);
export type TaskState = z.infer<typeof taskStateSchema>;
export const TERMINAL_TASK_STATES = ['completed', 'failed', 'dead', 'cancelled', 'timed_out'] as const;
export type TerminalTaskState = (typeof TERMINAL_TASK_STATES)[number];
export const isTerminalTask = (state: TaskState): state is TerminalTaskState =>
  (TERMINAL_TASK_STATES as readonly string[]).includes(state);

const MAX_DURATION_MS = 86_400_000;
const durationMs = z.number().int().min(1).max(MAX_DURATION_MS);

/** Retries: attempts in all, the first wait, how it grows, what never retries. */
export const retrySchema = z
  .strictObject({
    maxAttempts: z.number().int().min(1).max(100).default(3),
    /** Wait before the second attempt; doubles after each. */
    backoffMs: z.number().int().min(0).max(MAX_DURATION_MS).default(1_000),
    maxBackoffMs: z.number().int().min(0).max(MAX_DURATION_MS).default(300_000),
    /** `full`: anywhere between 0 and the wait; `none`: the wait itself. */
    jitter: z.enum(['full', 'none']).default('full'),
    /** Whether an attempt that ran out of `timeoutMs` is retried instead of ending `timed_out`. */
    onTimeout: z.boolean().default(false),
    /** Error codes that fail the task at once. */
    nonRetryable: z.array(z.string().max(100)).max(50).default([]),
  })
  .meta({ id: 'Retry' });
export type RetryOptions = z.input<typeof retrySchema>;
export type ResolvedRetry = z.infer<typeof retrySchema>;

/** What `POST /api/agents/tasks/submit` and `tasks.submit` take. */
export const submitTaskSchema = z
  .strictObject({
    capability: capabilityRefSchema.meta({ example: 'document.search' }),
    input: z.unknown().optional(),
    /** 9 goes first. Ages: a waiting task rises by one step per 30 s. */
    priority: z.number().int().min(0).max(9).default(5),
    /** From acceptance to the first start; then the task ends `timed_out`. */
    queueTimeoutMs: durationMs.optional(),
    /** One attempt. Default 60 s. */
    timeoutMs: durationMs.default(60_000),
    /** From acceptance to the end, all attempts together. */
    deadlineMs: durationMs.optional(),
    retry: retrySchema.prefault({}),
    /** Not before this time (RFC 3339), at most 10 years ahead. */
    runAt: z.iso.datetime({ offset: true }).optional(),
    delayMs: z.number().int().min(0).max(MAX_DURATION_MS).optional(),
    /** Only this agent (id or name). */
    agentId: z.string().min(1).max(120).optional(),
    /** While an open task of the tenant has this key, submitting again returns that task. */
    dedupeKey: z.string().min(1).max(255).optional(),
    idempotencyKey: z.string().min(1).max(255).optional(),
  })
  .refine((value) => value.runAt === undefined || value.delayMs === undefined, {
    path: ['delayMs'],
    message: 'give runAt or delayMs, not both',
  })
  .meta({ id: 'SubmitTask' });
export type SubmitTask = z.input<typeof submitTaskSchema>;
export type ResolvedSubmit = z.infer<typeof submitTaskSchema>;

export const attemptSchema = z
  .object({
    attempt: z.number().int(),
    node: z.string(),
    agentId: z.string().nullable(),
    thread: z.number().int().nullable(),
    startedAt: z.string(),
    endedAt: z.string().nullable(),
    /** `running` while open; `lost`: its node, thread or agent died under it; `handed_off`: its handler gave the task to another; `waiting`: it asked a person. */
    outcome: z.enum([
      'running',
      'completed',
      'failed',
      'timed_out',
      'cancelled',
      'lost',
      'released',
      'handed_off',
      'waiting',
    ]),
    error: wireErrorSchema.nullable(),
  })
  .meta({ id: 'Attempt' });
export type AttemptView = z.infer<typeof attemptSchema>;

/** A task as the API shows it. */
export const taskViewSchema = z
  .object({
    id: taskIdSchema,
    status: taskStateSchema,
    capability: z.string(),
    priority: z.number().int(),
    input: z.unknown(),
    result: z.unknown().optional(),
    error: wireErrorSchema.optional(),
    attempt: z.number().int(),
    maxAttempts: z.number().int(),
    attempts: z.array(attemptSchema).optional(),
    agentId: z.string().nullable(),
    workflowId: z.string().nullable(),
    stepKey: z.string().nullable(),
    progress: z.unknown().optional(),
    question: taskInputSchema
      .omit({ taskId: true, answerAt: true, workflow: true })
      .optional()
      .meta({ description: 'What a `waiting` task asks a person.' }),
    usage: usageSchema
      .optional()
      .meta({ description: 'What its attempts used so far, as far as they reported it; absent: nothing.' }),
    /** Why a queued task does not start, e.g. `no_agent_offers_capability`. */
    waitingFor: z.string().optional(),
    timings: z.object({
      submittedAt: z.string(),
      runAt: z.string(),
      startedAt: z.string().nullable(),
      endedAt: z.string().nullable(),
      queueWaitMs: z.number().nullable(),
      runMs: z.number().nullable(),
    }),
  })
  .meta({ id: 'Task' });
export type TaskView = z.infer<typeof taskViewSchema>;

/** What `cancel` did: see DECISIONS 14. `collateral` lists agents that went down with a killed thread. */
export const cancelReportSchema = z
  .object({
    id: taskIdSchema,
    outcome: z.enum(['before_start', 'cooperative', 'abandoned', 'killed', 'pending']),
    afterMs: z.number(),
    collateral: z.array(z.string()),
  })
  .meta({ id: 'CancelReport' });
export type CancelReport = z.infer<typeof cancelReportSchema>;

/** The queue of a task, once its version or agent is pinned. */
export function taskQueue(target: { capability: string; version: number; agentId?: AgentId | undefined }): Queue {
  return target.agentId ? agentQueue(target.agentId) : capabilityQueue(target.capability, target.version);
}

/** What the thread needs to run one attempt. */
export interface TaskAssignment {
  readonly taskId: TaskId;
  /** Grows with every claim; every write of this attempt names it. */
  readonly fence: number;
  readonly attempt: number;
  readonly capability: string;
  readonly version: number;
  readonly input: unknown;
  readonly timeoutMs: number;
  /** Stable over attempts: give it to tools as their idempotency key. */
  readonly idempotencyKey: string;
  readonly tenant: string;
  readonly workflowId?: WorkflowId;
  readonly stepKey?: string;
  readonly traceparent?: string;
  /** To the questions its handler asked in earlier attempts, in their order; absent: it asked none. */
  readonly answers?: readonly HumanAnswer[];
}

/** Its handler gave the task to an agent (id or name, same tenant) or to whoever has a capability, with a new input or its own. */
export interface HandoffOutcome {
  readonly type: 'handed_off';
  readonly to: { readonly agent: string } | { readonly capability: string };
  readonly input?: { readonly value: unknown };
  readonly reason?: string;
  readonly runMs: number;
  readonly usage?: TaskUsage;
}

/** Where a task handed on goes: one agent, or a capability (`agentId` null). */
export interface HandoffTarget {
  readonly capability: string;
  readonly version: number;
  readonly queue: Queue;
  readonly agentId: AgentId | null;
}

/**
 * How one attempt ended, as the thread (or the pool, when the thread died) reports it. `usage`: what the attempt reported to have used,
 * absent when that is nothing; of an attempt that is lost or does not heed its abort, what had reached the main thread before.
 */
export type TaskOutcome =
  | {
      readonly type: 'completed';
      readonly result: unknown;
      readonly snapshot?: unknown;
      readonly runMs: number;
      readonly usage?: TaskUsage;
    }
  | { readonly type: 'failed'; readonly error: WireError; readonly runMs: number; readonly usage?: TaskUsage }
  | { readonly type: 'timed_out'; readonly runMs: number; readonly usage?: TaskUsage }
  | { readonly type: 'cancelled'; readonly runMs: number; readonly usage?: TaskUsage }
  /** The agent or its thread died. `culprit`: surely because of this task (poison counts). */
  | {
      readonly type: 'lost';
      readonly error: WireError;
      readonly culprit: boolean;
      readonly runMs: number;
      readonly usage?: TaskUsage;
    }
  | HandoffOutcome
  /** Its handler asks a person: it is run again from its start once there is an answer. The attempt is not charged. */
  | {
      readonly type: 'waiting';
      readonly question: HumanQuestion;
      readonly runMs: number;
      readonly usage?: TaskUsage;
    }
  /** Never started: the agent was gone, paused or full. The attempt is not charged. */
  | { readonly type: 'released'; readonly reason: string };

/** Reason of `released`: the task has to run isolated and this node has no thread left for that now. */
export const ISOLATION_FULL = 'isolation_full';

/** How the runner stopped a running attempt. */
export interface CancelEffect {
  readonly how: 'cooperative' | 'abandoned' | 'killed' | 'not_running';
  readonly collateral: readonly AgentId[];
}

/** A row a node has claimed: the assignment and what the node needs to settle it. */
export interface ClaimedTask extends TaskAssignment {
  readonly queue: Queue;
  readonly agentId: AgentId | null;
  readonly maxAttempts: number;
  readonly retry: ResolvedRetry;
  readonly crashCount: number;
  readonly priority: number;
  /** Left of `deadlineMs` at the claim; undefined when there is none. */
  readonly deadlineInMs?: number;
  readonly queuedForMs: number;
  /** Of the step it runs. */
  readonly round?: number;
  /** By the clock of the database, milliseconds since 1970. */
  readonly createdAtMs: number;
  readonly claimedAtMs: number;
}

/** The verdict on a finished attempt, decided by tasks/retry-policy and written under the fence. */
export type TaskSettlement =
  | { readonly type: 'completed'; readonly result: unknown }
  | { readonly type: 'failed' | 'dead' | 'timed_out' | 'cancelled'; readonly error: WireError }
  /** Back to the queue after `delayMs`. `charge: false` gives the attempt back. */
  | { readonly type: 'retry'; readonly delayMs: number; readonly error: WireError | null; readonly charge: boolean }
  /** Put aside, the attempt given back, until the question is answered or expires. */
  | { readonly type: 'waiting'; readonly question: HumanQuestion }
  /** Queued for somebody else at once, the attempt given back. Without `input` the task keeps its own. */
  | {
      readonly type: 'handed_off';
      readonly target: HandoffTarget;
      readonly input?: { readonly value: unknown };
      readonly reason?: string;
    };

export interface SettleTask {
  readonly taskId: TaskId;
  readonly fence: number;
  readonly attempt: number;
  readonly settlement: TaskSettlement;
  /** What the attempt's history row says. */
  readonly outcome: Exclude<AttemptView['outcome'], 'running'>;
  readonly crashed: boolean;
  readonly agentId: AgentId | null;
  readonly thread: number | null;
  readonly runMs: number;
  /** What this attempt used; added to what the task has used so far. */
  readonly usage?: TaskUsage;
  /** Of a step: how the agent was chosen. Travels with the mail of its end, for the decision log of its run. */
  readonly placed?: Placement;
  /** Saved with the outcome in the same transaction, guarded by the agent's epoch. */
  readonly agentSnapshot?: { readonly id: AgentId; readonly epoch: number; readonly snapshot: unknown };
}
