// One message on its way to an actor of another node: what it carries, how long it is waited for, who is told of its end.

import type { TellResult } from '../contracts/envelope.ts';
import type { Mail } from '../contracts/messaging.ts';
import { ASK, type Extras, type Parcel, TELL } from './frames.ts';
import type { Cargo, Ending, NodeLink } from './node-link.ts';

export interface OutboundOwner {
  nowMs(): number;
  /** The link has told how it ended there; `order` is its place among what that link carried. */
  ended(outbound: Outbound, ending: Ending, order: number): void;
}

export class Outbound implements Cargo {
  readonly mail: Mail;
  /** 0 for a tell. */
  readonly ask: number;
  readonly dueAtMs: number;
  readonly settled: ((result: TellResult) => void) | null;
  /** Times it was sent to where the addressee was not. */
  hops = 0;
  link: NodeLink | undefined;
  readonly #owner: OutboundOwner;

  constructor(
    owner: OutboundOwner,
    mail: Mail,
    ask: number,
    dueAtMs: number,
    settled: ((result: TellResult) => void) | null,
  ) {
    this.#owner = owner;
    this.mail = mail;
    this.ask = ask;
    this.dueAtMs = dueAtMs;
    this.settled = settled;
  }

  parcel(): Parcel {
    const { to, from = null, type, body } = this.mail;
    const extras = extrasOf(this.mail);
    const protocol = this.mail.protocol === undefined || this.mail.protocol === 'direct' ? null : this.mail.protocol;
    if (this.ask === 0) return [TELL, to, from, type, body, protocol, extras];
    const timeoutMs = Math.max(1, this.dueAtMs - this.#owner.nowMs());
    return [ASK, to, from, type, body, protocol, extras, this.ask, timeoutMs];
  }

  ended(ending: Ending, order: number): void {
    this.#owner.ended(this, ending, order);
  }
}

function extrasOf({ traceparent, topic, channel, hops }: Mail): Extras | null {
  if (traceparent === undefined && topic === undefined && channel === undefined && hops === undefined) return null;
  return {
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(topic === undefined ? {} : { topic }),
    ...(channel === undefined ? {} : { channel }),
    ...(hops === undefined ? {} : { hops }),
  };
}
