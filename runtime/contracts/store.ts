// The store as everyone else sees it: what is accepted, claimed, settled, journaled, under one lease per node incarnation.
// Implemented by runtime/store/ with the same SQL on PGlite and PostgreSQL. Every method settles: `store_unavailable` when the database is away.
// The door to its parts: import from here.

import type { NodeId } from './ids.ts';
import type { AgentStore, AgentTimerStore } from './store-agents.ts';
import type { ChannelStore } from './store-channels.ts';
import type { ClusterStore } from './store-cluster.ts';
import type { FigureStore, StoreFlush, StorePressure } from './store-figures.ts';
import type { HistoryStore } from './store-history.ts';
import type { DeadLetterStore, EventStore } from './store-letters.ts';
import type { MessageStore } from './store-messages.ts';
import type { LeaseStore } from './store-nodes.ts';
import type { Pulse } from './store-pulse.ts';
import type { TaskStore } from './store-tasks.ts';
import type { WorkflowStore } from './store-workflows.ts';

export type { InboxEvent } from './coordination.ts';
export type { AgentFilter, AgentRow, AgentStore, AgentTimer, AgentTimerStore, NewAgentRow } from './store-agents.ts';
export type { ChannelRow, ChannelStore, NewMember } from './store-channels.ts';
export type { AgentPlace, ClusterStore, NodeMemberRow } from './store-cluster.ts';
export type { Db, Rows, Statement } from './store-db.ts';
export type { DeadLetterRow, DeadLetterStore, EventStore } from './store-letters.ts';
export type {
  AcceptOutcome,
  Acknowledgement,
  DurableReply,
  FailedMessage,
  InboxMessage,
  InboxRead,
  MessageStore,
  NewDurableMessage,
  ReplyState,
} from './store-messages.ts';
export type { LeaseStore, NodeRow } from './store-nodes.ts';
export type { Committed, Page } from './store-page.ts';
export type { Pulse } from './store-pulse.ts';
export type {
  CancelOutcome,
  NewTask,
  SettleAnswer,
  SubmitOutcome,
  TaskDuration,
  TaskFilter,
  TaskStore,
} from './store-tasks.ts';
export type {
  Advance,
  AdvanceAnswer,
  AskRow,
  AskState,
  CreateAnswer,
  NewAsk,
  NewChild,
  NewWorkflow,
  PatternFigures,
  Recorded,
  SettledStep,
  WorkflowRow,
  WorkflowStore,
} from './store-workflows.ts';

export interface Store {
  readonly kind: 'pglite' | 'postgres';
  readonly node: NodeId;
  readonly tasks: TaskStore;
  readonly agents: AgentStore;
  readonly workflows: WorkflowStore;
  readonly events: EventStore;
  readonly leases: LeaseStore;
  readonly cluster: ClusterStore;
  readonly deadLetters: DeadLetterStore;
  readonly messages: MessageStore;
  readonly channels: ChannelStore;
  readonly agentTimers: AgentTimerStore;
  /** The history of metrics. */
  readonly figures: FigureStore;
  onFlush(listener: (flush: StoreFlush) => void): () => void;
  pressure(): StorePressure;
  readonly history: HistoryStore;
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
