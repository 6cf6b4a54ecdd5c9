// Who can take a task now: live agents of this node by queue, with their free slots. Constant time per take, release and change.

import { agentQueue, capabilityQueue, type Queue } from '../contracts/agent.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Placement } from '../contracts/placement.ts';
import type { Dispose, TakenSlot, Workforce } from '../contracts/ports.ts';

interface Member {
  readonly id: AgentId;
  readonly slots: number;
  readonly epoch: number;
  /** Without its own one, which nobody shares: what that queue offers is read off the member. */
  queues: readonly Queue[];
  thread: number;
  taken: number;
  available: boolean;
}

/** What the workforce must know of an agent. */
export interface Joining {
  readonly id: AgentId;
  /** Tasks at once. */
  readonly slots: number;
  /** Guards the snapshot that is saved with a task's outcome. */
  readonly epoch: number;
  readonly capabilities: readonly { readonly name: string; readonly version: number }[];
}

/**
 * Agents by queue. The next agent of a queue is the one that has waited longest among those with a free slot, so that
 * equal agents get equal shares and a slow one gets fewer.
 */
export class NodeWorkforce implements Workforce {
  readonly #members = new Map<AgentId, Member>();
  /** Agents of one type offer the same list, and there may be thousands: they share their queues. */
  readonly #queuesOf = new WeakMap<Joining['capabilities'], readonly Queue[]>();
  /** Agents with a free slot, longest waiting first. A queue without any agent has no entry. */
  readonly #free = new Map<Queue, Map<AgentId, Member>>();
  readonly #served = new Map<Queue, number>();
  readonly #freeSlots = new Map<Queue, number>();
  /** Queues of single agents that are offered: there may be thousands, so only those in which a task was seen. */
  #mentioned = new Set<Queue>();
  readonly #listeners = new Set<() => void>();

