// One end of a direct port to a peer (a thread, or main as peer 0): outbox, batches, credit, acknowledgements.
// What the operations mean is the peer's matter (peer.ts).

import type { AgentId } from '../contracts/ids.ts';
import { decode, encode } from './codec.ts';
import { Envelope, NO_SLOT, type Origin } from './envelope.ts';
import { ASK, INTRODUCE, TELL, TELL_META, UNPAUSED } from './frames.ts';
import { Queue } from './queue.ts';

/** What a link needs of a MessagePort. */
export interface DataPort {
  postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
  on(event: 'message', listener: (value: unknown) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  close(): void;
}

/** How the loop of the thread is used by a link; injected so that flow control can be tested without one. */
export interface Turn {
  /** Runs when the present turn and its promise jobs are over. */
  atEnd(fn: () => void): void;
  /** Runs in one of the next turns, after waiting input. */
  later(fn: () => void): void;
  nowMs(): number;
}

/** Envelopes a batch. */
const BATCH = 128;
/** Messages on their way without an acknowledgement. */
export const WINDOW = 4_096;
/** Messages that may wait for credit on one link; beyond it they are refused with `backpressure`. */
export const OUTBOX_LIMIT = 65_536;
/** Messages held for one paused receiver. */
export const HOLD_LIMIT = 1_024;

export interface LinkEvents {
  /** One frame: operations start at index 2. */
  frame(link: Link, flat: readonly unknown[]): void;
  /** The acknowledged count or the outbox has moved. */
  acknowledged(link: Link): void;
  /** A value that is neither a frame nor an acknowledgement. */
  other(link: Link, value: unknown): void;
  closed(link: Link): void;
}

type Inline = { readonly op: readonly unknown[] };
type Outgoing = Envelope | Inline;

export class Link implements Origin {
  readonly peer: number;
  readonly label: string;
  sentAtMs = 0;
  /** Counted messages received so far. */
  received = 0;
  /** Counted messages posted and acknowledged so far. */
  sent = 0;
  acked = 0;
  open = true;
  /** Ids of the peer's senders by their slot, as introduced. */
  readonly names = new Map<number, AgentId>();
  readonly #port: DataPort;
  readonly #events: LinkEvents;
  readonly #turn: Turn;
  readonly #outbox = new Queue<Outgoing>();
  readonly #urgent: { op: readonly unknown[]; plain: boolean }[] = [];
  readonly #unacked = new Queue<Envelope>();
  readonly #held = new Map<number, Queue<Envelope>>();
  readonly #introduced = new Set<number>();
  #ackedToPeer = 0;
  #ackScheduled = false;
  #flushScheduled = false;

