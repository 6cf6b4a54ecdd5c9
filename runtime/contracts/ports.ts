// The borders between the folders of the runtime: each folder implements or takes these, system.ts joins them.

import type { ManifestEntry } from './actor.ts';
import type { Queue } from './agent.ts';
import type { DeadLetter, Protocol, TellResult } from './envelope.ts';
import type { WireError } from './errors.ts';
import type { NewEvent, RuntimeEvent } from './event.ts';
import type { AgentId, NewId, TaskId } from './ids.ts';
import type { Placement } from './placement.ts';
import type { CancelEffect, ClaimedTask, TaskAssignment, TaskOutcome } from './task.ts';
import type { TaskUsage } from './usage.ts';
import type {
  CellRequest,
  CellSignal,
  CellSpec,
  CellStarted,
  CellStats,
  DurableDelivery,
  DurableReport,
  PoolNotice,
  ThreadStats,
} from './wire.ts';

/** Cancels what it was returned by. Calling it again does nothing. */
export type Dispose = () => void;

/** Time as an argument. Real one in adapters, a manual one in tests. Durations are clamped to [0, 2^31 - 1] ms. */
export interface Clock {
  /** Milliseconds since 1970; may jump. Never decides a lease. */
  nowMs(): number;
  /** Milliseconds that only grow. */
  monotonicMs(): number;
  setTimeout(fn: () => void, delayMs: number): Dispose;
  setInterval(fn: () => void, everyMs: number): Dispose;
}

/** Uniform in [0, 1). */
export type Random = () => number;

export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
  child(fields: Record<string, unknown>): Logger;
}

/** What nearly everything on the main thread is given. */
export interface Ambient {
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: NewId;
  readonly log: Logger;
}

// ---- threads -------------------------------------------------------------------------------------------------------------

/** What goes with a message besides its type and body. */
export interface TellOptions {
  readonly from?: AgentId;
  readonly traceparent?: string;
  /** What the message says of how it was sent; default `direct`. */
  readonly protocol?: Protocol;
  readonly topic?: string;
  readonly channel?: string;
  readonly hops?: number;
}

