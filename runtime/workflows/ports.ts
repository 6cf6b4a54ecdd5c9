// What the coordinators of a node are given: where capabilities are served, free slots, running code to stop, and who watches.

import type { Queue } from '../contracts/agent.ts';
import type { Bid, CallForBids, Candidate } from '../contracts/coordination.ts';
import type { AgentId, NodeId, TaskId, WorkflowId } from '../contracts/ids.ts';
import type { Ambient, Bus, EventFeed, TakenSlot } from '../contracts/ports.ts';
import type { TasksApi } from '../contracts/runtime.ts';
import type { TaskStore, WorkflowStore } from '../contracts/store.ts';
import type { ClaimedTask, TaskView } from '../contracts/task.ts';
import type { InFlight } from './run-memory.ts';

/** Pins a capability to a version or an agent. Rejects with `unknown_capability`, `actor_not_found`: then the step fails. */
export interface CapabilityPort {
  resolve(
    wish: { readonly capability: string; readonly agentId?: string | undefined },
    tenant: string,
  ): Promise<{
    readonly capability: string;
    readonly version: number;
    readonly queue: Queue;
    readonly agentId?: AgentId;
  }>;
}

/** Who could do it, and what they would take for it. */
export interface BidderPort {
  /** Agents that offer the capability (`name` or `name@version`) and are not stopped, in a stable order. */
  offering(capability: string, tenant: string): Promise<readonly Candidate[]>;
  /** Asks one agent; null is a refusal. Rejects with what went wrong: no such agent, no `bid` function, no answer in `timeoutMs`. */
  bid(
    agentId: string,
    call: CallForBids,
    options: { readonly tenant: string; readonly timeoutMs: number },
  ): Promise<Bid | null>;
}

/** Free slots of this node's agents, so that a step can be inserted with its lease (the dispatcher). */
export interface SlotPort {
  reserve(queue: Queue): TakenSlot | undefined;
  unreserve(slot: TakenSlot): void;
  accept(tasks: readonly ClaimedTask[], reserved?: TakenSlot): void;
  /** An advance failed without an answer: it may have committed claims that nobody here runs. */
  suspectClaims?(): void;
}

export interface Claim {
  readonly taskId: TaskId;
  readonly fence: number;
  readonly node: NodeId;
}

/** Told after the commit, in order; must not throw. One `runStarted` and one `runEnded` per run that this node holds. */
export interface RunObserver {
  runStarted?(run: { readonly id: WorkflowId; readonly tenant: string; readonly pattern: string }): void;
  stepStarted?(id: WorkflowId, step: InFlight): void;
  stepEnded?(id: WorkflowId, step: InFlight, outcome: 'completed' | 'failed' | 'cancelled' | 'detached'): void;
  /** `detached`: this node no longer owns it. */
  runEnded?(id: WorkflowId, outcome: 'ended' | 'detached'): void;
}

export interface RunLoopParts {
  readonly store: WorkflowStore;
  readonly tasks: Pick<TaskStore, 'byWorkflow' | 'bySteps' | 'durations' | 'cancel' | 'openInputs' | 'settle'>;
  /** Answers what the handler of a task asks; rejects like `TasksApi.answer`. */
  readonly answerTask: TasksApi['answer'];
  readonly node: NodeId;
  readonly capabilities: CapabilityPort;
  readonly bidders: BidderPort;
  readonly slots: SlotPort;
  /** Why a queued task does not start, in a word; undefined: nothing stands in its way. */
  readonly waiting?: (task: Pick<TaskView, 'id' | 'capability'>, tenant: string) => Promise<string | undefined>;
  /** Stops the code of attempts that a decision cancelled, on whichever node it runs. */
  readonly stopRunning: (claims: readonly Claim[]) => void;
  readonly observer?: RunObserver;
  readonly feed: EventFeed;
  readonly bus: Bus;
  readonly ambient: Ambient;
  /** How often mail and ownerless runs are looked for when no hint came. */
  readonly pollMs: number;
  /** A pulse calls `poll` when there is mail or an ownerless run: without it the store is asked only for doubtful runs and at every tenth poll. */
  readonly pulsed?: boolean;
}