  constructor(peer: number, label: string, port: DataPort, events: LinkEvents, turn: Turn) {
    this.peer = peer;
    this.label = label;
    this.#port = port;
    this.#events = events;
    this.#turn = turn;
    port.on('message', (value) => this.#receive(value));
    port.on('close', () => this.close());
  }

  /** Messages not acknowledged yet, posted or not. */
  get pending(): number {
    return this.#unacked.length + this.#outbox.length;
  }

  /** Takes a message with its slot resolved; false when too many wait already. */
  send(envelope: Envelope): boolean {
    if (this.#held.size > 0) {
      const held = this.#held.get(envelope.slot);
      if (held) {
        if (held.length >= HOLD_LIMIT) return false;
        held.push(envelope);
        return true;
      }
    }
    if (this.#outbox.length >= OUTBOX_LIMIT) return false;
    this.#outbox.push(envelope);
    if (!this.#flushScheduled) this.#schedule();
    return true;
  }

  /** Sends an operation that takes no credit, ahead of waiting messages. */
  control(op: readonly unknown[], plain = true): void {
    if (!this.open) return;
    this.#urgent.push({ op, plain });
    if (!this.#flushScheduled) this.#schedule();
  }

  /** Sends an operation behind the messages that wait already. */
  inline(op: readonly unknown[]): void {
    if (!this.open) return;
    this.#outbox.push({ op });
    if (!this.#flushScheduled) this.#schedule();
  }

  /** The sender with this slot has ended. Nothing is sent when the peer never heard of it. */
  forget(slot: number, op: readonly unknown[]): void {
    if (this.#introduced.delete(slot)) this.inline(op);
  }

  /** A posted message by its sequence number, as long as it is not acknowledged. */
  posted(sequence: number): Envelope | undefined {
    return this.#unacked.at(sequence - this.acked - 1);
  }

  /** The receiver asks to hold what goes to this slot. */
  pause(slot: number): void {
    if (!this.#held.has(slot)) this.#held.set(slot, new Queue());
  }

  /** The receiver takes `count` more of those held. Ends the pause when none is left. */
  grant(slot: number, count: number): void {
    const held = this.#held.get(slot);
    if (!held) return;
    for (let left = count; left > 0; left--) {
      const envelope = held.shift();
      if (!envelope) break;
      this.#outbox.push(envelope);
    }
    if (held.length === 0) {
      this.#held.delete(slot);
      this.control([UNPAUSED, slot]);
    }
    if (!this.#flushScheduled) this.#schedule();
  }

  /** Takes back what is held for a slot, in order. */
  unhold(slot: number): Envelope[] {
    const held = this.#held.get(slot);
    this.#held.delete(slot);
    return held?.drain() ?? [];
  }

  /** The sequence number after which everything sent so far has been answered. */
  barrier(): number {
    let waiting = 0;
    for (let at = 0; at < this.#outbox.length; at++) if (!isInline(this.#outbox.at(at))) waiting++;
    return this.sent + waiting;
  }

  /** Posts a value with what it transfers, in order with the frames. */
  post(value: unknown, transfer: readonly unknown[]): void {
    this.flush();
    if (this.open) this.#port.postMessage(value, transfer as readonly ArrayBuffer[]);
  }

  /** Acknowledge what has been received, soon and once for all frames of this turn. */
  scheduleAck(): void {
    if (this.#ackScheduled || this.received === this.#ackedToPeer) return;
    this.#ackScheduled = true;
    this.#turn.later(() => {
      this.#ackScheduled = false;
      if (!this.open || this.received === this.#ackedToPeer) return;
      this.#ackedToPeer = this.received;
      this.#port.postMessage(this.received);
    });
  }

  /** Ends the link. The owner takes what is left with {@link abandon}. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.#port.close();
    this.#events.closed(this);
  }

  /** What was posted without an acknowledgement, and what was not posted at all. */
  abandon(): { readonly posted: Envelope[]; readonly waiting: Envelope[] } {
    const posted = this.#unacked.drain().filter((envelope) => !envelope.refused);
    const waiting = this.#outbox.drain().filter((out): out is Envelope => !isInline(out));
    for (const held of this.#held.values()) waiting.push(...held.drain());
    this.#held.clear();
    return { posted, waiting };
  }

  flush(): void {
    this.#flushScheduled = false;
    if (!this.open) return;
    for (let at = 0; at < this.#urgent.length; ) at = this.#postUrgent(at);
    this.#urgent.length = 0;
    while (this.#outbox.length > 0 && this.#unacked.length < WINDOW) this.#postBatch();
  }

  #schedule(): void {
    this.#flushScheduled = true;
    this.#turn.atEnd(() => {
      if (this.#flushScheduled) this.flush();
    });
  }

  #header(): unknown[] {
    return [this.#ackedToPeer, this.#turn.nowMs()];
  }

  #piggyback(flat: unknown[]): void {
    this.#ackedToPeer = this.received;
    flat[0] = this.received;
  }

  #postUrgent(from: number): number {
    const flat = this.#header();
    let at = from;
    for (; at < this.#urgent.length && at - from < BATCH; at++) {
      const next = this.#urgent[at];
      if (!next || (!next.plain && at > from)) break;
      for (const field of next.op) flat.push(field);
      if (!next.plain) {
        at++;
        break;
      }
    }
    // A refusal must come before the acknowledgement that covers it, so only the last frame acknowledges.
    if (at === this.#urgent.length) this.#piggyback(flat);
    if (this.#urgent[at - 1]?.plain) this.#postFlat(flat, at - from);
    else this.#port.postMessage(flat);
    return at;
  }

  #postBatch(): void {
    const flat = this.#header();
    this.#piggyback(flat);
    const room = Math.min(BATCH, WINDOW - this.#unacked.length);
    let count = 0;
    while (count < room) {
      const next = this.#outbox.at(0);
      if (next === undefined) break;
      if (isInline(next)) {
        this.#outbox.shift();
        for (const field of next.op) flat.push(field);
        continue;
      }
      if (!next.plain && count > 0) break;
      this.#outbox.shift();
      this.#append(flat, next);
      count++;
      if (!next.plain) {
        this.#port.postMessage(flat);
        return;
      }
    }
    this.#postFlat(flat, count);
  }

  #append(flat: unknown[], envelope: Envelope): void {
    const from = envelope.fromSlot <= NO_SLOT ? (envelope.from ?? null) : envelope.fromSlot;
    if (typeof from === 'number' && !this.#introduced.has(from)) {
      this.#introduced.add(from);
      flat.push(INTRODUCE, from, envelope.from);
    }
    if (envelope.correlation > 0) {
      flat.push(ASK, envelope.slot, from, envelope.type, envelope.body, envelope.meta);
      flat.push(envelope.correlation, envelope.timeoutMs);
    } else if (envelope.meta === null) flat.push(TELL, envelope.slot, from, envelope.type, envelope.body);
    else flat.push(TELL_META, envelope.slot, from, envelope.type, envelope.body, envelope.meta);
    this.sent++;
    this.#unacked.push(envelope);
  }

  /** One operation goes as an object at once: the codec pays from a handful on. */
  #postFlat(flat: unknown[], count: number): void {
    if (count <= 1) {
      this.#port.postMessage(flat);
      return;
    }
    const bytes = encode(flat);
    this.#port.postMessage(bytes, [bytes]);
  }

  #receive(value: unknown): void {
    if (!this.open) return;
    if (typeof value === 'number') {
      this.#acknowledge(value);
      return;
    }
    const flat = value instanceof ArrayBuffer ? decode(value) : value;
    if (!Array.isArray(flat)) {
      this.#events.other(this, value);
      return;
    }
    this.sentAtMs = flat[1] as number;
    this.#events.frame(this, flat);
    // A flush that is due anyway takes the acknowledgement along.
    if (this.received !== this.#ackedToPeer && !this.#flushScheduled) this.scheduleAck();
    // After the operations: refusals look up messages that this would let go.
    this.#acknowledge(flat[0] as number);
  }

  #acknowledge(count: number): void {
    if (count <= this.acked) return;
    while (this.acked < count) {
      const envelope = this.#unacked.shift();
      this.acked++;
      if (envelope?.confirm && !envelope.refused) envelope.confirm({ outcome: 'delivered', via: 'message-port' });
    }
    if (this.#outbox.length > 0 && !this.#flushScheduled) this.#schedule();
    this.#events.acknowledged(this);
  }
}

function isInline(out: Outgoing | undefined): out is Inline {
  return out !== undefined && !(out instanceof Envelope);
}
