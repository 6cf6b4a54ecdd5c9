// Fills free slots with tasks: one claim in flight at a time, for slots that are already taken, so that it never claims more
// than it can run. Says nothing to the store while every queue served here is known to be empty.

import type { Queue } from '../contracts/agent.ts';
import type { Ambient, TakenSlot, Workforce } from '../contracts/ports.ts';
import type { TaskStore } from '../contracts/store.ts';
import type { ClaimedTask } from '../contracts/task.ts';
import { errorCode, jitteredBackoffMs } from './pause.ts';
import { QueueMemory } from './queue-memory.ts';

/** Most tasks of one claim, over all its queues. */
const LARGEST_CLAIM = 256;
const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 5_000;

export interface ClaimerParts {
  readonly store: Pick<TaskStore, 'claim'>;
  readonly workforce: Workforce;
  readonly ambient: Ambient;
  /** Whether work may start now (not draining, lease held). */
  readonly open: () => boolean;
  /** Takes over a claimed task and its slot. */
  readonly start: (task: ClaimedTask, slot: TakenSlot) => void;
  /** A claimed task for which there is no slot: the store answered more than was asked. */
  readonly surplus: (task: ClaimedTask) => void;
  /** A claim failed: it may have committed all the same. */
  readonly onUnknown: () => void;
}

type Held = Map<Queue, TakenSlot[]>;

export class Claimer {
  readonly #parts: ClaimerParts;
  readonly #memory = new QueueMemory();
  #working: Promise<void> | undefined;
  #again = false;
  #failures = 0;
  #notBeforeMs = 0;
  #cancelRetry: (() => void) | undefined;

  constructor(parts: ClaimerParts) {
    this.#parts = parts;
  }

  /** Something may have come into this queue. */
  hint(queue: Queue): void {
    this.#memory.hint(queue);
    const { workforce } = this.#parts;
    if (queue.startsWith('agent:') && workforce.serves?.(queue) !== false) workforce.mention?.(queue);
    this.wake();
  }

  /** Looks into every queue again. */
  poll(): void {
    this.#memory.forget();
    this.wake();
  }

  /** A slot may be free. While a claim is under way this only makes it look once more. */
  wake(): void {
    this.#again = true;
    if (this.#working || !this.#mayClaim()) return;
    this.#working = Promise.resolve()
      .then(() => this.#claimAll())
      .finally(() => {
        this.#working = undefined;
        if (this.#again) this.wake();
      });
  }

  /** Resolves when no claim is under way. */
  async idle(): Promise<void> {
    while (this.#working) await this.#working;
  }

  stop(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
  }

  #mayClaim(): boolean {
    return this.#parts.open() && this.#parts.ambient.clock.monotonicMs() >= this.#notBeforeMs;
  }

  async #claimAll(): Promise<void> {
    while (this.#mayClaim()) {
      this.#again = false;
      const held = this.#takeSlots();
      if (held.size === 0) return;
      const generations = new Map([...held.keys()].map((queue) => [queue, this.#memory.generation(queue)]));
      const asks = [...held].map(([queue, slots]) => ({ queue, slots: slots.length }));
      const tasks = await this.#claim(asks);
      if (tasks) {
        for (const { queue, slots } of asks) {
          const got = tasks.filter((task) => task.queue === queue).length;
          this.#memory.answered(queue, slots, got, generations.get(queue) ?? '');
        }
        this.#hand(tasks, held);
      }
      for (const slot of [...held.values()].flat()) this.#parts.workforce.release(slot.agentId);
    }
  }

  /** One slot after the other to one queue after the other: an agent that serves several queues gives each slot once. */
  #takeSlots(): Held {
    const held: Held = new Map();
    const offered = this.#parts.workforce.offers().filter(({ queue, free }) => free > 0 && !this.#memory.isDry(queue));
    let open = this.#memory.rotate(offered.map(({ queue }) => queue));
    let total = 0;
    while (open.length > 0 && total < LARGEST_CLAIM) {
      open = open.filter((queue) => {
        const slots = held.get(queue) ?? [];
        if (total >= LARGEST_CLAIM || slots.length >= this.#memory.askLimit(queue)) return false;
        const slot = this.#parts.workforce.take(queue);
        if (!slot) return false;
        total += 1;
        held.set(queue, [...slots, slot]);
        return true;
      });
    }
    return held;
  }

  #hand(tasks: readonly ClaimedTask[], held: Held): void {
    for (const task of tasks) {
      const slot = held.get(task.queue)?.shift();
      if (slot) this.#parts.start(task, slot);
      else this.#parts.surplus(task);
    }
  }

  async #claim(asks: readonly { queue: Queue; slots: number }[]): Promise<readonly ClaimedTask[] | undefined> {
    const { store, ambient } = this.#parts;
    try {
      const tasks = await store.claim(asks);
      this.#failures = 0;
      return tasks;
    } catch (error) {
      this.#failures += 1;
      const waitMs = jitteredBackoffMs(this.#failures, RETRY_BASE_MS, RETRY_CAP_MS, ambient.random);
      this.#notBeforeMs = ambient.clock.monotonicMs() + waitMs;
      this.#cancelRetry?.();
      this.#cancelRetry = ambient.clock.setTimeout(() => this.wake(), waitMs);
      const level = errorCode(error) === 'store_unavailable' ? 'warn' : 'error';
      ambient.log[level]('cannot claim tasks; trying again', { error, waitMs });
      this.#parts.onUnknown();
      return undefined;
    }
  }
}
