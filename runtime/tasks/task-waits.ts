// Callers that wait for the end of a task: woken by this node's feed, by hints from others, and by a slow poll when both were lost.

import type { Ambient, Bus, Dispose, EventFeed } from '../contracts/ports.ts';
import type { TaskView } from '../contracts/task.ts';
import { isTerminalTask } from '../contracts/task.ts';
import { endsTask } from './node-chores.ts';
import { pause } from './pause.ts';

export interface TaskWaitsParts {
  readonly feed: EventFeed;
  readonly bus: Bus;
  readonly ambient: Ambient;
  readonly pollMs: number;
}

export interface WaitOptions {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Tasks read again per poll, and none while earlier reads are out: thousands of callers that wait must not drown the store. */
const LOOKS_PER_POLL = 25;

export class TaskWaits {
  readonly #parts: TaskWaitsParts;
  readonly #wakes = new Map<string, Set<() => void>>();
  readonly #subscriptions: Dispose[];
  readonly #closed = new AbortController();
  #cancelPoll: Dispose | undefined;
  #reading = 0;

  constructor(parts: TaskWaitsParts) {
    this.#parts = parts;
    this.#subscriptions = [
      parts.feed.subscribe((event) => {
        if (endsTask(event)) this.#wake(event.stream);
      }),
      parts.bus.subscribe((hint) => {
        if (hint.type === 'task-ended') this.#wake(hint.taskId);
      }),
    ];
  }

  /**
   * The terminal task, or the task as it is when the time is over. Listens before it reads, so that no end falls between.
   * Rejects with the signal's reason when that aborts, and with what `read` threw.
   */
  async wait(id: string, read: () => Promise<TaskView>, { timeoutMs, signal }: WaitOptions): Promise<TaskView> {
    const { clock } = this.#parts.ambient;
    const until = clock.monotonicMs() + Math.max(0, timeoutMs);
    for (;;) {
      signal?.throwIfAborted();
      const wake = this.#listen(id, signal);
      try {
        const task = await this.#read(read);
        const leftMs = until - clock.monotonicMs();
        if (isTerminalTask(task.status) || leftMs <= 0 || this.#closed.signal.aborted) return task;
        await pause(clock, leftMs, wake.signal);
      } finally {
        wake.dispose();
      }
    }
  }

  /** Everyone who waits gets the task as it is. */
  close(): void {
    for (const dispose of this.#subscriptions.splice(0)) dispose();
    this.#closed.abort();
    this.#cancelPoll?.();
    for (const id of [...this.#wakes.keys()]) this.#wake(id);
  }

  #listen(id: string, signal: AbortSignal | undefined): { readonly signal: AbortSignal; readonly dispose: Dispose } {
    const woken = new AbortController();
    const wake = () => woken.abort();
    const wakes = this.#wakes.get(id) ?? new Set();
    this.#wakes.set(id, wakes.add(wake));
    this.#plan();
    signal?.addEventListener('abort', wake, { once: true });
    return {
      signal: woken.signal,
      dispose: () => {
        signal?.removeEventListener('abort', wake);
        wakes.delete(wake);
        if (wakes.size === 0 && this.#wakes.get(id) === wakes) this.#wakes.delete(id);
      },
    };
  }

  /** For ends on other nodes whose hint was lost: in turn, so that each is looked at in the end. */
  #plan(): void {
    if (this.#cancelPoll || this.#closed.signal.aborted) return;
    this.#cancelPoll = this.#parts.ambient.clock.setTimeout(() => {
      this.#cancelPoll = undefined;
      if (this.#reading === 0) this.#look();
      if (this.#wakes.size > 0) this.#plan();
    }, this.#parts.pollMs);
  }

  #look(): void {
    for (const id of [...this.#wakes.keys()].slice(0, LOOKS_PER_POLL)) {
      const wakes = this.#wakes.get(id);
      this.#wakes.delete(id);
      if (wakes) this.#wakes.set(id, wakes);
      this.#wake(id);
    }
  }

  async #read(read: () => Promise<TaskView>): Promise<TaskView> {
    this.#reading += 1;
    try {
      return await read();
    } finally {
      this.#reading -= 1;
    }
  }

  #wake(id: string): void {
    for (const wake of this.#wakes.get(id) ?? []) wake();
  }
}
