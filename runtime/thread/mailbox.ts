// The bounded mailbox of one cell and what happens when it is full. It decides; the host carries out.

import type { ResolvedMailbox } from '../contracts/envelope.ts';
import { Queue } from '../transport/queue.ts';

/**
 * `taken`: it is in; `dropped`: it is in and the oldest went out; `hold`: the mailbox is full and senders shall wait;
 * the others: refused.
 */
export type Offer<T> =
  | { readonly type: 'taken' }
  | { readonly type: 'dropped'; readonly oldest: T }
  | { readonly type: 'hold' }
  | { readonly type: 'refused'; readonly reason: 'mailbox_full' | 'dropped_new' };

const TAKEN = { type: 'taken' } as const;
const HOLD = { type: 'hold' } as const;
const FULL = { type: 'refused', reason: 'mailbox_full' } as const;
const DROPPED_NEW = { type: 'refused', reason: 'dropped_new' } as const;

export class Mailbox<T> {
  readonly capacity: number;
  readonly overflow: ResolvedMailbox['overflow'];
  readonly #queue = new Queue<T>();

  constructor({ capacity, overflow }: ResolvedMailbox) {
    this.capacity = capacity;
    this.overflow = overflow;
  }

  get length(): number {
    return this.#queue.length;
  }

  /** Messages it still takes; negative after an overrun. */
  get room(): number {
    return this.capacity - this.#queue.length;
  }

  offer(message: T): Offer<T> {
    if (this.#queue.length < this.capacity) {
      this.#queue.push(message);
      return TAKEN;
    }
    switch (this.overflow) {
      case 'reject':
        return FULL;
      case 'drop-new':
        return DROPPED_NEW;
      case 'backpressure':
        return HOLD;
      case 'drop-oldest': {
        const oldest = this.#queue.shift();
        this.#queue.push(message);
        return oldest === undefined ? TAKEN : { type: 'dropped', oldest };
      }
    }
  }

  /** Takes a message beyond the capacity: it was on its way when the sender was paused. */
  overrun(message: T): void {
    this.#queue.push(message);
  }

  /** The first ones, without taking them. */
  peek(count: number): T[] {
    const items: T[] = [];
    for (let at = 0; at < count; at++) {
      const item = this.#queue.at(at);
      if (item === undefined) break;
      items.push(item);
    }
    return items;
  }

  shift(): T | undefined {
    return this.#queue.shift();
  }

  drain(): T[] {
    return this.#queue.drain();
  }
}
