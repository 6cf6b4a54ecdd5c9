// Where every actor of this node lives, and who waits to learn it.

import type { AgentState } from '../contracts/agent.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Clock } from '../contracts/ports.ts';
import type { CellSpec } from '../contracts/wire.ts';
import type { ThreadHandle } from './thread-handle.ts';

/** `failed`: its mailbox still stands in its thread and waits for the next incarnation. */
export type EntryPhase = 'starting' | 'up' | 'moving' | 'failed';

/** A thread and the actors that live there. */
export type Thread = ThreadHandle<Entry>;

export interface Entry {
  readonly id: AgentId;
  spec: CellSpec;
  phase: EntryPhase;
  thread: Thread | null;
  slot: number;
  state: AgentState;
  readonly dedicated: boolean;
}

export interface Place {
  readonly thread: Thread;
  readonly slot: number;
}

export class Directory {
  readonly #entries = new Map<AgentId, Entry>();
  readonly #waiters = new Map<AgentId, Set<() => void>>();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get(id: AgentId): Entry | undefined {
    return this.#entries.get(id);
  }

  all(): Iterable<Entry> {
    return this.#entries.values();
  }

  set(entry: Entry): void {
    this.#entries.set(entry.id, entry);
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
   * Calls back with the place as soon as it is settled, other than `stale`; with undefined when there is no such actor, or
   * when it has not settled within `timeoutMs`.
   */
  find(
    id: AgentId,
    stale: { readonly thread: number; readonly slot: number } | undefined,
    timeoutMs: number,
    found: (place: Place | undefined) => void,
  ): void {
    const entry = this.#entries.get(id);
    const place = this.place(id);
    const left = place && stale && place.thread.id === stale.thread && place.slot === stale.slot;
    if (!entry || (place && !left)) {
      found(place);
      return;
    }
    const started = this.#clock.monotonicMs();
    const waiters = this.#waiters.get(id) ?? new Set();
    this.#waiters.set(id, waiters);
    const cancel = this.#clock.setTimeout(() => {
      waiters.delete(wake);
      if (waiters.size === 0 && this.#waiters.get(id) === waiters) this.#waiters.delete(id);
      found(undefined);
    }, timeoutMs);
    const wake = () => {
      cancel();
      this.find(id, stale, Math.max(0, timeoutMs - (this.#clock.monotonicMs() - started)), found);
    };
    waiters.add(wake);
  }
}
