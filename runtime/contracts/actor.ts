// What a thread can host: definitions loaded from modules, and the behaviour a cell runs.
// actors/ implements ActorDefinition, runtime/thread runs it; neither knows the other.

import type { AgentMetrics, AgentState, CapabilityInfo, Isolation } from './agent.ts';
import type { Message, ResolvedMailbox, TellResult } from './envelope.ts';
import type { WireError } from './errors.ts';
import type { AgentId, NodeId } from './ids.ts';
import type { BehaviorInspection, RawXState } from './inspection-wire.ts';
import type { ResolvedSupervision } from './supervision.ts';
import type { TaskAssignment, TaskOutcome } from './task.ts';
import type { CellRequest, CellSignal, LogLine, ModuleRef, OutgoingMail } from './wire.ts';

/** Marks an export as an actor definition, whichever copy of the package made it. */
export const ACTOR_DEFINITION = Symbol.for('troupe.actor-definition');

/** What is known of a type without running it; published per node. */
export interface ActorManifest {
  readonly type: string;
  readonly kind: 'agent' | 'actor';
  readonly description?: string;
  readonly capabilities: readonly CapabilityInfo[];
  /** JSON schema (2020-12) of its config. */
  readonly config?: Record<string, unknown>;
  /** Messages it has handlers for. */
  readonly messages: readonly string[];
  readonly mailbox: ResolvedMailbox;
  readonly supervision: ResolvedSupervision;
  readonly isolation: Isolation;
  /** Labels that a node must have to host it. */
  readonly requires?: Readonly<Record<string, string>>;
  /** Idle for this long its agents are put to sleep. Default never. */
  readonly passivateAfterMs?: number;
  /** Tasks at once. */
  readonly concurrency: number;
  /** Answers calls for bids (auction). */
  readonly bids: boolean;
}

/** A manifest with the module it came from and the hash that placement compares. */
export interface ManifestEntry extends ActorManifest {
  readonly module: ModuleRef;
  readonly defHash: string;
  /** Spawnable; others wait to be registered at run time. */
  readonly active: boolean;
}

export interface ActorDefinition {
  readonly [ACTOR_DEFINITION]: true;
  readonly manifest: ActorManifest;
  /** Called once per incarnation, in the cell's thread. */
  create(cell: CellContext): CellBehavior;
}

/** What a cell offers to the behaviour it runs. */
export interface CellContext {
  readonly id: AgentId;
  readonly type: string;
  readonly name: string;
  readonly tenant: string;
  readonly node: NodeId;
  readonly thread: number;
  readonly incarnation: number;
  readonly config: Record<string, unknown>;
  /** Names of the capabilities to offer; undefined = all. */
  readonly capabilities: readonly string[] | undefined;
  /** What `snapshot()` gave when it was last saved; undefined at the first start. */
  readonly restored: unknown;
  /** Start in `paused` once initialised. */
  readonly paused: boolean;
  readonly nowMs: () => number;
  readonly random: () => number;
  /** Cleared by the cell when the incarnation ends. */
  readonly setTimer: (delayMs: number, fn: () => void) => () => void;
  log(line: LogLine): void;
  /** At most once, order kept per receiver. Refusals come back as the signal `undelivered`. Never throws. */
  tell(to: AgentId, type: string, body: unknown): void;
  /** The same, with what became of it. */
  tellConfirmed(to: AgentId, type: string, body: unknown): Promise<TellResult>;
  /** Rejects with `ask_timeout`, `actor_not_found`, `mailbox_full`, `target_lost`, `handler_failed` ... */
  ask(to: AgentId, type: string, body: unknown, options: { timeoutMs: number; signal?: AbortSignal }): Promise<unknown>;
  reply(message: Message, body: unknown): void;
  replyError(message: Message, error: WireError): void;
  deadLetter(message: Message, reason: 'no_handler' | 'filtered'): void;
  /** A call to the main thread: submit a task, save a snapshot, set a durable timer ... Rejects with a RuntimeError. */
  request(request: CellRequest): Promise<unknown>;
  /** Tells main about a change of state; the proxy on the main thread mirrors it. */
  transition(change: { from: AgentState; to: AgentState; cause: string; error?: WireError }): void;
  /** Ends this incarnation as failed; the supervisor decides what follows. */
  fail(error: WireError): void;
  /** Ends this incarnation as done (plain actors only). */
  done(output: unknown): void;
  /** Runs `fn` so that an exception it throws later, outside its promise, is laid to this cell and not to the thread. */
  attribute<T>(fn: () => T): T;
}

/** What a handler made of a durable message. `snapshot` gives the state it left, if anything has to be saved; it is called once, if at all. */
export type DurableOutcome =
  | { readonly type: 'handled'; readonly snapshot?: () => unknown; readonly out: readonly OutgoingMail[] }
  | { readonly type: 'failed'; readonly error: WireError; readonly reason?: 'no_handler' | 'filtered' };

/** The life inside a cell. One instance per incarnation; the cell calls it from one thread only. */
export interface CellBehavior {
  /** Resolves when initialised; a rejection is `init_failed`. */
  start(): void | Promise<void>;
  /**
   * One message. Returns undefined when it is done at once (the fast path); a promise keeps the following
   * messages in the mailbox until it settles. It must not reject: failures of handlers are replied or dead-lettered inside.
   */
  receive(message: Message): void | Promise<void>;
  /**
   * As {@link receive}, for a message that is acknowledged only with what comes of it: a handler that throws has failed, and what it
   * changed is undone. Replies go through `CellContext.reply` before it settles. Absent: `receive`, and the snapshot after it.
   */
  receiveDurable?(message: Message): DurableOutcome | Promise<DurableOutcome>;
  /**
   * Whether a message that was told may enter the mailbox: false refuses it to its sender as `filtered`. Questions are not asked about; the
   * behaviour answers them. Absent: everything may. Must not throw.
   */
  accepts?(message: Message): boolean;
  /** Lifecycle commands and notices of the runtime; they overtake messages. May throw RuntimeError. */
  signal(signal: CellSignal): void | Promise<void>;
  /** One attempt of a task. Resolves with its outcome; never rejects. `signal` aborts on cancel and timeout. */
  runTask?(task: TaskAssignment, signal: AbortSignal): Promise<TaskOutcome>;
  /** What is restored into the next incarnation: plain data, no running handler. */
  snapshot(): unknown;
  /** Counts and times of its tasks, by capability too. */
  metrics?(): AgentMetrics['execution'];
  /** What an inspector shows of it. Must not throw. */
  inspect?(): BehaviorInspection;
  /** Tells what its XState actors do until disposed, beginning with those that live. */
  observe?(observer: (told: RawXState) => void): () => void;
  /** Current state, for mirrors that missed a transition. */
  state(): AgentState;
  stop(): void | Promise<void>;
}
