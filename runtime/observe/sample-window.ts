// The last measurements of one kind, for percentiles in the JSON report. Bounded: old ones fall out.

/** Keeps the newest `size` values (default 1,024). Percentiles are exact over those, by the nearest rank. */
export class SampleWindow {
  readonly #values: number[] = [];
  readonly #size: number;
  #next = 0;
  #count = 0;

  constructor(size = 1_024) {
    this.#size = size;
  }

  add(value: number): void {
    this.#values[this.#next] = value;
    this.#next = (this.#next + 1) % this.#size;
    this.#count++;
  }

  /** All values ever added, those that fell out included. */
  get count(): number {
    return this.#count;
  }

  mean(): number {
    if (this.#values.length === 0) return 0;
    return this.#values.reduce((sum, value) => sum + value, 0) / this.#values.length;
  }

  /** The value at `rank` in (0, 1], or 0 when there is none. */
  percentile(rank: number): number {
    if (this.#values.length === 0) return 0;
    const sorted = this.#values.toSorted((a, b) => a - b);
    return sorted[Math.max(0, Math.ceil(rank * sorted.length) - 1)] ?? 0;
  }
}
