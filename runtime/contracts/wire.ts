// What crosses between the main thread and its threads besides messages: cell specifications, signals, requests, notices.
// The frames of the data plane are a private matter of pool/ and thread/.

import type { AgentMetrics, AgentState } from './agent.ts';
import type { DeadLetter, MessageWay, Protocol, ResolvedMailbox } from './envelope.ts';
import type { WireError } from './errors.ts';
import type { AgentId, TaskId } from './ids.ts';
import type { InspectionNotice } from './inspection-wire.ts';
import type { Selector } from './messages.ts';
import type { Terminated } from './supervision.ts';
import type { SubmitTask } from './task.ts';
import type { TaskUsage } from './usage.ts';
import type { Condition } from './workflow.ts';

/** Where a definition is loaded from: functions cannot cross threads, modules can. */
export interface ModuleRef {
  /** Absolute `file:` URL (or a package specifier) of an ES module. */
  readonly specifier: string;
  readonly exportName: string;
}

/** Everything a thread needs to start one incarnation of an actor. */
export interface CellSpec {
  readonly id: AgentId;
  readonly incarnation: number;
  readonly type: string;
  readonly name: string;
  readonly tenant: string;
  readonly module: ModuleRef;
  readonly mailbox: ResolvedMailbox;
  readonly config: Record<string, unknown>;
  readonly capabilities?: readonly string[];
  readonly restored?: unknown;
  readonly paused: boolean;
}

/** Lifecycle commands and notices; they overtake messages in the mailbox. */
export type CellSignal =
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  | { readonly type: 'configure'; readonly config?: Record<string, unknown>; readonly capabilities?: readonly string[] }
  | { readonly type: 'timer'; readonly key: string; readonly body: unknown }
  | { readonly type: 'undelivered'; readonly letter: DeadLetter }
  | { readonly type: 'task-event'; readonly event: string; readonly body: unknown }
  | { readonly type: 'offers'; readonly capability: string; readonly agents: readonly AgentId[] }
  | Terminated;

/** A subscription of the agent that asks: by topic, by type of message, or both. */
interface OwnSubscription {
  readonly topic?: string;
  readonly messageType?: string;
  readonly where?: Condition;
}

/** What is sent to many, and how many messages to many led to it. */
interface ToMany {
  readonly messageType: string;
  readonly body: unknown;
  readonly hops?: number;
}

/** What code in a thread asks the main thread for (`CellContext.request`). */
export type CellRequest =
  | { readonly type: 'task.submit'; readonly task: SubmitTask }
  | { readonly type: 'task.result'; readonly taskId: string; readonly timeoutMs: number }
  | { readonly type: 'task.progress'; readonly taskId: string; readonly fence: number; readonly progress: unknown }
  /** What the attempt used so far, in all: should it be lost, this is what is known. */
  | { readonly type: 'task.usage'; readonly taskId: TaskId; readonly fence: number; readonly usage: TaskUsage }
  | { readonly type: 'agent.save'; readonly snapshot: unknown }
  | {
      readonly type: 'agent.spawn';
      readonly agentType: string;
      readonly name?: string;
      readonly config?: Record<string, unknown>;
    }
  | { readonly type: 'agent.stop'; readonly id: string }
  | { readonly type: 'agent.find'; readonly capability: string }
  | { readonly type: 'watch'; readonly id: string }
  | { readonly type: 'unwatch'; readonly id: string }
  | ({ readonly type: 'subscribe' } & OwnSubscription)
  | ({ readonly type: 'unsubscribe' } & Omit<OwnSubscription, 'where'>)
  | { readonly type: 'join'; readonly channel: string; readonly where?: Condition }
  | { readonly type: 'leave'; readonly channel: string }
  | { readonly type: 'follow'; readonly capability: string }
  | { readonly type: 'unfollow'; readonly capability: string }
  | ({ readonly type: 'broadcast'; readonly channel: string } & ToMany)
  | ({ readonly type: 'multicast'; readonly select: Selector } & ToMany)
  | ({ readonly type: 'publish'; readonly topic: string } & ToMany)
  | {
      readonly type: 'message.send';
      readonly to: string;
      readonly messageType: string;
      readonly body: unknown;
      readonly maxAttempts?: number;
    }
  | { readonly type: 'timer.set'; readonly key: string; readonly afterMs: number; readonly body: unknown }
  | { readonly type: 'timer.clear'; readonly key: string };

/** As it comes from a thread: with the trace it was asked in. */
export type TracedRequest = CellRequest & { readonly traceparent?: string };

/** A durable message that the handler of another one sent: it is accepted in the commit that acknowledges that one. */
export interface OutgoingMail {
  readonly traceparent?: string;
  readonly to: AgentId;
  readonly type: string;
  readonly body: unknown;
  readonly maxAttempts?: number;
}

