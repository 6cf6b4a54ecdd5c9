// The last messages of the agents somebody looks at, a ring each. Recording begins with a look and ends a minute after the last one.

import type { MessageRecord } from '../../contracts/inspection.ts';
import type { Clock, Dispose } from '../../contracts/ports.ts';

const KEPT = 100;
const KEEP_MS = 60_000;
const MAX_AGENTS = 100;

interface Ring {
  readonly sinceMs: number;
  /** Looked at last. */
  untilMs: number;
  readonly records: MessageRecord[];
}

export class MessageRings {
  readonly #clock: Clock;
  readonly #changed: () => void;
  readonly #rings = new Map<string, Ring>();
  #timer: Dispose | undefined;

  /** `changed`: other agents are recorded now. */
  constructor(clock: Clock, changed: () => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  agents(): readonly string[] {
    return [...this.#rings.keys()];
  }

  /** Somebody looks at this agent. */
  look(agent: string): void {
    const nowMs = this.#clock.nowMs();
    const known = this.#rings.get(agent);
    if (known) {
      known.untilMs = nowMs + KEEP_MS;
      return;
    }
    if (this.#rings.size >= MAX_AGENTS) return;
    this.#rings.set(agent, { sinceMs: nowMs, untilMs: nowMs + KEEP_MS, records: [] });
    this.#timer ??= this.#clock.setInterval(() => this.#expire(), KEEP_MS / 4);
    this.#changed();
  }

  add(record: MessageRecord): void {
    for (const agent of new Set([record.from, record.to])) {
      const records = agent === null ? undefined : this.#rings.get(agent)?.records;
      if (!records) continue;
      records.push(record);
      if (records.length > KEPT) records.shift();
    }
  }

  of(agent: string): { readonly since: string | null; readonly records: readonly MessageRecord[] } {
    const ring = this.#rings.get(agent);
    return ring
      ? { since: new Date(ring.sinceMs).toISOString(), records: ring.records.toSorted((a, b) => a.atMs - b.atMs) }
      : { since: null, records: [] };
  }

  #expire(): void {
    const nowMs = this.#clock.nowMs();
    const before = this.#rings.size;
    for (const [agent, { untilMs }] of this.#rings) if (untilMs < nowMs) this.#rings.delete(agent);
    if (this.#rings.size === 0) {
      this.#timer?.();
      this.#timer = undefined;
    }
    if (this.#rings.size !== before) this.#changed();
  }
}
