import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { addRestart } from '../../runtime/supervision/restart-intensity.ts';

function firstExceeded(timesMs: readonly number[], intensity: { maxRestarts: number; withinMs: number }): number {
  let restartsAtMs: readonly number[] = [];
  for (const [index, atMs] of timesMs.entries()) {
    const verdict = addRestart(restartsAtMs, atMs, intensity);
    if (verdict.exceeded) return index + 1;
    restartsAtMs = verdict.restartsAtMs;
  }
  return 0;
}

describe('addRestart (OTP: more than MaxR restarts within MaxT)', () => {
  test.each<[string, number[], { maxRestarts: number; withinMs: number }, number]>([
    ['exactly MaxR restarts are allowed', [0, 1, 2], { maxRestarts: 3, withinMs: 5_000 }, 0],
    ['one more is not', [0, 1, 2, 3], { maxRestarts: 3, withinMs: 5_000 }, 4],
    ['MaxR 0 allows none', [0], { maxRestarts: 0, withinMs: 5_000 }, 1],
    ['old restarts are forgotten', [0, 1, 5_002, 5_003], { maxRestarts: 2, withinMs: 5_000 }, 0],
    ['one that is exactly MaxT old still counts', [0, 5_000], { maxRestarts: 1, withinMs: 5_000 }, 2],
    ['one that is a millisecond older does not', [0, 5_001], { maxRestarts: 1, withinMs: 5_000 }, 0],
    [
      'the window slides: it is no counter that starts anew',
      [0, 4_000, 6_000, 8_000],
      { maxRestarts: 2, withinMs: 5_000 },
      4,
    ],
    ['a slow trickle never exceeds', [0, 10, 20, 30, 40].map((s) => s * 1_000), { maxRestarts: 1, withinMs: 5_000 }, 0],
  ])('%s', (_name, times, intensity, expected) => {
    expect(firstExceeded(times, intensity)).toBe(expected);
  });

  it('agrees with counting all restarts of the window, and remembers no more than it needs', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 2_000 }), { maxLength: 60 });
    fc.assert(
      fc.property(
        gaps,
        fc.integer({ min: 0, max: 6 }),
        fc.integer({ min: 1, max: 5_000 }),
        (steps, maxRestarts, withinMs) => {
          let now = 0;
          const all: number[] = [];
          let kept: readonly number[] = [];
          for (const step of steps) {
            now += step;
            all.push(now);
            const verdict = addRestart(kept, now, { maxRestarts, withinMs });
            kept = verdict.restartsAtMs;
            expect(verdict.exceeded).toBe(all.filter((at) => at >= now - withinMs).length > maxRestarts);
            expect(kept.length).toBeLessThanOrEqual(maxRestarts + 1);
          }
        },
      ),
    );
  });
});