/** A durable message on its way into a cell. */
export interface DurableDelivery {
  readonly id: string;
  readonly from?: AgentId;
  readonly type: string;
  readonly body: unknown;
  readonly protocol: Protocol;
  readonly traceparent?: string;
  readonly via?: MessageWay;
  /** Of a request: what its reply is for. */
  readonly correlationId?: string;
  readonly lane: string;
  /**
   * Grows when a message of the lane came back. A cell whose message of this lane failed or was dropped skips those of that generation
   * and before: they come again after it.
   */
  readonly generation: number;
  /** From 1. */
  readonly attempt: number;
}

/**
 * What a cell made of a durable message. `handled`: its handler is done; `covered`: the state it left is in the snapshot of a later one
 * that is told in the same turn, and it must be committed with that one. `skipped`: its lane is held up. `returned`: it was not begun, or
 * nothing of it is kept, as the cell has ended.
 */
export type DurableReport =
  | {
      readonly type: 'handled';
      readonly covered?: true;
      /** The state after it; absent: nothing to be saved. */
      readonly snapshot?: unknown;
      readonly out?: readonly OutgoingMail[];
      readonly reply?: { readonly body: unknown };
    }
  | { readonly type: 'failed'; readonly error: WireError; readonly reason?: 'no_handler' | 'filtered' }
  | { readonly type: 'skipped' }
  | { readonly type: 'returned' };

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields?: Record<string, unknown>;
  /** What was in hand when it was written. */
  readonly about?: LogSubject;
}

/** The task or message that a line of an agent's log belongs to. */
export interface LogSubject {
  readonly taskId?: string;
  readonly attempt?: number;
  readonly workflowId?: string;
  readonly messageId?: string;
  readonly traceId?: string;
}

/** How one incarnation of a cell began. */
export interface CellStarted {
  readonly id: AgentId;
  readonly incarnation: number;
  readonly thread: number;
}

/** What the pool tells the rest of the main thread, in the order in which it happened per cell. */
export type PoolNotice =
  | { readonly type: 'thread.up'; readonly thread: number; readonly dedicatedTo?: AgentId }
  | {
      readonly type: 'thread.down';
      readonly thread: number;
      /** `drained`: on purpose. The others are failures. */
      readonly reason: 'drained' | 'exited' | 'threw' | 'out_of_memory' | 'stuck';
      readonly error?: WireError;
      /** Cells that lived there, each told by a `cell.lost` notice too. */
      readonly cells: readonly AgentId[];
      /** Cells that had a task or a message in a handler when it died. */
      readonly busy: readonly AgentId[];
      /** Milliseconds from the last beat to the detection. */
      readonly detectedAfterMs: number;
    }
  | {
      readonly type: 'thread.stuck';
      readonly thread: number;
      readonly sinceMs: number;
      readonly busy: readonly AgentId[];
    }
  | {
      readonly type: 'cell.transition';
      readonly id: AgentId;
      readonly incarnation: number;
      readonly from: AgentState;
      readonly to: AgentState;
      readonly cause: string;
      readonly error?: WireError;
    }
  | { readonly type: 'cell.failed'; readonly id: AgentId; readonly incarnation: number; readonly error: WireError }
  | {
      readonly type: 'cell.lost';
      readonly id: AgentId;
      readonly incarnation: number;
      readonly error: WireError;
      readonly busy: boolean;
    }
  | { readonly type: 'cell.done'; readonly id: AgentId; readonly incarnation: number; readonly output: unknown }
  | { readonly type: 'dead-letter'; readonly letter: DeadLetter }
  | InspectionNotice
  | { readonly type: 'log'; readonly id: AgentId | null; readonly thread: number; readonly line: LogLine };

/** Figures of one cell, counted since its incarnation began; read on request, never pushed. */
export interface CellStats {
  readonly id: AgentId;
  readonly incarnation: number;
  readonly state: AgentState;
  readonly mailbox: number;
  readonly received: number;
  readonly sent: number;
  readonly replied: number;
  readonly refused: number;
  readonly errors: number;
  readonly deliveryP95Ms: number;
  readonly startedAgoMs: number;
  /** What the behaviour counts of its tasks (agents only). */
  readonly execution?: AgentMetrics['execution'];
}

export interface ThreadStats {
  readonly thread: number;
  readonly cells: number;
  readonly heapBytes: number;
  readonly utilization: number;
  readonly liveness: 'idle' | 'busy' | 'stuck' | 'dead';
  readonly lastBeatAgoMs: number;
  readonly messagesIn: number;
  readonly messagesOut: number;
  readonly dedicatedTo?: AgentId;
}
