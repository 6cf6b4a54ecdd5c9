// Messages whose addressee is being looked up: they wait in order, those that came back from its old place first.

import type { AgentId } from '../contracts/ids.ts';
import { Envelope } from './envelope.ts';
import type { Link } from './link.ts';
import { Queue } from './queue.ts';

export interface Route {
  readonly link: Link;
  readonly slot: number;
}

/** Messages that wait while one addressee is looked up, and all together. */
const LOOKUP_LIMIT = 8_192;
const LOOKUPS_LIMIT = 65_536;

interface Lookup {
  /** In order: what was sent to the old place and came back, then what was sent since. */
  readonly returned: Envelope[];
  readonly waiting: Queue<Envelope>;
  /** Until this much is acknowledged on the old link, more may come back. */
  barrier: { readonly link: Link; readonly sequence: number; readonly stale: Route } | undefined;
}

export class Lookups {
  readonly #open = new Map<AgentId, Lookup>();
  readonly #find: (id: AgentId, stale: Route | undefined) => void;
  /** Messages that wait, all addressees together. */
  #waiting = 0;

  /** `find` starts the search for an addressee; {@link take} ends it. */
  constructor(find: (id: AgentId, stale: Route | undefined) => void) {
    this.#find = find;
  }

  get size(): number {
    return this.#open.size;
  }

  ids(): AgentId[] {
    return [...this.#open.keys()];
  }

  has(id: AgentId): boolean {
    return this.#open.has(id);
  }

  /** Begins a lookup with its first message. */
  begin(envelope: Envelope): void {
    const waiting = new Queue<Envelope>();
    waiting.push(envelope);
    this.#open.set(envelope.to, { returned: [], waiting, barrier: undefined });
    this.#find(envelope.to, undefined);
  }

  /** Takes one more message for an addressee being looked up; false when too many wait. */
  hold(envelope: Envelope): boolean {
    const lookup = this.#open.get(envelope.to);
    if (!lookup || lookup.waiting.length >= LOOKUP_LIMIT || this.#waiting >= LOOKUPS_LIMIT) return false;
    this.#waiting++;
    lookup.waiting.push(envelope);
    return true;
  }

  /** Ends a lookup: what waited, in order. */
  take(id: AgentId): readonly Envelope[] {
    const lookup = this.#open.get(id);
    if (!lookup) return [];
    this.#open.delete(id);
    this.#waiting -= Math.min(this.#waiting, lookup.waiting.length);
    return [...lookup.returned, ...lookup.waiting.drain()];
  }

  /**
   * The actor has left the place a message was sent to. Whatever is still on its way there will come back too: wait for all of
   * it, keep the order, then ask where it lives now. The old route is drained before the first message takes the new one.
   */
  cameBack(link: Link, envelope: Envelope): void {
    envelope.refused = true;
    envelope.hops++;
    let lookup = this.#open.get(envelope.to);
    if (!lookup) {
      lookup = { returned: [], waiting: new Queue(), barrier: undefined };
      this.#open.set(envelope.to, lookup);
    }
    if (!lookup.barrier && lookup.returned.length === 0) {
      for (const held of link.unhold(envelope.slot)) lookup.waiting.push(held);
      lookup.barrier = { link, sequence: link.barrier(), stale: { link, slot: envelope.slot } };
    }
    lookup.returned.push(again(envelope));
  }

  /** More of what was sent over the link has arrived: lookups that waited for it go on. */
  acknowledged(link: Link): void {
    if (this.#open.size > 0) this.#passBarriers(link, link.acked);
  }

  /** Nothing comes back over this link any more. */
  closed(link: Link): void {
    this.#passBarriers(link, Number.POSITIVE_INFINITY);
  }

  #passBarriers(link: Link, acked: number): void {
    for (const [id, lookup] of this.#open) {
      if (lookup.barrier?.link !== link || acked < lookup.barrier.sequence) continue;
      const { stale } = lookup.barrier;
      lookup.barrier = undefined;
      this.#find(id, stale);
    }
  }
}

/** The same message for its next way: the first copy is marked as refused until its link lets it go. */
function again(envelope: Envelope): Envelope {
  const { to, from, fromSlot, type, body, plain, meta, correlation, timeoutMs, confirm, hops } = envelope;
  const copy = new Envelope(to, from, fromSlot, type, body, plain, meta, correlation, timeoutMs, confirm);
  copy.hops = hops;
  return copy;
}
