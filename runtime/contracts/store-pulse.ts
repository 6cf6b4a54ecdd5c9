// What there is to do for a node, asked once per poll.

import type { Queue } from './agent.ts';

/** Polls between two looks at what the pulse tells of anyway: a safety net, and most of what an idle node would do. */
export const SAFETY_POLLS = 120;

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
  /** Durable messages wait somewhere, for whomever: {@link MessageStore.waiting}. */
  readonly letters: boolean;
  /** Agents sleep, and something is there that may be for them: {@link AgentStore.wanted}. */
  readonly wanted: boolean;
  /** A node's lease has expired, or a lost node still owns something: {@link LeaseStore.sweep}. */
  readonly sweep: boolean;
}
