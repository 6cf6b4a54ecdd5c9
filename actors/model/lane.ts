// Admission to one model: at most `limit` calls at once, a bounded queue behind them, first come first served.
// A lane belongs to one thread; agents of other threads have lanes of their own.

import { modelBusy, modelCancelled } from './model-client.ts';

export interface LaneOptions {
  readonly name: string;
  /** Calls at once. Default 1: Ollama runs the calls to one loaded model one after the other unless told otherwise. */
  readonly limit?: number;
  /** Calls that may wait. Default 32. */
  readonly maxWaiting?: number;
}

interface Waiter {
  readonly go: () => void;
}

export class Lane {
  readonly name: string;
  readonly limit: number;
  readonly #maxWaiting: number;
  readonly #waiting: Waiter[] = [];
  #running = 0;

  constructor(options: LaneOptions) {
    this.name = options.name;
    this.limit = options.limit ?? 1;
    this.#maxWaiting = options.maxWaiting ?? 32;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Runs `call` once a place is free. Rejects with `model_busy` when the queue is full, `task_cancelled` when `signal` aborts the wait. */
  async run<T>(call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#enter(signal);
    try {
      return await call();
    } finally {
      this.#leave();
    }
  }

  #enter(signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.reject(modelCancelled(signal));
    if (this.#running < this.limit) {
      this.#running++;
      return Promise.resolve();
    }
    if (this.#waiting.length >= this.#maxWaiting) {
      return Promise.reject(modelBusy(this.name, this.limit, this.#waiting.length));
    }
    return this.#wait(signal);
  }

  #wait(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        go: () => {
          signal?.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      const onAbort = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        if (signal) reject(modelCancelled(signal));
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** Hands the place to the next in the queue, so that `running` never dips and never exceeds the limit. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next) next.go();
    else this.#running--;
  }
}
