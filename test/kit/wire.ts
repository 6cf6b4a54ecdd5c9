// A pair of ports without threads: time and delivery move only when a test says so.

import type { DataPort, Turn } from '../../runtime/transport/link.ts';

/** Two ports that deliver when told to, and a turn of the loop that ends when told to. */
export class Wire {
  readonly ends: { values: unknown[]; listeners: ((value: unknown) => void)[]; posts: number }[] = [
    { values: [], listeners: [], posts: 0 },
    { values: [], listeners: [], posts: 0 },
  ];
  readonly #due: (() => void)[] = [];
  readonly turn: Turn = { atEnd: (fn) => this.#due.push(fn), later: (fn) => this.#due.push(fn), nowMs: () => 1 };

  port(end: 0 | 1): DataPort {
    const mine = this.ends[end];
    const other = this.ends[1 - end];
    if (!mine || !other) throw new Error('no such end');
    return {
      postMessage: (value) => {
        mine.posts++;
        other.values.push(value instanceof ArrayBuffer ? value.slice(0) : structuredClone(value));
      },
      on: (event: string, listener: (value: unknown) => void) => event === 'message' && mine.listeners.push(listener),
      close: () => {},
    } as DataPort;
  }

  /** Ends turns and delivers, one value an end and turn, until nothing moves. */
  settle(): void {
    for (let moved = true; moved; ) {
      moved = false;
      for (const fn of this.#due.splice(0)) {
        fn();
        moved = true;
      }
      for (const end of this.ends) {
        const [value] = end.values.splice(0, 1);
        if (value === undefined) continue;
        for (const listener of end.listeners) listener(value);
        moved = true;
      }
    }
  }

  /** Ends the turn without delivering anything. */
  endTurn(): void {
    for (const fn of this.#due.splice(0)) fn();
  }
}
