// What was: the log of events over all streams, what was open at a moment, and runs as they stood after each event of their journal.

import { z } from 'zod';
import type { CallContext } from './call.ts';
import { runtimeEventSchema } from './event.ts';
import { attemptSchema, taskStateSchema } from './task.ts';
import { workflowViewSchema } from './workflow.ts';

export const HISTORY_KINDS = ['task', 'agent', 'workflow', 'node'] as const;
export const historyKindSchema = z.enum(HISTORY_KINDS);
export type HistoryKind = z.infer<typeof historyKindSchema>;

export const historyPageSchema = z
  .object({ items: z.array(runtimeEventSchema), nextCursor: z.string().nullable() })
  .meta({ id: 'HistoryPage' });
export type HistoryPage = z.infer<typeof historyPageSchema>;

/** How much happened when: `counts` by type of event, in buckets of equal length from `from` on. Empty buckets are left out. */
export const historyTimelineSchema = z
  .object({
    from: z.string(),
    to: z.string(),
    bucketMs: z.number(),
    buckets: z.array(z.object({ at: z.string(), counts: z.record(z.string(), z.number().int()) })),
  })
  .meta({ id: 'HistoryTimeline' });
export type HistoryTimeline = z.infer<typeof historyTimelineSchema>;

/** What was open at a moment, as far as the rows still tell: a task counts as queued until its first start. */
export const historyMomentSchema = z
  .object({
    at: z.string(),
    tasks: z.object({ queued: z.number().int(), started: z.number().int() }),
    workflows: z.object({ created: z.number().int(), running: z.number().int() }),
    agents: z.object({ present: z.number().int() }),
  })
  .meta({ id: 'HistoryMoment' });
export type HistoryMoment = z.infer<typeof historyMomentSchema>;

/** One event of a run's journal, in the order in which the run took it. */
export const journalEntrySchema = z
  .object({ seq: z.number().int().min(1), at: z.string(), event: z.looseObject({ type: z.string() }) })
  .meta({ id: 'JournalEntry' });
export type JournalEntry = z.infer<typeof journalEntrySchema>;

export const journalPageSchema = z
  .object({
    items: z.array(journalEntrySchema),
    total: z.number().int().meta({ description: 'Events in the whole journal.' }),
  })
  .meta({ id: 'JournalPage' });
export type JournalPage = z.infer<typeof journalPageSchema>;

/** A run as it stood after one event of its journal: replayed, not remembered. */
export const workflowMomentSchema = z
  .object({
    seq: z.number().int().min(1),
    total: z.number().int(),
    at: z.string(),
    event: z.looseObject({ type: z.string() }),
    paused: z.boolean(),
    ended: z.boolean(),
    progress: z.object({ done: z.number().int(), total: z.number().int() }),
    tasks: workflowViewSchema.shape.tasks,
    nextStep: z.string().nullable(),
    picture: z.unknown().optional(),
    decisions: z
      .array(z.looseObject({ kind: z.string(), rule: z.string(), chosen: z.string() }))
      .meta({ description: 'What this event brought about.' }),
  })
  .meta({ id: 'WorkflowMoment' });
export type WorkflowMoment = z.infer<typeof workflowMomentSchema>;

/** The tries of one round of a step. */
export const stepAttemptsSchema = z
  .object({
    taskId: z.string(),
    step: z.string(),
    round: z.number().int(),
    capability: z.string(),
    state: taskStateSchema,
    createdAt: z.string(),
    endedAt: z.string().nullable(),
    attempts: z.array(attemptSchema),
  })
  .meta({ id: 'StepAttempts' });
export type StepAttempts = z.infer<typeof stepAttemptsSchema>;

export const stepAttemptsPageSchema = z
  .object({ items: z.array(stepAttemptsSchema), nextCursor: z.string().nullable() })
  .meta({ id: 'StepAttemptsPage' });
export type StepAttemptsPage = z.infer<typeof stepAttemptsPageSchema>;

/** Times are RFC 3339; `to` is left out of the window. Default: the last hour. */
export interface HistoryWindow {
  readonly from?: string;
  readonly to?: string;
}

export interface HistoryFilter extends HistoryWindow {
  readonly kind?: HistoryKind;
  readonly type?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface HistoryApi {
  /** Stored events of the tenant in a window of time, newest first. Throws `invalid_input` for a cursor or window that is none. */
  events(filter?: HistoryFilter, call?: CallContext): Promise<HistoryPage>;
  /** `buckets`: 1 to 500, default 60. The window may be 31 days long. */
  timeline(filter?: HistoryWindow & { readonly buckets?: number }, call?: CallContext): Promise<HistoryTimeline>;
  moment(at: string, call?: CallContext): Promise<HistoryMoment>;
  /** Throws `workflow_not_found`. */
  journal(
    workflowId: string,
    page?: { readonly after?: number; readonly limit?: number },
    call?: CallContext,
  ): Promise<JournalPage>;
  /**
   * The run after the event `seq` of its journal. Throws `workflow_not_found`, `invalid_input` for a place that the journal does not have,
   * `definition_changed` when what is left of it can no longer be replayed.
   */
  workflowAt(
    workflowId: string,
    seq: number,
    page?: { readonly stepsLimit?: number; readonly stepsCursor?: string },
    call?: CallContext,
  ): Promise<WorkflowMoment>;
  /** Tries of the tasks of a run in the order in which they were made. Throws `workflow_not_found`. */
  attempts(
    workflowId: string,
    page?: { readonly limit?: number; readonly cursor?: string },
    call?: CallContext,
  ): Promise<StepAttemptsPage>;
}
