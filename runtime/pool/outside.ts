// Main as the way out of this node: threads get a slot of main for each actor of another node they write to; what arrives there goes to the
// cluster. And the way in: what the cluster brings goes to the actors of this node and no further.

import type { Protocol } from '../contracts/envelope.ts';
import { toWireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { LocalMail, Mail, RemoteRoute } from '../contracts/messaging.ts';
import type { CellSignal } from '../contracts/wire.ts';
import { Delivered, type Envelope, letterOf, type Meta } from '../transport/envelope.ts';
import { NACK, NACK_REASONS, UNROUTE } from '../transport/frames.ts';
import type { Link } from '../transport/link.ts';
import type { Peer } from '../transport/peer.ts';
import type { Directory } from './directory.ts';

export interface OutsideOwner {
  readonly directory: Directory;
  readonly peer: Peer;
  /** Of the threads that are up. */
  links(): readonly Link[];
  signal(id: AgentId, signal: CellSignal): Promise<void>;
  remote(): RemoteRoute | undefined;
  nowMs(): number;
}

/** Actors of other nodes that have a slot; the oldest goes first, and its senders ask again. */
const SLOTS = 65_536;
/** The thread's own time limit comes first, so that its end is told once. */
const LATER_MS = 1_000;
const GONE = NACK_REASONS.indexOf('gone');
const MAIN = 0;
/** Slot of senders on other nodes: main has no cells. */
const FROM_OUTSIDE = -1;

export class Outside {
  readonly mail: LocalMail;
  readonly #owner: OutsideOwner;
  readonly #slots = new Map<AgentId, number>();
  readonly #ids = new Map<number, AgentId>();
  #lastSlot = 0;

  constructor(owner: OutsideOwner) {
    this.#owner = owner;
    const { directory, peer } = owner;
    this.mail = {
      hosts: (id) => directory.has(id),
      deliver: (mail, settled) => {
        peer.tell(
          mail.to,
          mail.type,
          mail.body,
          { from: mail.from, fromSlot: FROM_OUTSIDE, meta: metaOf(mail) },
          settled,
        );
      },
      question: ({ to, from, type, body, timeoutMs, signal, traceparent }) => {
        const meta = traceparent === undefined ? null : { traceparent };
        return peer.ask(to, type, body, { from, fromSlot: 0, meta, timeoutMs, signal });
      },
    };
  }

  /** Answers a thread that asks where an actor lives which is not of this node. */
  locate(asker: Link, correlation: number, id: AgentId): void {
    const answer = (value: unknown): void => {
      if (asker.open) this.#owner.peer.reply(correlation, asker, value);
    };
    const remote = this.#owner.remote();
    if (!remote) {
      answer('actor_not_found');
      return;
    }
    void remote.locate(id).then((where) => {
      if (where === 'unreachable') answer('unreachable');
      else answer(where === 'elsewhere' ? { thread: MAIN, slot: this.#slotOf(id) } : 'actor_not_found');
    });
  }

  /** Sends on what waited for an actor that has left. A tell of another node is not sent out again: that node looks for the actor itself. */
  passOn(remote: RemoteRoute, envelope: Envelope): boolean {
    const { to, from, fromSlot, type, body, meta, correlation, timeoutMs, confirm } = envelope;
    if (meta?.durable) return false;
    const { confirm: _, durable: __, ...said } = meta ?? {};
    const mail: Mail = { to, type, body, ...(from === undefined ? {} : { from }), ...said };
    if (correlation > 0) {
      const { asks } = this.#owner.peer;
      remote.ask({ ...mail, timeoutMs: timeoutMs + LATER_MS }).then(
        (value) => void asks.resolve(correlation, value),
        (error) => void asks.reject(correlation, error),
      );
    } else if (confirm && fromSlot === FROM_OUTSIDE) confirm({ outcome: 'refused', reason: 'actor_not_found' });
    else remote.tell(mail, (result) => confirm?.(result));
    return true;
  }

  /** The actor is to live here: threads that wrote to it through main look again. */
  arrived(id: AgentId): void {
    const slot = this.#slots.get(id);
    if (slot === undefined) return;
    this.#slots.delete(id);
    this.#ids.delete(slot);
    for (const link of this.#owner.links()) link.control([UNROUTE, id, MAIN]);
  }

  /** Takes what a thread sent to a slot of main. `timeoutMs` is 0 for a tell. */
  deliver(link: Link, sequence: number, slot: number, message: Delivered, timeoutMs: number): void {
    const id = this.#ids.get(slot);
    const remote = this.#owner.remote();
    const { confirm } = message;
    if (confirm !== undefined) {
      this.#confirm(link, id, message, confirm);
      return;
    }
    // It lives here by now, or its slot went to make room: the thread asks anew, and keeps the order.
    if (id === undefined || !remote || this.#owner.directory.has(id)) {
      link.control([NACK, sequence, GONE]);
      return;
    }
    const route = Delivered.route(message);
    const mail = mailOf(id, message);
    if (timeoutMs === 0 || !route) {
      this.#tell(remote, mail, message);
      return;
    }
    remote.ask({ ...mail, timeoutMs: timeoutMs + LATER_MS }).then(
      (value) => this.#owner.peer.reply(route.correlation, link, value),
      (error) => {
        const failure = toWireError(error);
        if (failure.code !== 'ask_timeout') this.#owner.peer.replyError(route.correlation, link, failure);
      },
    );
  }

  #tell(remote: RemoteRoute, mail: Mail, message: Delivered): void {
    remote.tell(mail, (result) => {
      if (result.outcome === 'delivered' || result.reason === 'dropped_new' || mail.from === undefined) return;
      const letter = letterOf(mail, result.reason, message.messageId, this.#owner.nowMs());
      // Its sender may be gone by now.
      this.#owner.signal(mail.from, { type: 'undelivered', letter }).catch(() => undefined);
    });
  }

  /** A tell whose sender waits to hear what became of it; it is never sent back to the thread. */
  #confirm(link: Link, id: AgentId | undefined, message: Delivered, protocol: Protocol): void {
    const route = Delivered.route(message);
    if (!route) return;
    const settled = (result: unknown): void => this.#owner.peer.reply(route.correlation, link, result);
    const remote = this.#owner.remote();
    if (id === undefined || !remote) {
      settled({ outcome: 'unknown', reason: 'target_lost' });
      return;
    }
    const mail = { ...mailOf(id, message), protocol };
    if (this.#owner.directory.has(id)) this.mail.deliver(mail, settled);
    else remote.tell(mail, settled);
  }

  #slotOf(id: AgentId): number {
    const known = this.#slots.get(id);
    if (known !== undefined) return known;
    if (this.#slots.size >= SLOTS) {
      for (const [oldest, slot] of this.#slots) {
        this.#slots.delete(oldest);
        this.#ids.delete(slot);
        break;
      }
    }
    this.#lastSlot += 1;
    this.#slots.set(id, this.#lastSlot);
    this.#ids.set(this.#lastSlot, id);
    return this.#lastSlot;
  }
}

function mailOf(to: AgentId, message: Delivered): Mail {
  const { from, type, body, protocol, traceparent, topic, channel, hops } = message;
  return {
    to,
    type,
    body,
    protocol,
    ...(from === undefined ? {} : { from }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(topic === undefined ? {} : { topic }),
    ...(channel === undefined ? {} : { channel }),
    ...(hops === undefined ? {} : { hops }),
  };
}

function metaOf({ protocol, traceparent, topic, channel, hops }: Mail): Meta | null {
  const plain = protocol === undefined || protocol === 'direct';
  if (plain && traceparent === undefined && hops === undefined) return null;
  return {
    ...(plain ? {} : { protocol }),
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(topic === undefined ? {} : { topic }),
    ...(channel === undefined ? {} : { channel }),
    ...(hops === undefined ? {} : { hops }),
  };
}
