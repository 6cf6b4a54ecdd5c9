// What the dispatcher believes of its queues: which are empty, and how many tasks to ask of each.
// A queue that answered with less than was asked is dry until a hint or the poll says otherwise, so an idle node asks nothing.

import type { Queue } from '../contracts/agent.ts';

const FIRST_ASK = 8;
const LARGEST_ASK = 256;

export class QueueMemory {
  readonly #dry = new Set<Queue>();
  /** Grows with each hint: an answer that was on its way when a hint came does not dry its queue. */
  readonly #hints = new Map<Queue, number>();
  #polls = 0;
  readonly #ask = new Map<Queue, number>();
  #cursor = 0;

  /** Something may have come into this queue. */
  hint(queue: Queue): void {
    this.#hints.set(queue, (this.#hints.get(queue) ?? 0) + 1);
    this.#dry.delete(queue);
  }

  /** Nothing is known any more: every queue may hold work. Also bounds what is remembered. */
  forget(): void {
    this.#polls += 1;
    this.#dry.clear();
    this.#hints.clear();
    this.#ask.clear();
  }

  /** Whether it is known to be empty. */
  isDry(queue: Queue): boolean {
    return this.#dry.has(queue);
  }

  /** Read when a question is put, given back with its answer. */
  generation(queue: Queue): string {
    return `${this.#polls}/${this.#hints.get(queue) ?? 0}`;
  }

  /** The same queues with a start that rotates from call to call, so that none is always last. */
  rotate(queues: readonly Queue[]): readonly Queue[] {
    if (queues.length < 2) return queues;
    const start = this.#cursor++ % queues.length;
    return [...queues.slice(start), ...queues.slice(0, start)];
  }

  /** Most tasks to ask of this queue at once: grows while it keeps answering in full. */
  askLimit(queue: Queue): number {
    return this.#ask.get(queue) ?? FIRST_ASK;
  }

  /** Learns from an answer. */
  answered(queue: Queue, asked: number, got: number, generation: string): void {
    const limit = this.askLimit(queue);
    if (got >= asked) {
      if (asked >= limit) this.#ask.set(queue, Math.min(limit * 2, LARGEST_ASK));
      return;
    }
    this.#ask.delete(queue);
    if (this.generation(queue) === generation) this.#dry.add(queue);
  }
}
