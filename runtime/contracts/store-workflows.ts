// Workflows in the store: runs, their inboxes, journals and decisions.

import type { CoordinationEvent, Decision } from './coordination.ts';
import type { NewEvent } from './event.ts';
import type { NodeId, TaskId, WorkflowId } from './ids.ts';
import type { Committed, Page } from './store-page.ts';
import type { NewTask } from './store-tasks.ts';
import type { ClaimedTask } from './task.ts';
import type { WorkflowSpec, WorkflowState } from './workflow.ts';

export interface WorkflowRow {
  readonly id: WorkflowId;
  readonly tenant: string;
  readonly name: string;
  readonly pattern: string;
  readonly spec: WorkflowSpec;
  readonly defHash: string;
  readonly status: WorkflowState;
  readonly stopReason: string | null;
  readonly output: unknown;
  readonly error: unknown;
  readonly owner: NodeId | null;
  readonly version: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** `done` and `total` steps as of the last commit. */
  readonly progress: { readonly done: number; readonly total: number };
}

export interface InboxEvent {
  readonly workflowId: WorkflowId;
  readonly eventId: string;
  readonly event: CoordinationEvent;
}

/** One decision of a coordinator: all of it commits, or none. */
export interface Advance {
  readonly workflowId: WorkflowId;
  readonly tenant: string;
  /** Fails with `conflict` unless the row has this version and this node owns it under a live lease. */
  readonly version: number;
  readonly consumed: readonly string[];
  readonly journal: readonly CoordinationEvent[];
  /** Written when the coordinator decides to: every N events and at the end. */
  readonly snapshot?: unknown;
  readonly schedule: readonly NewTask[];
  /** Aligned with `schedule`: whose insert may take the lease at once, because this node holds a free slot for it. Absent: none. */
  readonly claim?: readonly boolean[];
  readonly cancel: readonly { readonly step: string; readonly round: number }[];
  readonly timers: readonly { readonly key: string; readonly afterMs: number }[];
  readonly decisions: readonly Decision[];
  readonly events: readonly NewEvent[];
  readonly progress: { readonly done: number; readonly total: number };
  readonly end?: {
    readonly status: WorkflowState;
    readonly stopReason: string;
    readonly output: unknown;
    readonly error?: unknown;
    readonly metrics?: unknown;
  };
}

export interface WorkflowStore {
  create(workflow: {
    readonly id: WorkflowId;
    readonly tenant: string;
    readonly spec: WorkflowSpec;
    readonly defHash: string;
    readonly total: number;
    readonly idempotency?: { readonly key: string; readonly bodyHash: string };
  }): Promise<
    | ({ readonly outcome: 'created'; readonly row: WorkflowRow } & Committed)
    | { readonly outcome: 'duplicate'; readonly row: WorkflowRow }
    | { readonly outcome: 'mismatch' }
  >;
  /** `created` -> `running`, owned by this node; puts `started` into its inbox. */
  start(
    id: WorkflowId,
    tenant: string,
    seed: number,
  ): Promise<
    | ({ readonly outcome: 'started'; readonly row: WorkflowRow } & Committed)
    | { readonly outcome: 'not_found' }
    | { readonly outcome: 'wrong_state'; readonly status: WorkflowState }
  >;
  /** Group commit over all coordinators of the node. `cancelledRunning`: claims whose code has to be stopped. */
  advance(advance: Advance): Promise<
    | ({
        readonly outcome: 'committed';
        readonly version: number;
        readonly cancelledRunning: readonly {
          readonly taskId: TaskId;
          readonly fence: number;
          readonly node: NodeId;
        }[];
        readonly claimed: readonly ClaimedTask[];
      } & Committed)
    | { readonly outcome: 'conflict' }
  >;
  /** An event from outside the run (cancel, input, timer): idempotent by `eventId`. False when the run is over or unknown. */
  post(id: WorkflowId, tenant: string, eventId: string, event: CoordinationEvent): Promise<boolean>;
  /** Unread events of these runs, in order of arrival, at most `limit` per run. */
  inbox(ids: readonly WorkflowId[], limit: number): Promise<readonly InboxEvent[]>;
  /** Runs of this node that have unread events. */
  withMail(limit: number): Promise<readonly WorkflowId[]>;
  /** Takes running workflows that nobody owns. */
  adopt(limit: number): Promise<readonly WorkflowRow[]>;
  owned(): Promise<readonly WorkflowRow[]>;
  /** State for recovery: the last snapshot with its version, and the journal after it. */
  load(id: WorkflowId): Promise<{
    readonly row: WorkflowRow;
    readonly snapshot: unknown;
    readonly journal: readonly CoordinationEvent[];
  } | null>;
  get(id: WorkflowId, tenant: string): Promise<(WorkflowRow & { readonly metrics: unknown }) | null>;
  list(filter: {
    readonly tenant: string;
    readonly status?: WorkflowState;
    readonly pattern?: string;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<Page<WorkflowRow>>;
  decisions(
    id: WorkflowId,
    limit: number,
    after: number,
  ): Promise<readonly (Decision & { readonly seq: number; readonly at: string })[]>;
  journal(id: WorkflowId): Promise<readonly CoordinationEvent[]>;
  /** Deadlines and durable timers that are due: puts their events into the inboxes. */
  fireTimers(): Promise<readonly WorkflowId[]>;
}