  /** Adds an agent, not yet available. */
  join({ id, slots, epoch, capabilities }: Joining): void {
    this.leave(id);
    this.#members.set(id, {
      id,
      slots,
      epoch,
      queues: this.#queues(capabilities),
      thread: -1,
      taken: 0,
      available: false,
    });
  }

  /** Replaces what an agent offers. */
  offer(id: AgentId, capabilities: Joining['capabilities']): void {
    const member = this.#members.get(id);
    if (!member) return;
    this.#withdraw(member);
    member.queues = this.#queues(capabilities);
    this.#enlist(member);
  }

  /** Whether an agent takes tasks now, and on which thread it lives. */
  setAvailable(id: AgentId, available: boolean, thread?: number): void {
    const member = this.#members.get(id);
    if (!member) return;
    if (thread !== undefined) member.thread = thread;
    if (member.available === available) return;
    this.#withdraw(member);
    member.available = available;
    this.#enlist(member);
  }

  /** Forgets an agent. */
  leave(id: AgentId): void {
    const member = this.#members.get(id);
    if (!member) return;
    this.#withdraw(member);
    this.#members.delete(id);
    this.#mentioned.delete(agentQueue(id));
  }

  /** A task for a single agent was seen: its queue is offered from now on. */
  mention(queue: Queue): void {
    if (this.#mentioned.has(queue)) return;
    this.#mentioned.add(queue);
    this.#changed();
  }

  /** Replaces what was mentioned: the queues of single agents that hold tasks now. */
  setMentioned(queues: Iterable<Queue>): void {
    this.#mentioned = new Set(queues);
    if (this.#mentioned.size > 0) this.#changed();
  }

  offers(): readonly { readonly queue: Queue; readonly free: number }[] {
    const offers: { queue: Queue; free: number }[] = [];
    for (const [queue, free] of this.#freeSlots) if (free > 0) offers.push({ queue, free });
    for (const queue of this.#mentioned) {
      const free = this.freeIn(queue);
      if (free > 0) offers.push({ queue, free });
    }
    return offers;
  }

  /** Whether any available agent of this node serves the queue, busy or not. */
  serves(queue: Queue): boolean {
    const pinned = pinnedTo(queue);
    if (pinned !== undefined) return this.#members.get(pinned)?.available === true;
    return (this.#served.get(queue) ?? 0) > 0;
  }

  /** Available agents that serve the queue, by id, with the share of their slots that is taken. Cost: the agents of this node. */
  candidates(queue: Queue): readonly { readonly agentId: AgentId; readonly load: number }[] {
    return [...this.#members.values()]
      .filter(({ available, queues }) => available && queues.includes(queue))
      .map(({ id, taken, slots }) => ({ agentId: id, load: taken / slots }))
      .sort((a, b) => (a.agentId < b.agentId ? -1 : 1));
  }

  /** Free slots in one queue. */
  freeIn(queue: Queue): number {
    const pinned = pinnedTo(queue);
    return pinned === undefined ? (this.#freeSlots.get(queue) ?? 0) : freeOf(this.#members.get(pinned));
  }

  /** Slots in use and in all, over available agents. */
  usage(): { readonly taken: number; readonly slots: number } {
    let taken = 0;
    let slots = 0;
    for (const member of this.#members.values()) {
      taken += member.taken;
      if (member.available) slots += member.slots;
    }
    return { taken, slots };
  }

  /** Whether it is known and has no task. */
  isFree(id: AgentId): boolean {
    return this.#members.get(id)?.taken === 0;
  }

  take(queue: Queue): TakenSlot | undefined {
    const pinned = pinnedTo(queue);
    const waiting = pinned === undefined ? this.#free.get(queue) : undefined;
    const member = pinned === undefined ? waiting?.values().next().value : this.#members.get(pinned);
    if (freeOf(member) === 0 || !member) return undefined;
    const placed = waiting ? longestWaiting(waiting) : NAMED;
    this.#withdraw(member);
    member.taken += 1;
    this.#enlist(member, false);
    return { agentId: member.id, thread: member.thread, epoch: member.epoch, placed };
  }

  release(agentId: AgentId): void {
    const member = this.#members.get(agentId);
    if (!member || member.taken === 0) return;
    this.#withdraw(member);
    member.taken -= 1;
    this.#enlist(member);
  }

  onChange(listener: () => void): Dispose {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #withdraw(member: Member): void {
    if (!member.available) return;
    const free = member.slots - member.taken;
    for (const queue of member.queues) {
      add(this.#served, queue, -1);
      add(this.#freeSlots, queue, -free);
      const waiting = this.#free.get(queue);
      waiting?.delete(member.id);
      if (waiting?.size === 0) this.#free.delete(queue);
    }
  }

  #enlist(member: Member, tell = true): void {
    if (!member.available) return;
    const free = member.slots - member.taken;
    for (const queue of member.queues) {
      add(this.#served, queue, 1);
      add(this.#freeSlots, queue, free);
      if (free <= 0) continue;
      const waiting = this.#free.get(queue);
      if (waiting) waiting.set(member.id, member);
      else this.#free.set(queue, new Map([[member.id, member]]));
    }
    if (tell && free > 0) this.#changed();
  }

  #queues(capabilities: Joining['capabilities']): readonly Queue[] {
    const known = this.#queuesOf.get(capabilities);
    if (known) return known;
    const queues = capabilities.map(({ name, version }) => capabilityQueue(name, version));
    this.#queuesOf.set(capabilities, queues);
    return queues;
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

const NAMED: Placement = { rule: 'named', free: 1, next: [] };
/** Of those that come after the chosen one, how many are told. */
const NEXT_IN_LINE = 3;

function longestWaiting(waiting: ReadonlyMap<AgentId, Member>): Placement {
  const next: AgentId[] = [];
  let first = true;
  for (const id of waiting.keys()) {
    if (next.length === NEXT_IN_LINE) break;
    if (!first) next.push(id);
    first = false;
  }
  return { rule: 'longest_waiting', free: waiting.size, next };
}

const PINNED = agentQueue('' as AgentId);

/** The agent whose own queue this is. */
function pinnedTo(queue: Queue): AgentId | undefined {
  return queue.startsWith(PINNED) ? (queue.slice(PINNED.length) as AgentId) : undefined;
}

function freeOf(member: Member | undefined): number {
  return member?.available ? Math.max(0, member.slots - member.taken) : 0;
}

function add(counts: Map<Queue, number>, queue: Queue, by: number): void {
  const next = (counts.get(queue) ?? 0) + by;
  if (next === 0) counts.delete(queue);
  else counts.set(queue, next);
}
