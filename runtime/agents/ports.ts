// What the agent service needs of the rest of the node; system.ts gives it.

import type { AgentState } from '../contracts/agent.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { ResolvedSupervision, Terminated } from '../contracts/supervision.ts';

/** One user agent to the tree: how to start its next incarnation and how to end the present one. */
export interface SupervisedAgent {
  readonly id: AgentId;
  readonly type: string;
  readonly tenant: string;
  readonly supervision: ResolvedSupervision;
  /** `previous`: where the incarnation before ran, and whether it was lost with its thread. */
  launch(
    incarnation: number,
    previous: { readonly thread: number | undefined; readonly lost: boolean } | undefined,
  ): Promise<{ readonly thread: number }>;
  halt(mode: 'drain' | 'stop', timeoutMs: number): Promise<void>;
}

export interface SupervisedState {
  readonly state: AgentState;
  readonly thread: number | null;
  readonly incarnation: number;
  readonly restarts: number;
  readonly errors: number;
  readonly reason: string | null;
  readonly startedAtMs: number;
}

/** The agents' part of the supervision tree. */
export interface AgentTree {
  /** Resolves at the first idle or paused; rejects when the budget is gone. */
  spawn(agent: SupervisedAgent): Promise<{ readonly thread: number; readonly incarnation: number }>;
  stop(id: AgentId, mode: 'drain' | 'stop', timeoutMs: number): Promise<void>;
  get(id: AgentId): SupervisedState | undefined;
  watch(id: AgentId, listener: (end: Terminated) => void): Dispose;
}

/** Tasks that run on an agent now. */
export type RunningOn = (agent: AgentId) => readonly TaskId[];
