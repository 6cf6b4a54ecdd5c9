// The one periodic loop of a node: named chores, each at its own pace, none able to stop another.
// It knows nothing of what they do; see node-chores.ts for the tasks' own.

import { RuntimeError } from '../contracts/errors.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import { errorCode, jitteredBackoffMs, settledWithin } from './pause.ts';

export interface Chore {
  /** Unique; what `soon` and the log call it. */
  readonly name: string;
  readonly everyMs: number;
  /** First wait after a failure (doubles up to 8 times, with jitter). Default `everyMs`. */
  readonly retryMs?: number;
  /** Whether the first run comes at once instead of after `everyMs`. */
  readonly atStart?: boolean;
  /**
   * One round. An answer `{ nextInMs: number }` asks for the next round earlier than `everyMs`; any other is ignored.
   * `soon` asks for a round of another chore: see {@link Sweeper.soon}.
   */
  run(soon: (name: string, inMs?: number) => void): Promise<unknown>;
}

interface Slot {
  readonly chore: Chore;
  dueMs: number;
  failures: number;
  running: boolean;
  /** Asked for while it ran: the time to run again. */
  wantedMs: number;
}

export interface ChoreReport {
  readonly name: string;
  readonly failures: number;
  readonly inMs: number;
}

const SELDOM_MS = 10_000;
const STOP_WAIT_MS = 10_000;
const MOST_DOUBLINGS = 8;

export class Sweeper {
  readonly #ambient: Ambient;
  readonly #slots: readonly Slot[];
  readonly #inFlight = new Set<Promise<void>>();
  #state: 'stopped' | 'running' = 'stopped';
  #cancelWake: Dispose = () => {};

  /** @throws RuntimeError `config_invalid` when two chores have the same name. */
  constructor(ambient: Ambient, chores: readonly Chore[]) {
    this.#ambient = ambient;
    const names = new Set(chores.map(({ name }) => name));
    if (names.size < chores.length) throw new RuntimeError('config_invalid', 'two chores have the same name');
    this.#slots = chores.map((chore) => ({
      chore,
      dueMs: 0,
      failures: 0,
      running: false,
      wantedMs: Number.POSITIVE_INFINITY,
    }));
  }

  start(): void {
    if (this.#state === 'running') return;
    this.#state = 'running';
    const now = this.#ambient.clock.monotonicMs();
    // Seldom chores take turns over half their pace, so that an idle node has no moment at which everything happens.
    const apart = 0.5 / this.#slots.length;
    this.#slots.forEach((slot, at) => {
      const { atStart, everyMs } = slot.chore;
      const shift = everyMs < SELDOM_MS ? 0 : at * apart;
      slot.dueMs = now + (atStart ? 0 : Math.round(everyMs * (1 + shift)));
    });
    this.#arm();
  }

  /** No chore starts any more; resolves when the running ones are done (10 s at most). */
  async stop(): Promise<void> {
    this.#state = 'stopped';
    this.#cancelWake();
    await settledWithin(this.#ambient.clock, Promise.all(this.#inFlight), STOP_WAIT_MS);
  }

  /** Runs a chore in `inMs`, if it would come later. Unknown names do nothing. A failing chore keeps its back-off. */
  soon(name: string, inMs = 0): void {
    const slot = this.#slots.find(({ chore }) => chore.name === name);
    if (!slot || this.#state === 'stopped' || slot.failures > 0) return;
    const wanted = this.#ambient.clock.monotonicMs() + Math.max(0, inMs);
    if (slot.running) slot.wantedMs = Math.min(slot.wantedMs, wanted);
    else if (wanted < slot.dueMs) {
      slot.dueMs = wanted;
      this.#arm();
    }
  }

  report(): readonly ChoreReport[] {
    const now = this.#ambient.clock.monotonicMs();
    return this.#slots.map(({ chore, failures, dueMs }) => ({ name: chore.name, failures, inMs: dueMs - now }));
  }

  /** One timer, set to the chore that is due first. */
  #arm(): void {
    this.#cancelWake();
    if (this.#state === 'stopped') return;
    const next = Math.min(...this.#slots.filter(({ running }) => !running).map(({ dueMs }) => dueMs));
    if (!Number.isFinite(next)) return;
    const { clock } = this.#ambient;
    this.#cancelWake = clock.setTimeout(() => this.#tick(), Math.max(0, next - clock.monotonicMs()));
  }

  #tick(): void {
    const now = this.#ambient.clock.monotonicMs();
    for (const slot of this.#slots) {
      if (slot.running || slot.dueMs > now) continue;
      slot.running = true;
      const round = this.#round(slot).finally(() => this.#inFlight.delete(round));
      this.#inFlight.add(round);
    }
    this.#arm();
  }

  async #round(slot: Slot): Promise<void> {
    const { chore } = slot;
    const { clock } = this.#ambient;
    let nextInMs = chore.everyMs;
    try {
      const answer = await chore.run((name, inMs) => this.soon(name, inMs));
      slot.failures = 0;
      nextInMs = Math.min(chore.everyMs, wantedNext(answer) ?? chore.everyMs);
    } catch (error) {
      slot.failures += 1;
      nextInMs = this.#afterFailure(slot, error);
    }
    slot.running = false;
    slot.dueMs = Math.min(clock.monotonicMs() + nextInMs, slot.wantedMs);
    slot.wantedMs = Number.POSITIVE_INFINITY;
    this.#arm();
  }

  #afterFailure({ chore, failures }: Slot, error: unknown): number {
    const base = chore.retryMs ?? chore.everyMs;
    const waitMs = jitteredBackoffMs(
      failures,
      base,
      Math.max(chore.everyMs, base * MOST_DOUBLINGS),
      this.#ambient.random,
    );
    const away = errorCode(error) === 'store_unavailable';
    // an outage is one line per chore, not one per round
    const level = !away ? 'error' : failures === 1 ? 'warn' : 'debug';
    this.#ambient.log[level]('a periodic chore failed; it runs again', { chore: chore.name, failures, waitMs, error });
    return waitMs;
  }
}

function wantedNext(answer: unknown): number | undefined {
  const { nextInMs } = (answer ?? {}) as { nextInMs?: unknown };
  return typeof nextInMs === 'number' ? Math.max(0, nextInMs) : undefined;
}
