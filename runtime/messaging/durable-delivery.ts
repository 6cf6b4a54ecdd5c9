// Delivers durable messages to the agents of this node: which inboxes there are, who is woken by what, and that nothing is lost when
// nobody wakes anybody. What becomes of one agent's mail is durable-inbox.ts.

import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { Ambient, ThreadPool } from '../contracts/ports.ts';
import type { MessageStore } from '../contracts/store.ts';
import { type DurableCounters, DurableInbox, type InboxOwner } from './durable-inbox.ts';
import type { SnapshotOrder } from './snapshot-order.ts';

export interface DurableDeliveryOptions {
  readonly store: MessageStore;
  readonly pool: Pick<ThreadPool, 'handle'>;
  readonly ambient: Ambient;
  readonly node: NodeId;
  /** Agents that live here, with the capacity of their mailboxes. */
  readonly resident: InboxOwner['resident'];
  readonly order: SnapshotOrder;
  readonly quiet: InboxOwner['quiet'];
  readonly saved: InboxOwner['saved'];
  /** Tells another node that an agent of it has mail. */
  readonly wake: (id: AgentId) => void;
  readonly replied: InboxOwner['replied'];
  readonly paused: () => boolean;
  /** Deaths under suspicion before a message is given up. */
  readonly poisonAfter: number;
}

/** Inboxes one look names at most. */
const LOOK_AT = 1_000;
const BURIALS = 20;
/** Agents that are remembered to be away; the others are found by a look. */
const MISSED = 10_000;

export class DurableDelivery {
  readonly counters: DurableCounters = { acknowledged: 0, failed: 0, deadLettered: 0, redelivered: 0, fenced: 0 };
  readonly #options: DurableDeliveryOptions;
  readonly #inboxes = new Map<AgentId, DurableInbox>();
  /** Agents that were taken over, by the epoch in which their mail was found harmless. */
  readonly #calm = new Map<AgentId, number>();
  readonly #owner: InboxOwner;
  /** Agents that had mail when they did not take any. */
  readonly #missed = new Set<AgentId>();
  #after: string | null = null;
  #generation = 0;

  constructor(options: DurableDeliveryOptions) {
    this.#options = options;
    const { store, pool, ambient, resident, order, quiet, saved, replied, paused, poisonAfter } = options;
    this.#owner = {
      ...{ store, pool, ambient, resident, order, quiet, saved, replied, paused, poisonAfter },
      counters: this.counters,
      accepted: (mail) => this.accepted(mail),
      nextGeneration: () => ++this.#generation,
    };
  }

  /** Mail was accepted: its owners are told. A hint, no more. */
  accepted(mail: readonly { readonly to: AgentId; readonly owner: NodeId | null }[]): void {
    for (const { to, owner } of mail) {
      if (owner === this.#options.node) this.notify(to);
      else if (owner !== null) this.#options.wake(to);
    }
  }

  /** An agent may have mail. Without effect when it does not live here. */
  notify(id: AgentId): void {
    this.#inbox(id)?.notify();
  }

  /** The agent takes messages (again). */
  awake(id: AgentId): void {
    if (this.#missed.delete(id) || this.#inboxes.has(id)) this.#inbox(id)?.rewind();
  }

  /** Whether the agent's durable mail is looked after here now. */
  knows(id: AgentId): boolean {
    return this.#inboxes.has(id);
  }

  /** The node takes up work again. */
  resume(): void {
    for (const inbox of this.#inboxes.values()) inbox.rewind();
  }

  /** Looks for inboxes that nobody told of, and ends those of agents that are gone. Asked for by the pulse while there is mail at all. */
  async look(): Promise<void> {
    const { store } = this.#options;
    const { inboxes, orphaned, next } = await store.waiting(this.#after, LOOK_AT);
    this.#after = next;
    for (const { to } of inboxes) this.#inbox(to)?.rewind();
    this.#forgetIdle();
    for (let round = 0; orphaned && round < BURIALS; round++) if ((await store.bury()) === 0) break;
  }

  /** The agent does not live here any more. */
  forget(id: AgentId): void {
    this.#inboxes.get(id)?.close();
    this.#inboxes.delete(id);
    this.#calm.delete(id);
    this.#missed.delete(id);
  }

  /** Resolves when all that was handled so far is stored: the node stops. */
  async settled(): Promise<void> {
    await Promise.all([...this.#inboxes.keys()].map((id) => this.#options.order.idle(id)));
  }

  close(): void {
    for (const inbox of this.#inboxes.values()) inbox.close();
    this.#inboxes.clear();
  }

  #inbox(id: AgentId): DurableInbox | undefined {
    const resident = this.#options.resident(id);
    if (!resident) {
      if (this.#missed.size < MISSED) this.#missed.add(id);
      return undefined;
    }
    const known = this.#inboxes.get(id);
    if (known?.epoch === resident.epoch) return known;
    known?.close();
    // What its former owner died of may be among its mail.
    const careful = resident.epoch > 1 && this.#calm.get(id) !== resident.epoch;
    const made = new DurableInbox(id, this.#owner, careful);
    this.#inboxes.set(id, made);
    return made;
  }

  #forgetIdle(): void {
    for (const [id, inbox] of this.#inboxes) {
      if (!inbox.idle) continue;
      if (inbox.calm && inbox.epoch > 1) this.#calm.set(id, inbox.epoch);
      inbox.close();
      this.#inboxes.delete(id);
    }
  }
}
