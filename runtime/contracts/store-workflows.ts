// Workflows in the store: runs, their inboxes, journals and decisions.

import type { CoordinationEvent, Decision, HumanRequest, InboxEvent } from './coordination.ts';
import type { NewEvent } from './event.ts';
import type { NodeId, TaskId, WorkflowId } from './ids.ts';
import type { Committed, Page } from './store-page.ts';
import type { NewTask, SettleAnswer } from './store-tasks.ts';
import type { ClaimedTask, SettleTask } from './task.ts';
import type { Usage, WorkflowSpec, WorkflowState } from './workflow.ts';

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
  /** The round of the run that this run is. */
  readonly parent: { readonly workflowId: WorkflowId; readonly step: string; readonly round: number } | null;
  /** The run at the top; null when it is this one. */
  readonly rootId: WorkflowId | null;
  /** Runs above it. */
  readonly depth: number;
  readonly forkOf: { readonly workflowId: WorkflowId; readonly fromStep: string | null } | null;
}

/** Outcomes that a fork takes over instead of running the step again, by `step/round`. */
export type Recorded = Readonly<Record<string, unknown>>;

/** A run inside the run, made and started with the decision. */
export interface NewChild {
  readonly id: WorkflowId;
  readonly step: string;
  readonly round: number;
  readonly spec: WorkflowSpec;
  readonly defHash: string;
  readonly total: number;
}

/** A question to a person. */
export interface NewAsk {
  readonly step: string;
  readonly round: number;
  readonly request: HumanRequest;
  readonly expiresMs: number;
}

/** `closed`: the run no longer needs the answer. */
export type AskState = 'open' | 'answered' | 'closed';

export interface AskRow {
  readonly workflowId: WorkflowId;
  readonly rootId: WorkflowId;
  readonly step: string;
  readonly round: number;
  readonly request: HumanRequest;
  readonly state: AskState;
  readonly value: unknown;
  readonly answeredBy: string | null;
  readonly askedAt: string;
  readonly expiresAt: string;
  readonly endedAt: string | null;
}

/** One decision of a coordinator: all of it commits, or none. */
export interface Advance {
  readonly workflowId: WorkflowId;
  readonly tenant: string;
  /** Fails with `conflict` unless the row has this version and this node owns it under a live lease. */
  readonly version: number;
  readonly consumed: readonly string[];
  readonly journal: readonly CoordinationEvent[];
  /** Written when the coordinator decides to. */
  readonly snapshot?: unknown;
  readonly schedule: readonly NewTask[];
  /** Aligned with `schedule`: whose insert may take the lease at once, because this node holds a free slot for it. Absent: none. */
  readonly claim?: readonly boolean[];
  /** Runs that begin with this decision, owned by this node. */
  readonly children?: readonly NewChild[];
  readonly asks?: readonly NewAsk[];
  /** Of whatever kind the round is: its task is cancelled, its run told to cancel, its question closed. */
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
    /** Of what the coordinator remembers (canonical JSON, SHA-256, hex): a replay of the journal comes to the same. */
    readonly stateHash?: string;
    /** For the run this one is a step of. */
    readonly usage?: Usage;
  };
  /** Set when it changes. */
  readonly status?: 'running' | 'paused';
}

export interface NewWorkflow {
  readonly id: WorkflowId;
  readonly tenant: string;
  readonly spec: WorkflowSpec;
  readonly defHash: string;
  readonly total: number;
  readonly idempotency?: { readonly key: string; readonly bodyHash: string };
  readonly fork?: { readonly of: WorkflowId; readonly fromStep: string | null; readonly recorded: Recorded };
  /** Starts it in the same commit, owned by this node. */
  readonly start?: boolean;
}

export type CreateAnswer =
  | ({ readonly outcome: 'created'; readonly row: WorkflowRow } & Committed)
  | { readonly outcome: 'duplicate'; readonly row: WorkflowRow }
  | { readonly outcome: 'mismatch' };

export type AdvanceAnswer =
  | ({
      readonly outcome: 'committed';
      readonly version: number;
      readonly cancelledRunning: readonly {
        readonly taskId: TaskId;
        readonly fence: number;
        readonly node: NodeId;
      }[];
      readonly claimed: readonly ClaimedTask[];
      /** The rows of `children`, in their order. */
      readonly began: readonly WorkflowRow[];
      /** Other runs that this decision wrote mail to: the parent of a run that ended, the children of a cancelled step. */
      readonly told: readonly WorkflowId[];
    } & Committed)
  | { readonly outcome: 'conflict' };

