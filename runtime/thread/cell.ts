// One incarnation of an actor in its thread: its state and figures. The host drives it.
// States: starting -> active -> (failed | draining) -> ended. A failed cell keeps its mailbox for the next incarnation.

import type { CellBehavior } from '../contracts/actor.ts';
import type { AgentState } from '../contracts/agent.ts';
import type { CellSpec, CellStats } from '../contracts/wire.ts';
import type { Delivered, Envelope } from '../transport/envelope.ts';
import type { Link } from '../transport/link.ts';
import { Queue } from '../transport/queue.ts';
import { Mailbox } from './mailbox.ts';

/** Whose code runs, as far as asynchronous context tells. */
export interface Scope {
  readonly cell: Cell;
  /** Key of the task, 0 outside of tasks. */
  readonly task: number;
}

export interface OpenAsk {
  readonly message: Delivered;
  readonly dueAtMs: number;
  /** A handler has it. */
  taken: boolean;
}

export type CellPhase = 'starting' | 'active' | 'failed' | 'draining' | 'ended';

const SAMPLES = 64;

export class Cell {
  readonly spec: CellSpec;
  /** Number of this residence in its thread; the same over restarts in place. */
  readonly slot: number;
  readonly mailbox: Mailbox<Delivered>;
  /** Senders of this thread that wait for room (overflow `backpressure`). */
  readonly waiting: Queue<Envelope>;
  /** Links whose senders hold messages back for this cell, with the messages granted and not yet here. */
  readonly pausedLinks: Map<Link, number>;
  /** Shows main how much waits here. */
  readonly meter: number;
  readonly scope: Scope;
  readonly startedAtMs: number;
  phase: CellPhase = 'starting';
  behavior: CellBehavior | null = null;
  state: AgentState = 'created';
  /** A message is in an asynchronous handler. */
  busy = false;
  /** It waits in the host's ready queue. */
  queued = false;
  /** It goes on elsewhere: what is sent to it now follows it. */
  moving = false;
  /** Questions it has not answered, by correlation; those still in the mailbox outlive the incarnation. */
  readonly openAsks: Map<string, OpenAsk>;
  readonly timers = new Set<() => void>();
  /** The durable message in its handler, with the reply it has given so far. */
  inHand: { readonly message: Delivered; reply: { readonly body: unknown } | undefined } | null = null;
  /** Lanes of durable messages that are held up, up to which generation. */
  readonly lanes: Map<string, number>;
  /** Durable messages in the mailbox: they are not lost with it. */
  durables = 0;
  /** Keys of its running tasks. */
  readonly tasks = new Set<number>();
  signals: Promise<void> | null = null;
  /** Called whenever it may have become quiet. */
  readonly quietWatchers = new Set<() => void>();
  received = 0;
  sent = 0;
  replied = 0;
  refused = 0;
  errors = 0;
  readonly #delivery = new Float64Array(SAMPLES);
  #sampled = 0;

  constructor(spec: CellSpec, slot: number, meter: number, startedAtMs: number, predecessor: Cell | undefined) {
    this.spec = spec;
    this.slot = slot;
    this.meter = meter;
    this.startedAtMs = startedAtMs;
    this.scope = { cell: this, task: 0 };
    this.mailbox = predecessor?.mailbox ?? new Mailbox(spec.mailbox);
    this.waiting = predecessor?.waiting ?? new Queue();
    this.pausedLinks = predecessor?.pausedLinks ?? new Map();
    this.openAsks = predecessor?.openAsks ?? new Map();
    this.lanes = predecessor?.lanes ?? new Map();
    this.durables = predecessor?.durables ?? 0;
  }

  /** Whether its code may still act. */
  get live(): boolean {
    return this.phase === 'active' || this.phase === 'starting' || this.phase === 'draining';
  }

  /** Whether it takes its next message now. */
  get receptive(): boolean {
    return (this.phase === 'active' || this.phase === 'draining') && !this.busy && this.state !== 'paused';
  }

  /** Messages not handed to its behaviour yet. */
  get depth(): number {
    return this.mailbox.length + this.waiting.length;
  }

  /** Messages that are gone when its thread dies. */
  get losable(): number {
    return this.depth - this.durables;
  }

  quiet(): void {
    if (this.quietWatchers.size > 0) for (const watcher of [...this.quietWatchers]) watcher();
  }

  /** One delivery in 64 is measured: from the sender's post to the handler's start. */
  sampleDelivery(ms: number): void {
    this.#delivery[this.#sampled++ % SAMPLES] = Math.max(0, ms);
  }

  stats(nowMs: number): CellStats {
    const execution = this.behavior?.metrics?.();
    const samples = this.#delivery.slice(0, Math.min(this.#sampled, SAMPLES)).sort();
    return {
      id: this.spec.id,
      incarnation: this.spec.incarnation,
      state: this.behavior?.state() ?? this.state,
      mailbox: this.depth,
      received: this.received,
      sent: this.sent,
      replied: this.replied,
      refused: this.refused,
      errors: this.errors,
      deliveryP95Ms: samples[Math.floor(samples.length * 0.95)] ?? 0,
      startedAgoMs: nowMs - this.startedAtMs,
      ...(execution ? { execution } : {}),
    };
  }
}
