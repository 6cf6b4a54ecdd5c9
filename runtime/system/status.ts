// What the node says of itself: status, readiness. Reads its parts; owns nothing but the memory of whether the backlog moves.

import type { Ambient, Bus, ThreadPool } from '../contracts/ports.ts';
import type { CallContext, SystemStatus } from '../contracts/runtime.ts';
import type { Store } from '../contracts/store.ts';

export type Phase = SystemStatus['status'];

export interface StatusParts {
  readonly store: Store;
  readonly bus: Bus;
  readonly pool: ThreadPool;
  readonly ambient: Ambient;
  readonly version: string;
  readonly redis: boolean;
  readonly ollama: () => Promise<'up' | 'down'>;
  readonly agents: () => {
    readonly byState: Readonly<Record<string, number>>;
    readonly byType: Readonly<Record<string, number>>;
  };
  readonly phase: () => Phase;
  /** Outcomes committed so far; the mark of progress. */
  readonly committed: () => number;
  /** Whether tasks wait although a slot for them is free here. Asks the store. */
  readonly startable: () => Promise<boolean>;
}

/** A backlog that could run and does not move for this long makes the node not ready. */
const STALLED_MS = 10_000;
/** The backlog is looked at when somebody asks for readiness, at most this often. */
const LOOK_EVERY_MS = 2_000;

export class NodeStatus {
  readonly #parts: StatusParts;
  readonly #startedAtMs: number;
  #databaseUp = true;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** The backlog while nothing of it moves: when it was seen first and last, and what had been committed by then. */
  #backlog: { readonly sinceMs: number; readonly seenMs: number; readonly committed: number } | undefined;

  constructor(parts: StatusParts) {
    this.#parts = parts;
    this.#startedAtMs = parts.ambient.clock.monotonicMs();
    parts.store.onHealth((up) => {
      this.#databaseUp = up;
    });
  }

  async status(call: CallContext): Promise<SystemStatus> {
    const { store, pool, ambient, version, agents, phase } = this.#parts;
    const [nodes, tasks, tables, dependencies] = await Promise.all([
      store.leases.nodes(),
      store.tasks.counts(call.tenant),
      store.sizes(),
      this.#dependencies(),
    ]);
    const { byState, byType } = agents();
    return {
      status: phase(),
      version,
      node: store.node,
      uptimeMs: Math.round(ambient.clock.monotonicMs() - this.#startedAtMs),
      nodes,
      threads: pool.threadStats(),
      agents: { total: sum(byState), byState, byType },
      tasks,
      dependencies,
      tables,
    };
  }

  ready(): { readonly ready: boolean; readonly reasons: readonly string[] } {
    const phase = this.#parts.phase();
    const reasons = [
      ...(phase === 'running' ? [] : [`the node is ${phase}`]),
      ...(this.#databaseUp ? [] : ['the database does not answer']),
      ...(this.#stalled() ? [`tasks wait and none has ended for ${STALLED_MS / 1_000} s`] : []),
    ];
    return { ready: reasons.length === 0, reasons };
  }

  /** Tasks wait, slots are free, and nothing was committed for a while: alive, but not working. Two looks must have seen it. */
  #stalled(): boolean {
    this.#look();
    const { sinceMs, seenMs, committed } = this.#backlog ?? { sinceMs: 0, seenMs: 0, committed: 0 };
    return seenMs - sinceMs >= STALLED_MS && committed === this.#parts.committed();
  }

  #look(): void {
    const { ambient, startable, committed } = this.#parts;
    const nowMs = ambient.clock.monotonicMs();
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    startable().then(
      (waits) => {
        const same = this.#backlog?.committed === committed() ? this.#backlog : undefined;
        this.#backlog = waits ? { sinceMs: same?.sinceMs ?? nowMs, seenMs: nowMs, committed: committed() } : undefined;
      },
      () => undefined,
    );
  }

  async #dependencies(): Promise<SystemStatus['dependencies']> {
    const { store, bus, redis, ollama } = this.#parts;
    const database = await store.ping().then(
      () => ({ status: 'up' as const, detail: store.kind }),
      () => ({ status: 'down' as const, detail: store.kind }),
    );
    const wakeUps = redis
      ? { status: bus.healthy() ? ('up' as const) : ('down' as const) }
      : { status: 'off' as const, detail: 'in-process bus' };
    return { database, redis: wakeUps, ollama: { status: await ollama() } };
  }
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
