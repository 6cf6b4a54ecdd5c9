// The data plane of one thread (main included): who is where, what was sent to whom, what came back.
// It knows no cells: its owner (thread/host or pool/thread-pool) takes what is delivered and names routes.

import type { DeadLetter, DeadLetterReason, TellResult } from '../contracts/envelope.ts';
import { fromWireError, RuntimeError, toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import { Asks } from './asks.ts';
import { Delivered, Envelope, letterOf, type Meta, type Origin } from './envelope.ts';
import {
  ARITY,
  ASK,
  FAIL,
  FORGET,
  GRANT,
  INTRODUCE,
  NACK,
  NACK_REASONS,
  type NackReason,
  PAUSE,
  REPLY,
  TELL,
  TELL_META,
  UNPAUSED,
} from './frames.ts';
import { type DataPort, Link, type LinkEvents, type Turn } from './link.ts';
import { Lookups, type Route } from './lookups.ts';
import { portable } from './plain.ts';
import { refusal } from './refusal.ts';
import type { Wheel } from './wheel.ts';

export interface PeerOwner {
  /** The label of this end in message ids. */
  readonly label: string;
  /** Delivers to an actor of this thread; false when it is none of this thread. */
  deliverLocally(envelope: Envelope): boolean;
  /** Takes a message that came over a link. `timeoutMs` is 0 for a tell. */
  deliver(link: Link, sequence: number, slot: number, message: Delivered, timeoutMs: number): void;
  /** Where an actor lives, if that is known without asking. */
  route(id: AgentId): Route | undefined;
  /** Find out; {@link Peer.resolved} ends it. `stale` is the place it has left. */
  resolve(id: AgentId, stale: Route | undefined): void;
  /** Takes what waited for an actor that is not of this node (any more); false when there is no other place. */
  passOn?(envelope: Envelope): boolean;
  /** An operation that is no message. */
  operation(link: Link, flat: readonly unknown[], at: number): void;
  other(link: Link, value: unknown): void;
  down(link: Link): void;
  deadLetter(letter: DeadLetter): void;
  /** A plain tell of this sender was refused. */
  undelivered(fromSlot: number, letter: DeadLetter): void;
  /** All operations of a frame have been taken. */
  frameEnded(): void;
  /** The sender holds nothing back for this slot any more. */
  unpaused(link: Link, slot: number): void;
}

export interface TellOptions {
  readonly from: AgentId | undefined;
  readonly fromSlot: number;
  readonly meta?: Meta | null;
}

/** The peer that passes on what is not of this node. */
const MAIN = 0;
/** Above what main waits for an answer of another node. */
const CONFIRM_MS = 30_000;
/** An actor may move this often under one message. */
const MAX_HOPS = 4;

export class Peer implements LinkEvents {
  readonly links = new Map<number, Link>();
  readonly asks: Asks;
  /** The origin of messages that never left this thread. */
  readonly here: Origin;
  lateReplies = 0;
  messagesIn = 0;
  messagesOut = 0;
  readonly #lookups: Lookups;
  readonly #owner: PeerOwner;
  readonly #turn: Turn;
  #sequence = 0;

  constructor(owner: PeerOwner, wheel: Wheel, turn: Turn) {
    this.#owner = owner;
    this.#turn = turn;
    this.asks = new Asks(wheel);
    this.#lookups = new Lookups((id, stale) => owner.resolve(id, stale));
    this.here = { label: owner.label, sentAtMs: 0 };
  }

  nextSequence(): number {
    return ++this.#sequence;
  }

  connect(peer: number, port: DataPort): Link {
    const link = new Link(peer, `${this.#owner.label}.${peer}`, port, this, this.#turn);
    this.links.set(peer, link);
    return link;
  }

  // ---- out ----------------------------------------------------------------------------------------------------------------

  tell(to: AgentId, type: string, body: unknown, options: TellOptions, confirm: Envelope['confirm'] = null): void {
    const { from, fromSlot, meta = null } = options;
    let carried: ReturnType<typeof portable>;
    try {
      carried = portable(body);
    } catch (error) {
      this.refuse(new Envelope(to, from, fromSlot, type, describe(error), true, meta, 0, 0, confirm), 'not_cloneable');
      return;
    }
    this.send(new Envelope(to, from, fromSlot, type, carried.value, carried.plain, meta, 0, 0, confirm));
  }

  /** One message to each of these; its body is looked at once. */
  tellMany(to: readonly AgentId[], type: string, body: unknown, { from, fromSlot, meta = null }: TellOptions): void {
    let carried: ReturnType<typeof portable>;
    try {
      carried = portable(body);
    } catch (error) {
      const what = describe(error);
      for (const id of to)
        this.refuse(new Envelope(id, from, fromSlot, type, what, true, meta, 0, 0, null), 'not_cloneable');
      return;
    }
    const { value, plain } = carried;
    for (const id of to) this.send(new Envelope(id, from, fromSlot, type, value, plain, meta, 0, 0, null));
  }

  tellConfirmed(to: AgentId, type: string, body: unknown, options: TellOptions): Promise<TellResult> {
    return new Promise((resolve) => this.tell(to, type, body, options, resolve));
  }

  ask(
    to: AgentId,
    type: string,
    body: unknown,
    options: TellOptions & { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<unknown> {
    const { from, fromSlot, meta = null, timeoutMs, signal } = options;
    return this.asks.open({ to, from, type }, timeoutMs, signal, (correlation) => {
      let carried: ReturnType<typeof portable>;
      try {
        carried = portable(body);
      } catch (error) {
        const lost = new Envelope(to, from, fromSlot, type, describe(error), true, meta, correlation, timeoutMs, null);
        this.refuse(lost, 'not_cloneable');
        return;
      }
      const { value, plain } = carried;
      this.send(new Envelope(to, from, fromSlot, type, value, plain, meta, correlation, timeoutMs, null));
    });
  }

  /** Routes one message: to a cell of this thread, over a link, or into the queue of those whose addressee is looked up. */
  send(envelope: Envelope): void {
    this.messagesOut++;
    if (this.#lookups.size > 0 && this.#lookups.has(envelope.to)) {
      if (!this.#lookups.hold(envelope)) this.refuse(envelope, 'backpressure');
      return;
    }
    if (this.#owner.deliverLocally(envelope)) return;
    const route = this.#owner.route(envelope.to);
    if (route) this.#sendOn(route, envelope);
    else this.#lookups.begin(envelope);
  }

  #sendOn(route: Route, envelope: Envelope): void {
    if (envelope.confirm && route.link.peer === MAIN) {
      this.#confirmThroughMain(route, envelope, envelope.confirm);
      return;
    }
    envelope.slot = route.slot;
    if (envelope.correlation > 0) this.asks.sentTo(envelope.correlation, route.link.peer);
    if (!route.link.open) this.refuse(envelope, 'target_lost');
    else if (!route.link.send(envelope)) this.refuse(envelope, 'backpressure');
  }

  /** Main's acknowledgement says only that main has it; what became of it on the other node is main's answer. */
  #confirmThroughMain(
    route: Route,
    { to, from, fromSlot, type, body, plain, meta }: Envelope,
    confirm: NonNullable<Envelope['confirm']>,
  ): void {
    const marked = { ...meta, confirm: meta?.protocol ?? ('direct' as const) };
    this.asks
      .open({ to, from, type }, CONFIRM_MS, undefined, (correlation) => {
        const asked = new Envelope(to, from, fromSlot, type, body, plain, marked, correlation, CONFIRM_MS, null);
        this.#sendOn(route, asked);
      })
      .then(
        (result) => confirm(result as TellResult),
        (error) =>
          confirm(
            toWireError(error).code === 'backpressure'
              ? { outcome: 'refused', reason: 'backpressure' }
              : { outcome: 'unknown', reason: 'target_lost' },
          ),
      );
  }

  /** Ends a lookup: what waited goes on in order, or is refused. */
  resolved(id: AgentId, reason: DeadLetterReason = 'actor_not_found'): void {
    for (const envelope of this.#lookups.take(id)) {
      // Its asker was told that the time is over; who waited for the way does not act on it now.
      if (envelope.correlation > 0 && !this.asks.waits(envelope.correlation)) continue;
      if (envelope.hops > MAX_HOPS) this.refuse(envelope, 'hop_limit');
      else if (!this.#owner.deliverLocally(envelope)) {
        const route = this.#owner.route(id);
        if (route) this.#sendOn(route, envelope);
        else if (reason !== 'actor_not_found' || !this.#owner.passOn?.(envelope)) this.refuse(envelope, reason);
      }
    }
  }

  reply(correlation: number, origin: Origin, body: unknown): void {
    let carried: ReturnType<typeof portable>;
    try {
      carried = portable(body);
    } catch (error) {
      this.replyError(
        correlation,
        origin,
        wireError('not_cloneable', `the reply cannot be cloned: ${describe(error)}`),
      );
      return;
    }
    if (origin instanceof Link) origin.control([REPLY, correlation, carried.value], carried.plain);
    else this.#answered(correlation, this.asks.resolve(correlation, carried.value), carried.value, origin);
  }

  replyError(correlation: number, origin: Origin, error: WireError): void {
    if (origin instanceof Link) origin.control([FAIL, correlation, error], false);
    else this.#answered(correlation, this.asks.reject(correlation, fromWireError(error)), error, origin);
  }

  /** Tells the sender, whoever waits, and the dead letters that a message was not taken. */
  refuse(envelope: Envelope, reason: DeadLetterReason, posted = false): void {
    envelope.refused = true;
    const letter = letterOf(
      envelope,
      reason,
      `${this.#owner.label}!${this.nextSequence()}`,
      Math.round(this.#turn.nowMs()),
    );
    // A durable message is still where it came from.
    if (!envelope.meta?.durable) this.#owner.deadLetter(letter);
    if (envelope.correlation > 0) this.asks.reject(envelope.correlation, refusal(envelope, reason));
    else if (envelope.confirm) {
      const unknown = posted && reason === 'target_lost';
      envelope.confirm(unknown ? { outcome: 'unknown', reason: 'target_lost' } : { outcome: 'refused', reason });
    } else if (reason !== 'dropped_new') this.#owner.undelivered(envelope.fromSlot, letter);
  }

  /** Everything that waits is refused, every question fails. */
  stop(): void {
    for (const id of this.#lookups.ids()) this.resolved(id, 'actor_stopped');
    for (const link of [...this.links.values()]) link.close();
    this.asks.stop('target_lost', 'the thread is stopping');
  }

  // ---- in -----------------------------------------------------------------------------------------------------------------

  frame(link: Link, flat: readonly unknown[]): void {
    let at = 2;
    while (at < flat.length) {
      const op = flat[at] as number;
      switch (op) {
        case TELL:
          this.#take(link, flat, at, null, 0, 0);
          break;
        case TELL_META:
          this.#take(link, flat, at, flat[at + 5] as Meta | null, 0, 0);
          break;
        case ASK:
          this.#take(link, flat, at, flat[at + 5] as Meta | null, flat[at + 6] as number, flat[at + 7] as number);
          break;
        case REPLY: {
          const correlation = flat[at + 1] as number;
          this.#answered(correlation, this.asks.resolve(correlation, flat[at + 2]), flat[at + 2], link);
          break;
        }
        case FAIL: {
          const correlation = flat[at + 1] as number;
          const error = flat[at + 2] as WireError;
          this.#answered(correlation, this.asks.reject(correlation, fromWireError(error)), error, link);
          break;
        }
        case NACK:
          this.#refused(link, flat[at + 1] as number, NACK_REASONS[flat[at + 2] as number] ?? 'gone');
          break;
        case INTRODUCE:
          link.names.set(flat[at + 1] as number, flat[at + 2] as AgentId);
          break;
        case FORGET:
          link.names.delete(flat[at + 1] as number);
          break;
        case PAUSE:
          link.pause(flat[at + 1] as number);
          break;
        case GRANT:
          link.grant(flat[at + 1] as number, flat[at + 2] as number);
          break;
        case UNPAUSED:
          this.#owner.unpaused(link, flat[at + 1] as number);
          break;
        default:
          this.#owner.operation(link, flat, at);
      }
      const arity = ARITY[op];
      if (arity === undefined) throw new RuntimeError('internal', `unknown operation ${op} on the data plane`);
      at += arity + 1;
    }
    this.#owner.frameEnded();
  }

  #take(link: Link, flat: readonly unknown[], at: number, meta: Meta | null, correlation: number, timeoutMs: number) {
    const from = flat[at + 2] as number | AgentId | null;
    const name = typeof from === 'number' ? link.names.get(from) : (from ?? undefined);
    const sequence = ++link.received;
    this.messagesIn++;
    const message = new Delivered(link, sequence, name, flat[at + 3] as string, flat[at + 4], meta, correlation);
    this.#owner.deliver(link, sequence, flat[at + 1] as number, message, timeoutMs);
  }

  #answered(correlation: number, inTime: boolean, body: unknown, origin: Origin): void {
    if (inTime) return;
    this.lateReplies++;
    const subject = this.asks.late(correlation);
    const letter = { to: subject?.from ?? 'unknown', from: subject?.to, type: subject?.type ?? 'reply', body };
    this.#owner.deadLetter(
      letterOf(letter, 'late_reply', `${origin.label}?${correlation}`, Math.round(this.#turn.nowMs())),
    );
  }

  #refused(link: Link, sequence: number, reason: NackReason): void {
    const envelope = link.posted(sequence);
    if (!envelope || envelope.refused) return;
    if (reason === 'gone') this.#lookups.cameBack(link, envelope);
    else this.refuse(envelope, reason);
  }

  acknowledged(link: Link): void {
    this.#lookups.acknowledged(link);
  }

  other(link: Link, value: unknown): void {
    this.#owner.other(link, value);
  }

  closed(link: Link): void {
    if (this.links.get(link.peer) === link) this.links.delete(link.peer);
    this.#owner.down(link);
    const { posted, waiting } = link.abandon();
    for (const envelope of posted) this.refuse(envelope, 'target_lost', true);
    for (const envelope of waiting) this.refuse(envelope, 'target_lost');
    this.asks.lose(link.peer);
    this.#lookups.closed(link);
  }
}

function describe(error: unknown): string {
  return toWireError(error, 'not_cloneable').message;
}
