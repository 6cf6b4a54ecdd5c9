// Keeps this node's lease alive and fences the node itself when it cannot: by its own monotonic clock, never by the wall clock.
// States: held -> doubtful (not renewed in time) -> held again, or lost for good.

import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { LeaseStore } from '../contracts/store.ts';
import type { Chore } from './sweeper.ts';

export interface LeaseKeeperParts {
  readonly leases: Pick<LeaseStore, 'renew'>;
  readonly ambient: Ambient;
  readonly leaseMs: number;
  /** TTL minus margin has passed without a renewal: start nothing any more. */
  readonly onDoubt: () => void;
  /** Renewed after a doubt, before anybody took over. */
  readonly onBack: () => void;
  /** Expired and swept: this incarnation must end. Called once. */
  readonly onLost: () => void;
}

/** Share of the lease that is kept as a margin before it ends. */
const MARGIN = 1 / 6;
const RENEWALS_PER_LEASE = 3;
const RETRY_MS = 200;

export class LeaseKeeper {
  readonly #parts: LeaseKeeperParts;
  #state: 'held' | 'doubtful' | 'lost' = 'held';
  /** On the monotonic clock; from then on the lease is in doubt. */
  #sureUntilMs = Number.POSITIVE_INFINITY;
  #cancelFence: Dispose = () => {};

  constructor(parts: LeaseKeeperParts) {
    this.#parts = parts;
  }

  get state(): 'held' | 'doubtful' | 'lost' {
    return this.#state;
  }

  /** Nobody else can have what this node owns. By the clock, not by a timer: one that was frozen must not wait for its timers to know. */
  get sure(): boolean {
    return this.#state === 'held' && this.#parts.ambient.clock.monotonicMs() < this.#sureUntilMs;
  }

  /** Call when `leases.open` has resolved; `openedAtMs` is the monotonic time before that call. */
  opened(openedAtMs: number = this.#parts.ambient.clock.monotonicMs()): void {
    this.#state = 'held';
    this.#guard(openedAtMs);
  }

  stop(): void {
    this.#cancelFence();
  }

  /** The renewal, for the sweeper: three times per lease, and quickly again after a failure. */
  chore(): Chore {
    return {
      name: 'renew-lease',
      everyMs: Math.floor(this.#parts.leaseMs / RENEWALS_PER_LEASE),
      retryMs: RETRY_MS,
      run: () => this.renew(),
    };
  }

  async renew(): Promise<void> {
    if (this.#isLost()) return;
    // the lease runs from before the question: its answer may have been slow
    const askedAtMs = this.#parts.ambient.clock.monotonicMs();
    const held = await this.#parts.leases.renew();
    if (this.#isLost()) return;
    if (!held) return this.#lose();
    this.#guard(askedAtMs);
    if (this.state === 'held') return;
    this.#state = 'held';
    this.#parts.ambient.log.info('the lease of this node is renewed; work starts again');
    this.#parts.onBack();
  }

  #isLost(): boolean {
    return this.#state === 'lost';
  }

  #guard(fromMs: number): void {
    const { clock } = this.#parts.ambient;
    this.#cancelFence();
    this.#sureUntilMs = fromMs + this.#parts.leaseMs * (1 - MARGIN);
    const leftMs = this.#sureUntilMs - clock.monotonicMs();
    this.#cancelFence = clock.setTimeout(() => this.#doubt(), Math.max(0, leftMs));
  }

  #doubt(): void {
    if (this.#state !== 'held') return;
    this.#state = 'doubtful';
    this.#parts.ambient.log.warn('the lease of this node could not be renewed in time; nothing new starts');
    this.#parts.onDoubt();
  }

  #lose(): void {
    this.#state = 'lost';
    this.#cancelFence();
    this.#parts.ambient.log.error('the lease of this node expired and others took its work; this incarnation ends');
    this.#parts.onLost();
  }
}
