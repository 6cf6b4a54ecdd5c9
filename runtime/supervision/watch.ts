// Death watch: exactly one `terminated` per watch, whatever the way to die (Erlang monitors, Akka death watch).

import type { Dispose } from '../contracts/ports.ts';
import type { Terminated } from '../contracts/supervision.ts';

export type EndListener = (end: Terminated) => void;

export interface WatchOptions {
  /** How an id ended that is no longer alive, or undefined while it lives. */
  readonly ended: (id: string) => Terminated | undefined;
  /** Takes what a listener threw; listeners never disturb each other. */
  readonly onListenerError: (error: unknown) => void;
}

/** All watches of this node. */
export class Watches {
  readonly #options: WatchOptions;
  readonly #byId = new Map<string, Set<EndListener>>();

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /**
   * Calls `listener` once when `id` ends; in a microtask when it has ended already or was never there. The same function
   * given twice makes two watches. The returned function unwatches: after it the listener is not called any more.
   */
  watch(id: string, listener: EndListener): Dispose {
    const once = this.#once(listener);
    const ended = this.#options.ended(id);
    if (ended !== undefined) {
      queueMicrotask(() => once.fire(ended));
      return once.dispose;
    }
    let watchers = this.#byId.get(id);
    if (watchers === undefined) {
      watchers = new Set();
      this.#byId.set(id, watchers);
    }
    watchers.add(once.fire);
    return () => {
      once.dispose();
      const left = this.#byId.get(id);
      left?.delete(once.fire);
      if (left?.size === 0) this.#byId.delete(id);
    };
  }

  /** Tells every watcher of `end.id`, in the order in which they began to watch. Later calls find none. */
  notify(end: Terminated): void {
    const watchers = this.#byId.get(end.id);
    if (watchers === undefined) return;
    this.#byId.delete(end.id);
    for (const fire of watchers) fire(end);
  }

  /** Watches that are still open. */
  get size(): number {
    let count = 0;
    for (const watchers of this.#byId.values()) count += watchers.size;
    return count;
  }

  #once(listener: EndListener): { readonly fire: EndListener; readonly dispose: Dispose } {
    let open = true;
    return {
      fire: (end) => {
        if (!open) return;
        open = false;
        try {
          listener(end);
        } catch (error) {
          this.#options.onListenerError(error);
        }
      },
      dispose: () => {
        open = false;
      },
    };
  }
}
