// Seeded randomness whose state is one number, so that it can be part of a state: the same state gives the same numbers again. Pure.

const RANGE = 4_294_967_296;

/** mulberry32. Draws change only this object; `state` is what a pattern keeps between two events. */
export interface Random {
  /** A 32-bit integer. */
  readonly state: number;
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
  /** A whole number in [0, count). */
  below(count: number): number;
}

export function randomFrom(state: number): Random {
  let current = state | 0;
  const next = () => {
    current = (current + 0x6d2b79f5) | 0;
    let mixed = Math.imul(current ^ (current >>> 15), 1 | current);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / RANGE;
  };
  return {
    get state() {
      return current;
    },
    next,
    between: (low, high) => low + next() * (high - low),
    below: (count) => Math.floor(next() * count),
  };
}
