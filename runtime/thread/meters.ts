// Depth of each mailbox in memory shared with main: what waits there is counted even when this thread is gone.

export class Meters {
  readonly #depths: Int32Array;
  readonly #free: number[] = [];
  #next = 1;

  constructor(depths: Int32Array) {
    this.#depths = depths;
  }

  /** A meter at 0, or meter 0, which shows nothing, when none is left. */
  take(): number {
    return this.#free.pop() ?? (this.#next < this.#depths.length ? this.#next++ : 0);
  }

  /** One plain store: main reads it when the thread has ended. */
  show(meter: number, depth: number): void {
    this.#depths[meter] = depth;
  }

  release(meter: number): void {
    if (meter === 0) return;
    this.#depths[meter] = 0;
    this.#free.push(meter);
  }
}
