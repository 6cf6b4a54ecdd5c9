import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { backoffSchema } from '../../runtime/contracts/supervision.ts';
import { NO_BACKOFF, nextBackoff } from '../../runtime/supervision/backoff.ts';

const plain = backoffSchema.parse({ minMs: 100, maxMs: 1_000, factor: 2, jitter: 0, resetAfterMs: 60_000 });

describe('nextBackoff', () => {
  it('doubles up to its maximum', () => {
    const delays: number[] = [];
    let state = NO_BACKOFF;
    for (let restart = 0; restart < 6; restart++) {
      const next = nextBackoff(state, plain, { nowMs: restart, random: 0.5 });
      delays.push(next.delayMs);
      state = next.state;
    }
    expect(delays).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  });

  it('begins anew after calm, counted from the restart and not from the failure', () => {
    const first = nextBackoff(NO_BACKOFF, plain, { nowMs: 0, random: 0.5 });
    const restartedAtMs = first.delayMs;
    const hasty = nextBackoff(first.state, plain, { nowMs: restartedAtMs + 59_999, random: 0.5 });
    const calm = nextBackoff(first.state, plain, { nowMs: restartedAtMs + 60_000, random: 0.5 });
    expect([hasty.delayMs, calm.delayMs]).toEqual([200, 100]);
  });

  test.each([
    ['the least at random 0', 0, 80],
    ['the middle at random 0.5', 0.5, 100],
    ['nearly the most at random 0.999', 0.999, 120],
  ])('varies by the jitter: %s', (_name, random, expected) => {
    expect(nextBackoff(NO_BACKOFF, { ...plain, jitter: 0.2 }, { nowMs: 0, random }).delayMs).toBe(expected);
  });

  it('stays finite and within its bounds however often it is asked', () => {
    const settings = fc.record({
      minMs: fc.integer({ min: 0, max: 1_000 }),
      maxMs: fc.integer({ min: 1_000, max: 100_000 }),
      factor: fc.double({ min: 1, max: 100, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
      resetAfterMs: fc.constant(60_000),
    });
    fc.assert(
      fc.property(
        settings,
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        fc.nat(2_000),
        (backoff, random, attempts) => {
          const { delayMs } = nextBackoff({ attempts, lastAtMs: 0 }, backoff, { nowMs: 1, random });
          expect(Number.isFinite(delayMs)).toBe(true);
          expect(delayMs).toBeGreaterThanOrEqual(0);
          expect(delayMs).toBeLessThanOrEqual(backoff.maxMs * (1 + backoff.jitter) + 1);
        },
      ),
    );
  });
});
