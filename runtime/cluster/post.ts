// The route to actors of other nodes: finds where they live, sends there, follows those that moved, correlates replies, and says of every
// message how it ended, once.

import type { DeadLetter, DeadLetterReason, TellResult } from '../contracts/envelope.ts';
import { fromWireError, RuntimeError, type WireError } from '../contracts/errors.ts';
import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { LocalMail, Mail, MailAsk, NodeWire } from '../contracts/messaging.ts';
import type { Clock, DeadLetterSink } from '../contracts/ports.ts';
import type { AgentPlace } from '../contracts/store-cluster.ts';
import type { Asks } from '../transport/asks.ts';
import { refusal } from '../transport/refusal.ts';
import type { Members } from './members.ts';
import type { Ending, NodeLink } from './node-link.ts';
import { Outbound, type OutboundOwner } from './outbound.ts';
import type { Places } from './places.ts';
import { Searches, type SearchesOwner, type Verdict } from './searches.ts';

export interface PostParts {
  readonly node: NodeId;
  readonly clock: Clock;
  readonly wire: NodeWire | undefined;
  readonly local: LocalMail;
  /** Whether an agent that this node owns has ended for good and only its row is left. */
  readonly finished: (id: AgentId) => boolean;
  /** Wakes an agent that sleeps. */
  readonly activate?: ((id: AgentId) => void) | undefined;
  readonly places: Places;
  readonly members: Members;
  readonly asks: Asks;
  readonly deadLetters: DeadLetterSink;
  link(node: NodeId): NodeLink;
}

/** A tell that is not acknowledged within this time is `unknown`, one that could not be sent within it `refused`. */
export const TELL_MS = 10_000;
/** A message may be sent this often to where its addressee is not (agents that move in circles). */
const MAX_HOPS = 32;

export const NO_REDIS =
  'the agent lives on another node; messages between nodes need Redis: set REDIS_URL to the same server on every node';
const REDIS_AWAY = 'the agent lives on another node, and Redis, which carries messages there, does not answer';

export class Post implements OutboundOwner, SearchesOwner {
  readonly clock: Clock;
  refused = 0;
  readonly #parts: PostParts;
  readonly #searches: Searches;
  #letters = 0;

  constructor(parts: PostParts) {
    this.#parts = parts;
    this.clock = parts.clock;
    this.#searches = new Searches(this);
  }

  get waiting(): number {
    return this.#searches.waiting;
  }

  nowMs(): number {
    return this.clock.monotonicMs();
  }

  tell(mail: Mail, settled: (result: TellResult) => void): void {
    this.#route(new Outbound(this, mail, 0, this.nowMs() + TELL_MS, settled));
  }

