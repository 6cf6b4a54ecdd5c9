// Answers that are given again: the same key within ten minutes gets the first answer, and what it answers happens once. In the memory of
// one node, bounded; what must survive the node is durable.

import { RuntimeError } from '../contracts/errors.ts';
import type { Clock } from '../contracts/ports.ts';

export const REPLIES_KEPT_MS = 600_000;
const MAX_KEPT = 10_000;

interface Kept<Answer> {
  readonly body: string;
  readonly answer: Promise<Answer>;
  readonly untilMs: number;
}

/** Keys in the order in which they were first used; the oldest go first, by age and beyond 10,000. */
export class ReplyMemory<Answer> {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept<Answer>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#kept.size;
  }

  /**
   * What `make` gave for this key the first time. `keepsError` says which failures are answers too: others are forgotten, so that trying
   * again can help. @throws RuntimeError `idempotency_mismatch` when the key was used with another body.
   */
  async once(
    key: string,
    body: string,
    make: () => Promise<Answer>,
    keepsError: (error: unknown) => boolean,
  ): Promise<{ readonly answer: Answer; readonly replayed: boolean }> {
    this.#forgetOld();
    const kept = this.#kept.get(key);
    if (kept) {
      if (kept.body !== body)
        throw new RuntimeError('idempotency_mismatch', 'this key was used with another message within 10 minutes');
      return { answer: await kept.answer, replayed: true };
    }
    const answer = make();
    const mine: Kept<Answer> = { body, answer, untilMs: this.#clock.monotonicMs() + REPLIES_KEPT_MS };
    this.#kept.set(key, mine);
    try {
      return { answer: await answer, replayed: false };
    } catch (error) {
      if (!keepsError(error) && this.#kept.get(key) === mine) this.#kept.delete(key);
      throw error;
    }
  }

  #forgetOld(): void {
    const nowMs = this.#clock.monotonicMs();
    for (const [key, { untilMs }] of this.#kept) {
      if (untilMs > nowMs && this.#kept.size < MAX_KEPT) return;
      this.#kept.delete(key);
    }
  }
}