/** The pool of threads as the main thread sees it (implemented by pool/). */
export interface ThreadPool {
  /** Resolves when every thread is up. */
  start(): Promise<void>;
  /** Grows at once; shrinks by draining cells away (`onMove` of the caller) and never kills one that works. */
  resize(threads: number): Promise<void>;
  /**
   * Starts one incarnation. Calls of one turn travel together. Without `thread` the least loaded one that is up is taken;
   * while none is up the spawn waits. Rejects with `init_failed`, `spawn_timeout`, `no_thread_up`, `thread_lost`.
   */
  spawn(spec: CellSpec, place: { readonly thread?: number; readonly dedicated: boolean }): Promise<CellStarted>;
  /** `drain` finishes the mailbox and the running tasks first; `stop` after the message in hand; both end after `timeoutMs` at most. */
  stopCell(id: AgentId, mode: 'drain' | 'stop', timeoutMs: number): Promise<void>;
  /**
   * Takes an actor out of this node: it finishes its mailbox and its tasks (`timeoutMs` at most), and what is sent to it meanwhile waits. Answers
   * its last state; `stopCell` then lets those who wait look elsewhere. Undefined when it is not up.
   */
  depart(id: AgentId, timeoutMs: number): Promise<unknown>;
  /** Lifecycle command; resolves when the behaviour has taken it; rejects with its error. */
  signal(id: AgentId, signal: CellSignal): Promise<void>;
  tell(to: AgentId, type: string, body: unknown, options?: TellOptions): Promise<TellResult>;
  /** The same message to each of these, once; nobody is told what becomes of it: refusals are dead letters. */
  tellMany(to: readonly AgentId[], type: string, body: unknown, options?: TellOptions): void;
  ask(
    to: AgentId,
    type: string,
    body: unknown,
    options: { readonly timeoutMs: number; readonly signal?: AbortSignal; readonly traceparent?: string },
  ): Promise<unknown>;
  /**
   * Gives a durable message to its handler. Resolves when that is done, whenever that is: there is no time limit. Rejects when the message
   * surely was not begun (`mailbox_full`, `agent_stopped`, `actor_not_found`, `backpressure`) or is lost with its thread (`target_lost`).
   */
  handle(to: AgentId, message: DurableDelivery): Promise<DurableReport>;
  /** Runs one attempt on this agent. Never rejects: a dead thread is the outcome `lost`. Enforces `timeoutMs` and grace. */
  runTask(agent: AgentId, task: TaskAssignment): Promise<TaskOutcome>;
  /** Aborts the attempt; after `graceMs` abandons or kills it. Resolves with what it took. */
  cancelTask(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect>;
  /** The behaviour's snapshot, taken between messages. */
  snapshot(id: AgentId): Promise<unknown>;
  cellStats(): Promise<readonly CellStats[]>;
  threadStats(): readonly ThreadStats[];
  /** Ends a thread at once, as a crash. For chaos and for the demo. */
  /** What a running attempt used so far, in all: its outcome has it when the attempt cannot say so any more. */
  noteUsage(taskId: TaskId, fence: number, usage: TaskUsage): void;
  killThread(thread: number, how: 'terminate' | 'exit' | 'throw' | 'spin' | 'oom'): void;
  onNotice(listener: (notice: PoolNotice) => void): Dispose;
  /** Stops hosts first, then Piscina. Nothing is left running. */
  stop(): Promise<void>;
}

export interface ThreadPoolOptions {
  readonly threads: number;
  readonly node: string;
  /** Default 256. */
  readonly maxOldGenerationSizeMb: number;
  /** Beat of every thread in shared memory, default 100 ms. */
  readonly beatMs: number;
  /** No beat and no progress for this long is `stuck`, default 1,000 ms. A stuck thread is killed once a task's timeout plus grace has passed, or after `stuckKillMs` without any task. */
  readonly stuckAfterMs: number;
  readonly stuckKillMs: number;
  /** Between abort and abandon or kill, default 1,000 ms. */
  readonly graceMs: number;
  readonly spawnTimeoutMs: number;
  /** Answers `CellContext.request`. */
  readonly onRequest: (cell: AgentId, request: CellRequest) => Promise<unknown>;
  /** Told when `resize` has moved a cell: same incarnation, another thread. */
  readonly onMoved?: (cell: AgentId, from: number, to: number) => void;
  /** Environment of the threads, beside NODE_ENV, TZ and TMPDIR. They see nothing else of the process environment. */
  readonly env?: Readonly<Record<string, string>>;
}

// ---- who can do what -------------------------------------------------------------------------------------------------------

/** One slot of one agent, taken for one attempt. `epoch` (of the agent) lets its snapshot be saved with the outcome. */
export interface TakenSlot {
  readonly agentId: AgentId;
  readonly thread: number;
  readonly epoch?: number;
  /** How it was chosen; absent where that is not known. */
  readonly placed?: Placement;
}

/** The agents of this node as the dispatcher sees them (implemented by agents/). */
export interface Workforce {
  /** Queues that local live agents serve, with the slots free in all of them together. */
  offers(): readonly { readonly queue: Queue; readonly free: number }[];
  /** Takes a slot of the best agent for this queue, or undefined. Give it back with `release`. */
  take(queue: Queue): TakenSlot | undefined;
  release(agentId: AgentId): void;
  /** Whether an available agent of this node serves the queue, busy or not. */
  serves?(queue: Queue): boolean;
  /** A task for a single agent was seen: its queue is to be among the offers from now on. */
  mention?(queue: Queue): void;
  /** Called when a slot may have become free or a new queue is served. */
  onChange(listener: () => void): Dispose;
}

/** How an attempt ended, and in which thread where that is not the one of its agent's slot. */
export type RanTask = TaskOutcome & { readonly thread?: number };

/** Runs attempts (implemented by pool/, and by agents/stand-ins for those that run isolated). */
export interface TaskRunner {
  runTask(agent: AgentId, task: ClaimedTask): Promise<RanTask>;
  cancelTask(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect>;
}

/** The types this node can spawn (implemented by agents/manifest). */
export interface Manifest {
  entries(): readonly ManifestEntry[];
  get(type: string): ManifestEntry | undefined;
  /** Activates an entry. Throws `unknown_agent_type`. */
  register(type: string): ManifestEntry;
}

// ---- events and hints -------------------------------------------------------------------------------------------------------

/** The live feed of this node (implemented by observe/event-stream). Storing is the writers' matter, never the feed's. */
export interface EventFeed {
  /** Stored events, published after their commit; or live notices (`seq` null). Never throws. */
  publish(events: readonly RuntimeEvent[]): void;
  /** A live notice that is not stored. */
  notice(event: NewEvent): void;
  subscribe(
    listener: (event: RuntimeEvent) => void,
    filter?: { readonly stream?: string; readonly tenant?: string },
  ): Dispose;
}

/** Hints between parts and nodes: "there is something to read". Lossy by contract: pollers read anyway. */
export type Hint =
  | { readonly type: 'queue'; readonly queue: Queue }
  | { readonly type: 'workflow'; readonly workflowId: string }
  | { readonly type: 'task-cancelled'; readonly taskId: string }
  | { readonly type: 'task-ended'; readonly taskId: string }
  | { readonly type: 'agent'; readonly agentId: string }
  /** An agent has durable mail. */
  | { readonly type: 'mail'; readonly agentId: string }
  /** A durable request was answered. */
  | { readonly type: 'reply'; readonly tenant: string; readonly correlationId: string };

/** Carries hints, encoded even in one process (implemented by bus/). */
export interface Bus {
  readonly kind: 'in-process' | 'redis';
  publish(hint: Hint): void;
  subscribe(listener: (hint: Hint) => void): Dispose;
  healthy(): boolean;
  close(): Promise<void>;
}

export interface DeadLetterSink {
  add(letter: DeadLetter): void;
}

export type Result<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };
