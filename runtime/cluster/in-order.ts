// The receiving side of a link: which batches of the other node were taken, which come again, and what is answered of each.

import type { BatchAnswer, Refusal } from './frames.ts';

export type Arrival = 'new' | 'duplicate' | 'early';

/** Takes batches in the order of their numbers, each once. Answers are kept until the sender shows that it has them. */
export class InOrder {
  /** The newest batch that was taken. */
  taken = 0;
  readonly #answers = new Map<number, readonly Refusal[]>();

  /**
   * `early`: one before it is missing; the sender sends both again. What is older than `base` was given up by its sender and is not
   * waited for.
   */
  arrive(sequence: number, base: number): Arrival {
    this.forget(base);
    if (sequence === 0) return 'duplicate';
    if (sequence <= this.taken) return 'duplicate';
    if (sequence > this.taken + 1) return 'early';
    this.taken = sequence;
    return 'new';
  }

  /** Everything before `base` is over. */
  forget(base: number): void {
    if (base - 1 > this.taken) this.taken = base - 1;
    for (const sequence of this.#answers.keys()) if (sequence < base) this.#answers.delete(sequence);
  }

  /** All of a batch is decided. */
  decided(sequence: number, refused: readonly Refusal[]): BatchAnswer {
    this.#answers.set(sequence, refused);
    return [sequence, refused];
  }

  /** All answers that the sender has not shown to have: one of its batches came again, so some were lost. */
  answers(): BatchAnswer[] {
    return [...this.#answers];
  }
}
