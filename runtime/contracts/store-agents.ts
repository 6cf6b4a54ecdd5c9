// Agents in the store: what they are, who owns them, their snapshots and durable timers.

import type { AgentState, Isolation } from './agent.ts';
import type { AgentId, NodeId } from './ids.ts';
import type { Committed, Page } from './store-page.ts';

export interface AgentRow {
  readonly id: AgentId;
  readonly tenant: string;
  readonly type: string;
  readonly defHash: string;
  readonly name: string;
  readonly config: Record<string, unknown>;
  readonly capabilities: readonly string[] | null;
  readonly isolation: Isolation;
  /** Names with values that multicast selects by. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Labels that its node must have. */
  readonly requires?: Readonly<Record<string, string>>;
  /** Asleep: nobody owns it until something is there for it. */
  readonly passive?: boolean;
  /** Idle for this long it is put to sleep; 0: never; absent: as its type says. */
  readonly passivateAfterMs?: number;
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
  readonly labels?: Readonly<Record<string, string>>;
  /** Labels that its node must have; where this node has not got them, the new agent waits for one that has. */
  readonly requires?: Readonly<Record<string, string>>;
  readonly passivateAfterMs?: number;
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
  /** Group commit; owned by this node if it has the labels required, else by nobody yet; epoch 1, version 1. */
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
      readonly labels?: Readonly<Record<string, string>>;
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
  /** Takes agents that nobody owns, whose definition this node has and whose required labels are its own; epoch grows. */
  adopt(defHashes: readonly string[], limit: number): Promise<readonly AgentRow[]>;
  /**
   * Gives up an agent of this node, with the state it left (null: what was saved last), under its epoch, which grows. False: it is not this
   * node's any more, the node it was to go to does not take it, or, for one that was to sleep, a durable message is there.
   */
  give(id: AgentId, epoch: number, to: 'asleep' | 'anywhere' | NodeId, snapshot: unknown): Promise<boolean>;
  /** Wakes those that sleep. Owned by this node if it may host them, else by nobody: who may adopts them. */
  wake(ids: readonly AgentId[], defHashes: readonly string[]): Promise<readonly AgentRow[]>;
  /** Sleeping agents that something is there for: a durable message, a timer that is due, a task for them or for what they offer. */
  wanted(limit: number): Promise<readonly AgentId[]>;
  /** Whether any agent sleeps. */
  sleeping(): Promise<boolean>;
  /** Agents that other nodes gave to this one and that were not asked for yet. */
  arrived(): Promise<readonly AgentRow[]>;
  /** Capabilities with a live agent on any node, or one that sleeps: highest version per name. */
  liveCapabilities(tenant: string): Promise<ReadonlyMap<string, number>>;
  counts(): Promise<readonly { readonly type: string; readonly state: AgentState; readonly count: number }[]>;
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
