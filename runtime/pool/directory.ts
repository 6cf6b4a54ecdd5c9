// Where every actor of this node lives, and who waits to learn it. An actor whose thread died stays known as lost until its
// next incarnation is up, it is given up, or the time for that is over: who looks for it meanwhile waits.

import type { AgentState } from '../contracts/agent.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Clock, Dispose } from '../contracts/ports.ts';
import type { CellSpec } from '../contracts/wire.ts';
import type { ThreadHandle } from './thread-handle.ts';

/**
 * `failed`: its mailbox still stands in its thread and waits for the next incarnation. `moving`: to another thread. `leaving`: this node; who
 * writes to it waits until it is gone, then looks elsewhere.
 */
export type EntryPhase = 'starting' | 'up' | 'moving' | 'leaving' | 'failed';

/** A thread and the actors that live there. */
export type Thread = ThreadHandle<Entry>;

export interface Entry {
  readonly id: AgentId;
  spec: CellSpec;
  phase: EntryPhase;
  thread: Thread | null;
  slot: number;
  /** Of its mailbox in the memory shared with its thread; 0: it has none. */
  meter: number;
  state: AgentState;
  readonly dedicated: boolean;
  /** Where the mailbox of its failed predecessor waits for it. */
  readonly before: Place | null;
}

export interface Place {
  readonly thread: Thread;
  readonly slot: number;
}

/** Why an actor was not found: there is none, or its next incarnation did not come up in time. */
export type Unfound = 'actor_not_found' | 'target_lost';

export class Directory {
  readonly #entries = new Map<AgentId, Entry>();
  /** Lost with their threads, each with what ends its time. */
  readonly #lost = new Map<AgentId, Dispose>();
  readonly #waiters = new Map<AgentId, Set<() => void>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(id: AgentId): Entry | undefined {
    return this.#entries.get(id);
  }

  /** Whether it lives here, is to, or is expected back. */
  has(id: AgentId): boolean {
    return this.#entries.has(id) || this.#lost.has(id);
  }

  all(): Iterable<Entry> {
    return this.#entries.values();
  }

  set(entry: Entry): void {
    this.#found(entry.id);
    this.#entries.set(entry.id, entry);
  }

  /** Removes an entry whose thread has died: for `timeoutMs` at most a new incarnation is expected. */
  lose(entry: Entry, timeoutMs: number): void {
    const { id } = entry;
    if (this.#entries.get(id) !== entry) return;
    const forget = () => {
      this.#lost.delete(id);
      this.changed(id);
    };
    this.#found(id);
    this.#lost.set(id, this.#clock.setTimeout(forget, timeoutMs));
    this.delete(entry);
  }

  /** No new incarnation is to be expected: who waits for it hears so. */
  giveUp(id: AgentId): void {
    if (!this.#found(id)) return;
    this.changed(id);
  }

  #found(id: AgentId): boolean {
    this.#lost.get(id)?.();
    return this.#lost.delete(id);
  }

  /** Ends every wait for a lost actor. */
  stop(): void {
    for (const id of [...this.#lost.keys()]) this.giveUp(id);
  }

  /** Removes this very entry; one that took its place stays. */
  delete(entry: Entry): boolean {
    if (this.#entries.get(entry.id) !== entry) return false;
    this.#entries.delete(entry.id);
    entry.thread?.slots.delete(entry.slot);
    this.changed(entry.id);
    return true;
  }

  /** Its place is settled: wakes those who wait for it. */
  changed(id: AgentId): void {
    const waiters = this.#waiters.get(id);
    if (!waiters) return;
    this.#waiters.delete(id);
    for (const wake of waiters) wake();
  }

  /** The place, if it can be told at once. A failed actor keeps its place: its mail waits there. */
  place(id: AgentId): Place | undefined {
    const entry = this.#entries.get(id);
    if (!entry?.thread || (entry.phase !== 'up' && entry.phase !== 'failed')) return undefined;
    return { thread: entry.thread, slot: entry.slot };
  }

  /**
   * Calls back with the place as soon as it is settled, other than `stale`; with the reason when there is no such actor, or
   * when it has not settled within `timeoutMs`.
   */
  find(
    id: AgentId,
    stale: { readonly thread: number; readonly slot: number } | undefined,
    timeoutMs: number,
    found: (place: Place | undefined, why: Unfound) => void,
  ): void {
    const lost = this.#lost.has(id);
    const place = this.place(id);
    const left = place && stale && place.thread.id === stale.thread && place.slot === stale.slot;
    if ((!lost && !this.#entries.has(id)) || (place && !left)) {
      found(place, 'actor_not_found');
      return;
    }
    const started = this.#clock.monotonicMs();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters);
    const cancel = this.#clock.setTimeout(() => {
      waiters.delete(wake);
      if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
      found(undefined, this.#lost.has(id) ? 'target_lost' : 'actor_not_found');
    }, timeoutMs);
    const wake = () => {
      cancel();
      // Lost for good: given up, or its time is over.
      if (lost && !this.#lost.has(id) && !this.#entries.has(id)) found(undefined, 'target_lost');
      else this.find(id, stale, Math.max(0, timeoutMs - (this.#clock.monotonicMs() - started)), found);
    };
    waiters.add(wake);
  }
}
