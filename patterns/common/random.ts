// Seeded randomness whose whole state is one number, so that it lives in the state of a run and is replayed with it. Pure.

/** A number in [0, 1) and the generator as it is afterwards (mulberry32). */
export interface Drawn {
  readonly value: number;
  readonly next: number;
}

export function draw(generator: number): Drawn {
  const next = (generator + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), 1 | next);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return { value: ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296, next };
}

/** A copy in random order (Fisher and Yates), and the generator afterwards. */
export function shuffled<T>(items: readonly T[], generator: number): { readonly items: T[]; readonly next: number } {
  const copy = [...items];
  let next = generator;
  for (let last = copy.length - 1; last > 0; last--) {
    const drawn = draw(next);
    next = drawn.next;
    const other = Math.floor(drawn.value * (last + 1));
    [copy[last], copy[other]] = [copy[other] as T, copy[last] as T];
  }
  return { items: copy, next };
}

/** The same numbers for a decision that draws many: draws change only this object, `state` is what is kept between two events. */
export interface Random {
  readonly state: number;
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform in [low, high). */
  between(low: number, high: number): number;
}

export function randomFrom(generator: number): Random {
  let state = generator | 0;
  const next = () => {
    const drawn = draw(state);
    state = drawn.next;
    return drawn.value;
  };
  return {
    get state() {
      return state;
    },
    next,
    between: (low, high) => low + next() * (high - low),
  };
}
