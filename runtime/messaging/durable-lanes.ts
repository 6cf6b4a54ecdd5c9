// The order within the lanes of an inbox: when a message of a lane fails or comes back, the rest of its lane waits until it is tried again.

import type { Clock, Dispose } from '../contracts/ports.ts';

interface Lane {
  /** Of the messages that are sent now: see DurableDelivery.generation. */
  generation: number;
  /** Messages of it in the cell. */
  inside: number;
  /** Nothing of it is taken until it is released and empty. */
  held: boolean;
  /** Its time has come; it waits for what is inside. */
  due: boolean;
  timer: Dispose | undefined;
}

/** `onOpen` is called when a lane that was held may be read again. Generations grow over all lanes of a node: cells outlive these objects. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #clock: Clock;
  readonly #onOpen: () => void;

  readonly #nextGeneration: () => number;

  constructor(clock: Clock, nextGeneration: () => number, onOpen: () => void) {
    this.#clock = clock;
    this.#nextGeneration = nextGeneration;
    this.#onOpen = onOpen;
  }

  /** No lane is held. */
  get calm(): boolean {
    for (const { held } of this.#lanes.values()) if (held) return false;
    return true;
  }

  holds(name: string): boolean {
    return this.#lanes.get(name)?.held ?? false;
  }

  /** A message goes in. Answers its generation. */
  enter(name: string): number {
    const lane = this.#lane(name);
    lane.inside++;
    return lane.generation;
  }

  /** A message came out. A held lane stays known until it opens. */
  leave(name: string): void {
    const lane = this.#lanes.get(name);
    if (!lane) return;
    lane.inside--;
    this.#open(lane);
  }

  /** Holds the lane up, for `releaseMs` at least; without it until {@link release}. */
  hold(name: string, releaseMs?: number): void {
    const lane = this.#lane(name);
    if (!lane.held) {
      lane.held = true;
      lane.due = false;
      // A cell that saw a message of the present generation fail skips the rest of it.
      lane.generation = this.#nextGeneration();
    }
    if (releaseMs !== undefined) this.release(name, releaseMs);
  }

  release(name: string, afterMs: number): void {
    const lane = this.#lanes.get(name);
    if (!lane?.held) return;
    lane.timer?.();
    lane.due = false;
    lane.timer = this.#clock.setTimeout(() => {
      lane.timer = undefined;
      lane.due = true;
      this.#open(lane);
    }, afterMs);
  }

  close(): void {
    for (const { timer } of this.#lanes.values()) timer?.();
    this.#lanes.clear();
  }

  #open(lane: Lane): void {
    if (!lane.held || !lane.due || lane.inside > 0) return;
    lane.held = false;
    this.#onOpen();
  }

  #lane(name: string): Lane {
    const found = this.#lanes.get(name);
    if (found) return found;
    const made: Lane = { generation: this.#nextGeneration(), inside: 0, held: false, due: false, timer: undefined };
    this.#lanes.set(name, made);
    return made;
  }
}
