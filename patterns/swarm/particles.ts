// Particles (Kennedy and Eberhart 1995, inertia and pulls after Clerc and Kennedy 2002): each is drawn to its own best and to the best
// of all, as it is known when the particle moves. Pure.

import type { Random } from '../common/random.ts';
import type { Search } from './search.ts';

export function particleSearch({
  bounds = [],
  w,
  c1,
  c2,
  velocityClamp,
  atBounds,
}: {
  readonly bounds?: readonly (readonly [number, number])[] | undefined;
  readonly w: number;
  readonly c1: number;
  readonly c2: number;
  readonly velocityClamp: number;
  readonly atBounds: 'reflect' | 'clamp';
}): Search {
  const fastest = bounds.map(([low, high]) => (high - low) * velocityClamp);

  /** A place at random, and half of the way to another one as velocity (SPSO 2006). */
  const scatter: Search['scatter'] = (_state, random) => {
    const at = bounds.map(([low, high]) => random.between(low, high));
    const velocity = bounds.map(([low, high], axis) =>
      clamp((random.between(low, high) - (at[axis] ?? 0)) / 2, fastest[axis] ?? 0),
    );
    return { at, velocity };
  };

  const move: Search['move'] = (state, random, member) => {
    const own = member.best?.at ?? member.at;
    const all = state.best?.at ?? own;
    const moved = bounds.map(([low, high], axis) => {
      const x = member.at[axis] ?? low;
      const pull = pullOf(random, c1, own[axis] ?? x, x) + pullOf(random, c2, all[axis] ?? x, x);
      const v = clamp(w * (member.velocity[axis] ?? 0) + pull, fastest[axis] ?? 0);
      return within(x + v, v, low, high, atBounds);
    });
    return { at: moved.map(({ x }) => x), velocity: moved.map(({ v }) => v) };
  };

  return { scatter, move, learn: () => undefined, input: (x) => ({ x }), shown: (x) => x };
}

const pullOf = (random: Random, strength: number, goal: number, x: number): number =>
  strength * random.next() * (goal - x);

const clamp = (value: number, most: number): number => Math.max(-most, Math.min(most, value));

function within(x: number, v: number, low: number, high: number, atBounds: 'reflect' | 'clamp') {
  if (x >= low && x <= high) return { x, v };
  const bound = x < low ? low : high;
  if (atBounds === 'clamp') return { x: bound, v: 0 };
  // a step is no longer than the range, so one mirror is enough; the clamp is for rounding
  return { x: Math.max(low, Math.min(high, 2 * bound - x)), v: -v };
}
