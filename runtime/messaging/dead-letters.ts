// Messages that nobody took: counted at once, published as events, stored in batches. A flood never grows memory without bound.

import type { DeadLetter, DeadLetterReason } from '../contracts/envelope.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Ambient, DeadLetterSink, Dispose, EventFeed } from '../contracts/ports.ts';
import type { DeadLetterStore } from '../contracts/store.ts';

export interface DeadLettersOptions {
  readonly store: DeadLetterStore;
  readonly feed: EventFeed;
  readonly ambient: Ambient;
  readonly tenantOf: (id: AgentId) => string;
  readonly onCount?: (reason: DeadLetterReason) => void;
}

interface Waiting {
  readonly letter: DeadLetter;
  readonly tenant: string;
}

const MAX_WAITING = 10_000;
const MAX_BATCH = 500;
const EVENTS_PER_FLUSH = 100;

/** States: idle (nothing waits) or flushing (one write in flight, the next gathers). What does not fit is counted, not stored. */
export class DeadLetters implements DeadLetterSink {
  readonly #options: DeadLettersOptions;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #cancelTimer: Dispose | undefined;
  #notStored = 0;

  constructor(options: DeadLettersOptions) {
    this.#options = options;
  }

  /** `tenant`: where neither sender nor addressee is an agent of this node. */
  add(letter: DeadLetter, tenant?: string): void {
    this.#options.onCount?.(letter.reason);
    if (this.#waiting.length >= MAX_WAITING) {
      this.#notStored += 1;
      return;
    }
    this.#waiting.push({ letter, tenant: tenant ?? this.#tenantOf(letter) });
    this.#cancelTimer ??= this.#options.ambient.clock.setTimeout(() => void this.flush(), 50);
  }

  /** Stores what waits. Never rejects: letters that cannot be stored are counted and logged. */
  async flush(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#flushing ??= this.#drain().finally(() => {
      this.#flushing = undefined;
    });
    await this.#flushing;
  }

  async #drain(): Promise<void> {
    const { store, feed, ambient } = this.#options;
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, MAX_BATCH);
      for (const waiting of batch.slice(0, EVENTS_PER_FLUSH)) this.#announce(feed, waiting);
      for (const [tenant, letters] of byTenant(batch)) {
        await store.add(tenant, letters).catch((error: unknown) => {
          this.#notStored += letters.length;
          ambient.log.warn('dead letters could not be stored', { letters: letters.length, error: String(error) });
        });
      }
    }
    if (this.#notStored > 0)
      ambient.log.warn('dead letters beyond the buffer were counted only', { letters: this.#notStored });
    this.#notStored = 0;
  }

  #announce(feed: EventFeed, { letter, tenant }: Waiting): void {
    feed.notice({
      stream: letter.to,
      type: 'message.dead_letter',
      tenant,
      data: { reason: letter.reason, to: letter.to, from: letter.from ?? null, messageType: letter.type },
    });
  }

  #tenantOf(letter: DeadLetter): string {
    return this.#options.tenantOf((letter.from ?? letter.to) as AgentId);
  }
}

function byTenant(batch: readonly Waiting[]): Map<string, DeadLetter[]> {
  const sorted = new Map<string, DeadLetter[]>();
  for (const { letter, tenant } of batch) {
    const those = sorted.get(tenant);
    if (those) those.push(letter);
    else sorted.set(tenant, [letter]);
  }
  return sorted;
}
