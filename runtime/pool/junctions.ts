// Which threads have a port of their own between them.

import { MessageChannel } from 'node:worker_threads';
import type { Thread } from './directory.ts';

export class Junctions {
  readonly #joined = new Map<Thread, Set<Thread>>();

  /** Joins two threads, once. */
  connect(a: Thread, b: Thread): void {
    const ofA = this.#joined.get(a) ?? new Set();
    if (ofA.has(b)) return;
    const ofB = this.#joined.get(b) ?? new Set();
    this.#joined.set(a, ofA.add(b));
    this.#joined.set(b, ofB.add(a));
    const { port1, port2 } = new MessageChannel();
    a.link?.post({ link: b.id, port: port1 }, [port1]);
    b.link?.post({ link: a.id, port: port2 }, [port2]);
  }

  /** The thread is gone, and its ports with it. */
  down(thread: number): void {
    for (const handle of this.#joined.keys()) {
      if (handle.id !== thread) continue;
      for (const other of this.#joined.get(handle) ?? []) this.#joined.get(other)?.delete(handle);
      this.#joined.delete(handle);
    }
  }
}
