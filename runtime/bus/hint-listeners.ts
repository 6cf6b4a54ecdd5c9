// Who listens to a bus. A listener that throws is logged, the others still hear.

import type { Dispose, Hint, Logger } from '../contracts/ports.ts';

export class HintListeners {
  readonly #log: Logger;
  readonly #listeners = new Set<(hint: Hint) => void>();

  constructor(log: Logger) {
    this.#log = log;
  }

  add(listener: (hint: Hint) => void): Dispose {
    // a wrapper of its own per subscription: the same function may subscribe twice
    const own = (hint: Hint) => listener(hint);
    this.#listeners.add(own);
    return () => this.#listeners.delete(own);
  }

  tell(hints: readonly Hint[]): void {
    for (const hint of hints) {
      for (const listener of this.#listeners) {
        try {
          listener(hint);
        } catch (error) {
          this.#log.error('a listener of the bus threw', { hint, error });
        }
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
