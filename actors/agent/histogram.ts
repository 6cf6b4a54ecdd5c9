// A histogram of durations in a fixed number of buckets: constant memory an agent, constant time a record.

/** Buckets grow by 2^(1/8), about 9 %: a percentile read back is within 5 % of the true value. */
const STEPS_PER_DOUBLING = 8;
/** From 1 ms up to 2^27 ms, longer than a task may last (24 h). */
const BUCKETS = 27 * STEPS_PER_DOUBLING + 1;

/** Durations in milliseconds. The counts are allocated with the first record: an idle agent costs nothing. */
export class DurationHistogram {
  #counts: Uint32Array | undefined;
  #total = 0;
  #maxMs = 0;

  get count(): number {
    return this.#total;
  }

  record(durationMs: number): void {
    this.#counts ??= new Uint32Array(BUCKETS);
    const at = bucketOf(durationMs);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#total++;
    if (durationMs > this.#maxMs) this.#maxMs = durationMs;
  }

  /** The duration that `share` (0 to 1) of all records did not exceed; 0 while there are none. */
  percentile(share: number): number {
    if (this.#counts === undefined) return 0;
    const rank = Math.max(1, Math.ceil(share * this.#total));
    let seen = 0;
    for (let at = 0; at < BUCKETS; at++) {
      seen += this.#counts[at] ?? 0;
      if (seen >= rank) return Math.min(middleOf(at), this.#maxMs);
    }
    return this.#maxMs;
  }
}

function bucketOf(durationMs: number): number {
  if (!(durationMs >= 1)) return 0;
  return Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(durationMs) * STEPS_PER_DOUBLING));
}

function middleOf(bucket: number): number {
  return bucket === 0 ? 0.5 : 2 ** ((bucket - 0.5) / STEPS_PER_DOUBLING);
}
