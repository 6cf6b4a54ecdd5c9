// The store as everyone else sees it: what is accepted, claimed, settled, journaled, under one lease per node incarnation.
// Implemented by runtime/store/ with the same SQL on PGlite and PostgreSQL. Every method settles: `store_unavailable` when the database is away.

import type { AgentState, Isolation, Queue } from './agent.ts';
import type { CoordinationEvent, Decision } from './coordination.ts';
import type { DeadLetter } from './envelope.ts';
import type { NewEvent, RuntimeEvent } from './event.ts';
import type { AgentId, NodeId, TaskId, WorkflowId } from './ids.ts';
import type { AttemptView, CancelReport, ClaimedTask, ResolvedRetry, SettleTask, TaskState, TaskView } from './task.ts';
import type { WorkflowSpec, WorkflowState } from './workflow.ts';

export interface Statement {
  /** Prepared statement name; one per SQL text. */
  readonly name: string;
  readonly text: string;
  readonly params: readonly unknown[];
}
export interface Rows<Row = Record<string, unknown>> {
  readonly rows: readonly Row[];
  readonly rowCount: number;
}
/** A database. bigint comes as number, timestamptz as ISO text, bytea as Uint8Array on both. */
export interface Db {
  readonly kind: 'pglite' | 'postgres';
  query<Row = Record<string, unknown>>(statement: Statement): Promise<Rows<Row>>;
  /** All statements in one transaction, all or nothing, with no JavaScript awaited in between. */
  batch(statements: readonly Statement[]): Promise<readonly Rows[]>;
  /** Plain SQL text of many statements (migrations). */
  script(sql: string): Promise<void>;
  close(): Promise<void>;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** A committed write and the stored events it made, ready to publish. */
export interface Committed {
  readonly events: readonly RuntimeEvent[];
}

export interface NewTask {
  readonly id: TaskId;
  readonly tenant: string;
  readonly capability: string;
  readonly version: number;
  readonly queue: Queue;
  /** Pinned agent. */
  readonly agentId?: AgentId;
  readonly input: unknown;
  readonly priority: number;
  readonly timeoutMs: number;
  readonly queueTimeoutMs?: number;
  readonly deadlineMs?: number;
  readonly delayMs?: number;
  readonly runAt?: string;
  readonly retry: ResolvedRetry;
  readonly dedupeKey?: string;
  readonly idempotency?: { readonly key: string; readonly bodyHash: string };
  readonly workflow?: { readonly id: WorkflowId; readonly step: string; readonly round: number };
  readonly traceparent?: string;
}

export type SubmitOutcome =
  | ({
      readonly outcome: 'accepted';
      readonly task: TaskView;
      /** Set when the insert itself took the lease. */
      readonly claimed?: ClaimedTask;
    } & Committed)
  /** The same idempotency or dedupe key: the task of the first time. */
  | { readonly outcome: 'duplicate'; readonly task: TaskView }
  | { readonly outcome: 'mismatch' };

export interface TaskFilter {
  readonly tenant: string;
  readonly status?: TaskState;
  readonly capability?: string;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly limit: number;
  readonly cursor?: string;
}

export type CancelOutcome =
  | { readonly outcome: 'not_found' }
  /** Already terminal otherwise. */
  | { readonly outcome: 'terminal'; readonly state: TaskState }
  /** Cancelled before: the recorded answer. */
  | { readonly outcome: 'repeated'; readonly report: CancelReport }
  | ({ readonly outcome: 'cancelled'; readonly wasRunning: false } & Committed)
  /** Terminal from now on (the fence has grown); the code still has to be stopped on `node`. `fence` is the one that ran. */
  | ({
      readonly outcome: 'cancelled';
      readonly wasRunning: true;
      readonly node: NodeId;
      readonly fence: number;
    } & Committed);

export interface TaskStore {
  /** Group commit: calls in flight at once share one transaction. `claim` asks to take the lease with the insert when no older runnable task waits in its queue. */
  submit(task: NewTask, options?: { readonly claim?: boolean }): Promise<SubmitOutcome>;
  /** At most `slots` tasks per queue, oldest rank first, leased to this node: fence and attempt grow. */
  claim(asks: readonly { readonly queue: Queue; readonly slots: number }[]): Promise<readonly ClaimedTask[]>;
  /** Group commit. `fenced`: somebody else owns it now; nothing was written. Writes the workflow's inbox row in the same transaction. */
  settle(
    settle: SettleTask,
  ): Promise<
    ({ readonly outcome: 'committed'; readonly state: TaskState } & Committed) | { readonly outcome: 'fenced' }
  >;
  cancel(id: TaskId, tenant: string): Promise<CancelOutcome>;
  recordCancel(report: CancelReport): Promise<void>;
  /** Which of these claims are no longer this node's (cancelled, swept, timed out elsewhere). */
  lostClaims(claims: readonly { readonly taskId: TaskId; readonly fence: number }[]): Promise<readonly TaskId[]>;
  /** Every claim this node's lease holds: finds the ones whose answer was lost (a claim that committed while its connection died). */
  ownClaims?(): Promise<readonly ClaimedTask[]>;
  /** Delayed and backing-off tasks whose time has come become `queued`. Answers how many and the wait until the next, in ms (null: none). */
  promote(): Promise<{
    readonly promoted: number;
    readonly nextInMs: number | null;
    readonly queues: readonly Queue[];
  }>;
  /** Queue timeouts and deadlines by the database clock. The claims that were running are to be aborted. */
  expire(): Promise<
    {
      readonly aborted: readonly { readonly taskId: TaskId; readonly fence: number; readonly node: NodeId }[];
    } & Committed
  >;
  /** Queues of single agents (`agent:...`) that hold runnable tasks, at most 1,000. */
  pinnedQueues(): Promise<readonly Queue[]>;
  /** Dead task back to the queue with its attempts reset (admin). */
  redrive(id: TaskId, tenant: string): Promise<boolean>;
  get(id: TaskId, tenant: string): Promise<TaskView | null>;
  attempts(id: TaskId): Promise<readonly AttemptView[]>;
  list(filter: TaskFilter): Promise<Page<TaskView>>;
  byWorkflow(id: WorkflowId): Promise<readonly TaskView[]>;
  /** Tasks by state, and depth and age of the oldest per queue (the 100 deepest). */
  counts(tenant?: string): Promise<{
    readonly byState: Readonly<Record<TaskState, number>>;
    readonly queues: readonly { readonly queue: Queue; readonly queued: number; readonly oldestMs: number }[];
  }>;
}

export interface AgentRow {
  readonly id: AgentId;
  readonly tenant: string;
  readonly type: string;
  readonly defHash: string;
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly capabilities: readonly string[] | null;
  readonly isolation: Isolation;
  /** What its owner works towards. */
  readonly desired: 'running' | 'paused' | 'terminated';
  /** Last known; the owner's memory is fresher. */
  readonly state: AgentState;
  readonly reason: string | null;
  readonly owner: NodeId | null;
  readonly epoch: number;
  readonly version: number;
  readonly snapshot: unknown;
  readonly createdAt: string;
}

export interface NewAgentRow {
  readonly id: AgentId;
  readonly tenant: string;
  readonly type: string;
  readonly defHash: string;
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly capabilities: readonly string[] | null;
  readonly isolation: Isolation;
  readonly idempotency?: { readonly key: string; readonly bodyHash: string };
}

export interface AgentFilter {
  readonly tenant: string;
  readonly type?: string;
  readonly state?: AgentState;
  readonly capability?: string;
  readonly limit: number;
  readonly cursor?: string;
}

export interface AgentStore {
  /** Group commit; owned by this node, epoch 1, version 1. */
  create(
    agent: NewAgentRow,
  ): Promise<
    | ({ readonly outcome: 'created'; readonly agent: AgentRow } & Committed)
    | { readonly outcome: 'duplicate'; readonly agent: AgentRow }
    | { readonly outcome: 'name_taken' }
    | { readonly outcome: 'mismatch' }
  >;
  /** Compare and swap on `version` (omit: any). */
  update(
    id: AgentId,
    tenant: string,
    change: {
      readonly config?: Record<string, unknown>;
      readonly capabilities?: readonly string[];
      readonly desired?: 'running' | 'paused' | 'terminated';
      readonly state?: AgentState;
      readonly reason?: string;
    },
    expectVersion?: number,
  ): Promise<
    | ({ readonly outcome: 'updated'; readonly agent: AgentRow } & Committed)
    | { readonly outcome: 'stale'; readonly agent: AgentRow }
    | { readonly outcome: 'not_found' }
  >;
  /** Guarded by the epoch. Group commit. */
  saveSnapshot(id: AgentId, epoch: number, snapshot: unknown): Promise<'saved' | 'fenced'>;
  /** Observed states of this node's agents, written as one roll-up. */
  observe(
    states: readonly {
      readonly id: AgentId;
      readonly epoch: number;
      readonly state: AgentState;
      readonly reason: string | null;
    }[],
  ): Promise<void>;
  get(idOrName: string, tenant: string): Promise<AgentRow | null>;
  list(filter: AgentFilter): Promise<Page<AgentRow>>;
  /** Rows of this node whose version grew past the known one: commands that arrived through another node. */
  changedSince(versions: ReadonlyMap<AgentId, number>): Promise<readonly AgentRow[]>;
  /** Takes agents that nobody owns and whose definition this node has; epoch grows. */
  adopt(defHashes: readonly string[], limit: number): Promise<readonly AgentRow[]>;
  /** Capabilities with a live agent on any node: highest version per name. */
  liveCapabilities(tenant: string): Promise<ReadonlyMap<string, number>>;
  counts(): Promise<readonly { readonly type: string; readonly state: AgentState; readonly count: number }[]>;
}

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

export interface EventStore {
  /** Events of one stream after `seq`, oldest first. */
  read(stream: string, tenant: string, afterSeq: number, limit: number): Promise<readonly RuntimeEvent[]>;
  /** Stores events of a stream whose only writer is this node. */
  append(events: readonly NewEvent[]): Promise<readonly RuntimeEvent[]>;
}

export interface NodeRow {
  readonly id: NodeId;
  readonly host: string;
  readonly pid: number;
  readonly draining: boolean;
  readonly alive: boolean;
  readonly startedAt: string;
  readonly leaseLeftMs: number;
}

export interface LeaseStore {
  /** Writes this incarnation's row. `reclaimAll` (embedded: the lock file proves every other owner dead) expires all other rows at once. */
  open(node: {
    readonly id: NodeId;
    readonly host: string;
    readonly pid: number;
    readonly leaseMs: number;
    /** What this node can run. `capabilities` feed {@link AgentStore.liveCapabilities}: without them its agents offer none there. */
    readonly manifest: readonly {
      readonly type: string;
      readonly defHash: string;
      readonly capabilities?: readonly { readonly name: string; readonly version: number }[];
    }[];
    readonly reclaimAll: boolean;
  }): Promise<void>;
  /** False: the lease had expired and been swept; this incarnation must end. */
  renew(): Promise<boolean>;
  setDraining(draining: boolean): Promise<void>;
  /** Gives everything back (tasks queued, attempts not charged; agents and workflows unowned) and removes the row. */
  release(): Promise<void>;
  /** Frees what expired nodes owned: tasks are charged a crash, then queued or dead. */
  sweep(options: { readonly poisonAfter: number }): Promise<
    {
      readonly nodes: readonly NodeId[];
      readonly tasks: number;
      readonly agents: number;
      readonly workflows: number;
    } & Committed
  >;
  nodes(): Promise<readonly NodeRow[]>;
}

export interface DeadLetterRow extends DeadLetter {
  readonly id: string;
  readonly tenant: string;
  readonly replays: number;
}

export interface DeadLetterStore {
  add(tenant: string, letters: readonly DeadLetter[]): Promise<void>;
  list(filter: {
    readonly tenant: string;
    readonly to?: string;
    readonly reason?: string;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<Page<DeadLetterRow>>;
}

export interface AgentTimer {
  readonly agentId: AgentId;
  readonly key: string;
  readonly body: unknown;
  /** Guards `done`: a timer that was set again in the meantime stays. */
  readonly generation: number;
}

/** Durable timers of agents. */
export interface AgentTimerStore {
  set(id: AgentId, key: string, afterMs: number, body: unknown): Promise<void>;
  clear(id: AgentId, key: string): Promise<void>;
  /** Due timers of agents that this node owns, and the wait until the next (null: none). */
  due(limit: number): Promise<{ readonly due: readonly AgentTimer[]; readonly nextInMs: number | null }>;
  done(timer: AgentTimer): Promise<void>;
}

/** What there is to do for this node. Waits are milliseconds from now by the clock of the database, 0 for what is due, null for nothing. */
export interface Pulse {
  /** The next delayed or backing-off task: {@link TaskStore.promote}. */
  readonly promoteInMs: number | null;
  /** The next deadline or queue timeout: {@link TaskStore.expire}. */
  readonly expireInMs: number | null;
  /** The next durable timer or deadline of a run: {@link WorkflowStore.fireTimers}. */
  readonly workflowTimerInMs: number | null;
  /** The next timer of an agent of this node, if it is due within some seconds: {@link AgentTimerStore.due}. */
  readonly agentTimerInMs: number | null;
  /** Queues that hold tasks ready to be claimed, by whomever: at most 1,000 shared ones and 1,000 of single agents. */
  readonly queues: readonly Queue[];
  /** Claims that the store counts for this node; another number than the node knows of means that some were lost. */
  readonly running: number;
  /** A run of this node has unread events: {@link WorkflowStore.withMail}. */
  readonly mail: boolean;
  /** A running workflow has no owner: {@link WorkflowStore.adopt}. */
  readonly freeRuns: boolean;
  /** An agent whose definition this node has, has no owner: {@link AgentStore.adopt}. */
  readonly freeAgents: boolean;
  /** Differs from the pulse before when another node has changed an agent of this one: {@link AgentStore.changedSince}. */
  readonly foreignChanges: number;
  /** A node's lease has expired, or a lost node still owns something: {@link LeaseStore.sweep}. */
  readonly sweep: boolean;
}

export interface Store {
  readonly kind: 'pglite' | 'postgres';
  readonly node: NodeId;
  readonly tasks: TaskStore;
  readonly agents: AgentStore;
  readonly workflows: WorkflowStore;
  readonly events: EventStore;
  readonly leases: LeaseStore;
  readonly deadLetters: DeadLetterStore;
  readonly agentTimers: AgentTimerStore;
  /**
   * One cheap statement for all that would otherwise be asked one by one at every poll. A hint, no more: what it names may be gone, and
   * what comes after it is named by the next one.
   */
  pulse(): Promise<Pulse>;
  /** Round trip to the database; rejects with `store_unavailable`. */
  ping(): Promise<void>;
  /** Bytes and rows (estimates) per table. */
  sizes(): Promise<readonly { readonly table: string; readonly rows: number; readonly bytes: number }[]>;
  /** Drops partitions and rows older than the policy; makes the coming partitions. */
  retain(policy: { readonly historyDays: number }): Promise<{ readonly dropped: number }>;
  /** Called whenever the database goes away or comes back. */
  onHealth(listener: (up: boolean) => void): () => void;
  /** Flushes what is in flight and closes. Embedded: removes the lock file. */
  close(): Promise<void>;
}

export interface OpenStoreOptions {
  /** `postgres://...`; absent = PGlite. */
  readonly databaseUrl?: string;
  /** Folder of the embedded database; `memory://` for tests. */
  readonly dataDir: string;
  readonly node: NodeId;
  readonly leaseMs: number;
}
