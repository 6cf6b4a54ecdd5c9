// What the inspector reads of its node: given by the composition, so that this room knows no other.

import type { AgentState, AgentView } from '../../contracts/agent.ts';
import type { CallContext } from '../../contracts/call.ts';
import type { WireError } from '../../contracts/errors.ts';
import type { InspectedAgent, InspectedConfig } from '../../contracts/inspection.ts';
import type { InspectedCell, RawXState, ThreadFocus } from '../../contracts/inspection-wire.ts';
import type { ClusterStats, Member } from '../../contracts/messaging.ts';
import type { Clock, Dispose, EventFeed, Logger } from '../../contracts/ports.ts';
import type { SystemStatus, TreeNode } from '../../contracts/runtime.ts';
import type { CellStats, PoolNotice, ThreadStats } from '../../contracts/wire.ts';

/** An agent as its supervisor knows it. */
export interface WatchedAgent {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  readonly state: AgentState;
  readonly thread: number | undefined;
  readonly incarnation: number;
  readonly restarts: number;
  readonly errors: number;
  readonly reason: string | undefined;
  readonly error: WireError | undefined;
  readonly startedAtMs: number;
}

export interface WatchedTransition {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  readonly from: AgentState;
  readonly to: AgentState;
  readonly cause: string;
  readonly incarnation: number;
  readonly thread: number | undefined;
  readonly error: WireError | undefined;
}

export interface WaitingMail {
  readonly agent: string;
  readonly thread: number;
  readonly waiting: number;
}

/** This node. Everything is read when it is asked for; the listeners are there only while somebody looks. */
export interface InspectSources {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly feed: EventFeed;
  status(): SystemStatus['status'];
  uptimeMs(): number;
  /** The groups of the supervision tree without the agents; workflows of every tenant. */
  groups(): readonly TreeNode[];
  rootState(): string;
  agents(): Iterable<WatchedAgent>;
  agentOf(id: string): WatchedAgent | undefined;
  nameOf(id: string): string | undefined;
  onTransition(listener: (transition: WatchedTransition) => void): Dispose;
  onNotice(listener: (notice: PoolNotice) => void): Dispose;
  threads(): readonly ThreadStats[];
  heapLimitBytes(): number;
  /** Messages that wait for this agent; 0 where it has no mailbox here. */
  waitingFor(id: string): number;
  /** Mailboxes that are not empty. */
  mail(): Iterable<WaitingMail>;
  cellStats(): Promise<readonly CellStats[]>;
  /** Whether a workflow is of this tenant; undefined while that is not known. */
  isWorkflowOf(id: string, tenant: string): boolean | undefined;
  tasks(tenant: string): Promise<{ queued: number; running: number; oldestQueuedMs: number | null }>;
  /** Of the main thread and the process. */
  process(): { readonly rssBytes: number; readonly heapBytes: number; readonly utilization: number };
  /** What the thread of an agent knows of it. */
  cell(id: string): Promise<InspectedCell>;
  /** Whether the agent lives on this node, or is to. */
  livesHere(id: string): boolean;
  running(id: string): InspectedAgent['running'];
  /** What threads are to tell, in the place of what they told. */
  focusThreads(focus: ThreadFocus): void;
  /** Follows the actors of the supervision tree until disposed, beginning with those that live. */
  inspectTree(observer: (told: RawXState) => void): Dispose;
  /** Texts that must not show anywhere: keys and passwords of the configuration. */
  secrets(): readonly string[];
  agentView(idOrName: string, call: CallContext): Promise<AgentView>;
  members(): Promise<readonly Member[]>;
  links(): ClusterStats;
  config(): InspectedConfig;
}