/** The end of a step, and the mail by which the decision took it. */
export interface SettledStep {
  readonly settle: SettleTask;
  readonly mail: InboxEvent;
}

export interface WorkflowStore {
  /**
   * The clock of the database in milliseconds since 1970, as this node knows it: read with every renewal of the lease, behind by what the
   * answer took.
   */
  nowMs(): number;
  create(workflow: NewWorkflow): Promise<CreateAnswer>;
  /**
   * {@link create} with `start` and the first decision, which takes the `started` event with it, in one commit. `advanced` tells of it
   * only when the run was created; the decision is of version 1.
   */
  createDecided(
    workflow: NewWorkflow,
    first: Advance,
  ): Promise<{ readonly created: CreateAnswer; readonly advanced: AdvanceAnswer }>;
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
  advance(advance: Advance): Promise<AdvanceAnswer>;
  /**
   * Ends of steps and the decision on them, in one commit. Where one end is fenced, nothing is decided (`conflict`). Where the decision meets
   * a conflict, the ends that the fence admits stand, and their mail waits in the inbox, as after `TaskStore.settle`.
   * @throws RuntimeError as `settle` does; then each is to be settled again, alone.
   */
  settleDecided(
    ends: readonly SettledStep[],
    advance: Advance,
  ): Promise<{ readonly settled: readonly SettleAnswer[]; readonly advanced: AdvanceAnswer }>;
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
    readonly recorded: Recorded | null;
  } | null>;
  get(id: WorkflowId, tenant: string): Promise<(WorkflowRow & { readonly metrics: unknown }) | null>;
  /** The same without what may be large. */
  brief(id: WorkflowId, tenant: string): Promise<Omit<WorkflowRow, 'spec' | 'output'> | null>;
  /** Roots only, unless `parent` names the run whose children are wanted. */
  list(filter: {
    readonly tenant: string;
    readonly status?: WorkflowState;
    readonly pattern?: string;
    readonly parent?: WorkflowId;
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
  /** Runs below this one that have not ended, at any depth. */
  openDescendants(id: WorkflowId): Promise<readonly WorkflowId[]>;
  /** Runs that are a step of this one, newest round of each step last. */
  children(id: WorkflowId): Promise<readonly Pick<WorkflowRow, 'id' | 'parent' | 'status' | 'startedAt' | 'endedAt'>[]>;
  /** Questions, newest first: of the tenant, of one run and everything below it, or of one step of that run itself. */
  asks(filter: {
    readonly tenant: string;
    readonly workflowId?: WorkflowId;
    readonly step?: string;
    readonly state?: AskState;
    readonly limit: number;
  }): Promise<readonly AskRow[]>;
  /** One answer, once: the row and the mail of its run in one commit. `closed` when it was answered or no longer matters. */
  answer(
    ask: { readonly tenant: string; readonly workflowId: WorkflowId; readonly step: string; readonly round: number },
    answer: { readonly by: string | null; readonly value: unknown; readonly event: CoordinationEvent },
  ): Promise<'answered' | 'closed' | 'not_found'>;
  /**
   * Running runs that have made no commit for `idleMs` though nothing of theirs is in flight anywhere: no open task, child, question,
   * timer or unread mail.
   */
  stuck(tenant: string, idleMs: number, limit: number): Promise<readonly WorkflowRow[]>;
  /** Over ended runs since that long: per pattern and outcome. */
  statistics(tenant: string, withinMs: number): Promise<readonly PatternFigures[]>;
}

/** What a pattern did over many runs. Times in ms; percentiles over completed and partial runs. */
export interface PatternFigures {
  readonly pattern: string;
  readonly runs: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly byStopReason: Readonly<Record<string, number>>;
  readonly wallMs: { readonly p50: number; readonly p95: number; readonly mean: number } | null;
  readonly speedup: { readonly p50: number; readonly mean: number } | null;
  /** Error codes of failed runs. */
  readonly failures: Readonly<Record<string, number>>;
}
