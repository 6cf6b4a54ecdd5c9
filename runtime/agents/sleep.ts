// Agents that sleep: who has been idle for as long as its type or its spawn said is put to sleep, and who has something waiting for it is
// woken by whichever node sees it first and may host it.

import type { AgentId } from '../contracts/ids.ts';
import type { Ambient, Bus, Manifest, ThreadPool } from '../contracts/ports.ts';
import type { AgentRow } from '../contracts/store.ts';
import type { AgentStore } from '../contracts/store-agents.ts';
import type { AgentHome } from './agent-home.ts';
import type { Departures } from './departures.ts';
import { Idleness } from './idleness.ts';

export interface SleepOptions {
  readonly home: AgentHome;
  readonly departures: Departures;
  readonly pool: Pick<ThreadPool, 'cellStats'>;
  readonly store: Pick<AgentStore, 'wake' | 'wanted' | 'sleeping'>;
  readonly manifest: Pick<Manifest, 'entries'>;
  readonly bus: Pick<Bus, 'publish'>;
  readonly ambient: Ambient;
  /** Whether a task runs on it. */
  readonly busy: (id: AgentId) => boolean;
  readonly drainMs: number;
}

/** Put to sleep at once, and woken in one round. */
const AT_ONCE = 64;
const SIDE_BY_SIDE = 8;

export class Sleep {
  readonly #options: SleepOptions;
  readonly idleness = new Idleness();
  readonly #waking = new Set<AgentId>();
  #known = false;

  constructor(options: SleepOptions) {
    this.#options = options;
  }

  /** Agents may be asleep, as far as this node knows. */
  get any(): boolean {
    return this.#known;
  }

  /** At the start: an earlier incarnation may have left some asleep. */
  async recall(): Promise<void> {
    if (await this.#options.store.sleeping()) this.#known = true;
  }

  /** Looks at what the agents of this node have done, and puts those to sleep that have been idle long enough. */
  async look(): Promise<void> {
    const { home, pool, ambient } = this.#options;
    const candidates = [...home.residents()].filter(({ row, entry }) => patienceOf(row, entry) > 0);
    if (candidates.length === 0) return;
    this.idleness.look(await pool.cellStats(), ambient.clock.monotonicMs());
    const nowMs = ambient.clock.monotonicMs();
    const due = candidates.filter(({ row, entry }) => this.idleness.idleForMs(row.id, nowMs) >= patienceOf(row, entry));
    await this.send(
      due.slice(0, AT_ONCE).map(({ row }) => row.id),
      'asleep',
    );
  }

  /** Lets agents leave, some side by side; those that have begun something meanwhile stay. Answers how many left. */
  async send(ids: readonly AgentId[], to: Parameters<Departures['leave']>[1]): Promise<number> {
    const { departures, busy, drainMs } = this.#options;
    const queue = [...ids];
    let left = 0;
    const next = async (): Promise<void> => {
      for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
        if (busy(id)) continue;
        if (to === 'asleep') this.#known = true;
        if ((await departures.leave(id, to, drainMs)) === 'left') left += 1;
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, next));
    return left;
  }

  /** A message is there for a sleeping agent. Never rejects; asked again while the first time is under way it does nothing. */
  activate(id: AgentId): void {
    if (this.#waking.has(id)) return;
    this.#waking.add(id);
    void this.#wake([id])
      .catch(() => undefined)
      .finally(() => this.#waking.delete(id));
  }

  /** Tasks, durable messages and timers are there for sleeping agents. */
  async wakeWanted(): Promise<void> {
    this.#known = true;
    const ids = await this.#options.store.wanted(AT_ONCE);
    if (ids.length > 0) await this.#wake(ids);
  }

  async #wake(ids: readonly AgentId[]): Promise<void> {
    const { store, home, manifest, bus } = this.#options;
    const byHash = new Map(manifest.entries().map((entry) => [entry.defHash, entry]));
    for (const row of await store.wake(ids, [...byHash.keys()])) {
      const entry = byHash.get(row.defHash);
      if (row.owner === null || !entry) bus.publish({ type: 'agent', agentId: row.id });
      else if (!home.get(row.id)) home.launch(row, entry);
    }
  }
}

/** Idle for this long it sleeps; 0: never. */
function patienceOf(row: AgentRow, entry: { readonly passivateAfterMs?: number }): number {
  return row.passivateAfterMs ?? entry.passivateAfterMs ?? 0;
}