  ask(ask: MailAsk): Promise<unknown> {
    const { timeoutMs, signal, to, from, type } = ask;
    return this.#parts.asks.open({ to, from, type }, timeoutMs, signal, (number) => {
      this.#route(new Outbound(this, ask, number, this.nowMs() + timeoutMs, null));
    });
  }

  stop(): void {
    this.#searches.stop();
  }

  // ---- routing ----------------------------------------------------------------------------------------------------------------

  #route(outbound: Outbound): void {
    const { to } = outbound.mail;
    if (this.#searches.has(to)) {
      this.#search(outbound);
      return;
    }
    const owner = this.#parts.places.get(to);
    if (owner === undefined || !this.#parts.members.active(owner)) this.#search(outbound);
    else this.#sendTo(owner, outbound);
  }

  #search(outbound: Outbound): void {
    if (!this.#searches.add(outbound)) this.#refuse(outbound, 'backpressure');
  }

  #sendTo(node: NodeId, outbound: Outbound): void {
    const { wire, asks } = this.#parts;
    if (!wire?.healthy()) {
      this.unreachable(outbound);
      return;
    }
    const link = this.#parts.link(node);
    outbound.link = link;
    if (outbound.ask > 0) asks.sentTo(outbound.ask, link.id);
    if (!link.send(outbound)) this.#refuse(outbound, 'backpressure');
  }

  // ---- what a search has found ------------------------------------------------------------------------------------------------

  read(id: AgentId): Promise<AgentPlace | undefined> {
    return this.#parts.places.read(id);
  }

  judge(id: AgentId, place: AgentPlace | undefined): Verdict {
    const { node, local, finished, members, places, wire } = this.#parts;
    if (!place || place.ended) {
      places.forget(id);
      return 'nobody';
    }
    if (place.owner === null) {
      if (place.passive) this.#parts.activate?.(id);
      return 'later';
    }
    if (place.owner === node) {
      if (local.hosts(id)) return 'send';
      return finished(id) ? 'nobody' : 'later';
    }
    if (!wire?.healthy()) return 'unreachable';
    if (!members.active(place.owner)) {
      members.soon();
      return 'later';
    }
    places.learn(id, place.owner);
    return 'send';
  }

  go(outbound: Outbound): void {
    const { to } = outbound.mail;
    const owner = this.#parts.places.get(to);
    if (this.#parts.local.hosts(to)) this.#deliverHere(outbound);
    else if (owner === undefined) this.#search(outbound);
    else this.#sendTo(owner, outbound);
  }

  nobody(outbound: Outbound): void {
    this.#refuse(outbound, 'actor_not_found');
  }

  unreachable(outbound: Outbound): void {
    this.#refuse(outbound, 'unreachable', this.#parts.wire ? REDIS_AWAY : NO_REDIS);
  }

  late(outbound: Outbound): void {
    this.#refuse(outbound, 'target_lost', 'no node had it in time; it was surely not delivered');
  }

  /** It lives here by now. */
  #deliverHere(outbound: Outbound): void {
    const { mail, ask, dueAtMs, settled } = outbound;
    const { local, asks, finished } = this.#parts;
    if (ask === 0) {
      local.deliver(mail, (result) => {
        const left = result.outcome === 'refused' && result.reason === 'actor_not_found' && !local.hosts(mail.to);
        outbound.hops += 1;
        // It has gone again meanwhile.
        if (left && !finished(mail.to) && outbound.hops <= MAX_HOPS) this.#search(outbound);
        else settled?.(result);
      });
      return;
    }
    local.question({ ...mail, timeoutMs: Math.max(1, dueAtMs - this.nowMs()) }).then(
      (reply) => asks.resolve(ask, reply),
      (error) => asks.reject(ask, error),
    );
  }

  // ---- ends -------------------------------------------------------------------------------------------------------------------

  ended(outbound: Outbound, ending: Ending, order: number): void {
    switch (ending.type) {
      case 'taken':
        outbound.settled?.({ outcome: 'delivered', via: 'redis' });
        break;
      case 'refused':
        if (ending.reason === 'gone') this.#comeBack(outbound, order);
        else if (ownReason(ending.reason)) this.#refuse(outbound, ending.reason, this.#detailOf(ending));
        else this.#settleRefused(outbound, ending.reason, ending.detail);
        break;
      case 'unsent':
        this.#comeBack(outbound, order);
        break;
      case 'unknown':
        this.#unknown(outbound);
    }
  }

  #detailOf({ reason, detail }: Extract<Ending, { type: 'refused' }>): string | undefined {
    return reason === 'unreachable' ? REDIS_AWAY : detail;
  }

  #comeBack(outbound: Outbound, order: number): void {
    const { places, asks } = this.#parts;
    const { to } = outbound.mail;
    places.forget(to);
    outbound.hops += 1;
    // Its asker was told that the time is over.
    if (outbound.ask > 0 && !asks.waits(outbound.ask)) return;
    if (outbound.hops > MAX_HOPS) this.#refuse(outbound, 'hop_limit');
    else this.#searches.cameBack(outbound, order);
  }

  #unknown(outbound: Outbound): void {
    this.#letter(outbound, 'target_lost');
    const { mail, ask, settled } = outbound;
    if (ask === 0) settled?.({ outcome: 'unknown', reason: 'target_lost' });
    else {
      const message = `the node of ${mail.to} was lost or did not answer; whether it took ${mail.type} is unknown`;
      this.#parts.asks.reject(ask, new RuntimeError('target_lost', message, { details: { to: mail.to } }));
    }
  }

  /** This node has decided so: the dead letter is written here. */
  #refuse(outbound: Outbound, reason: DeadLetterReason, detail?: string): void {
    this.refused += 1;
    this.#letter(outbound, reason);
    this.#settleRefused(outbound, reason, detail);
  }

  #settleRefused({ mail, ask, settled }: Outbound, reason: DeadLetterReason, detail?: string): void {
    if (ask > 0) this.#parts.asks.reject(ask, refusal(mail, reason, detail));
    else settled?.({ outcome: 'refused', reason, ...(detail === undefined ? {} : { detail }) });
  }

  #letter({ mail }: Outbound, reason: DeadLetterReason): void {
    this.#letters += 1;
    const letter: DeadLetter = {
      reason,
      to: mail.to,
      ...(mail.from === undefined ? {} : { from: mail.from }),
      type: mail.type,
      body: mail.body,
      messageId: `${this.#parts.node}.0!c${this.#letters}`,
      atMs: Math.round(this.clock.nowMs()),
    };
    this.#parts.deadLetters.add(letter);
  }

  /** The reply to a question of this node. False when nobody waits for it any more. */
  replied(ask: number, body: unknown): boolean {
    return this.#parts.asks.resolve(ask, body);
  }

  failed(ask: number, error: WireError): boolean {
    return this.#parts.asks.reject(ask, fromWireError(error));
  }
}

/** Refusals that the link of this node decides; the others come from the other node, which has written its letter. */
function ownReason(reason: DeadLetterReason): boolean {
  return reason === 'unreachable' || reason === 'not_cloneable' || reason === 'payload_too_large';
}
