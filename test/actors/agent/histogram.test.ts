import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DurationHistogram } from '../../../actors/agent/histogram.ts';

test('is 0 while nothing was recorded', () => {
  expect(new DurationHistogram().percentile(0.95)).toBe(0);
});

test('gives percentiles within 5 % of the true ones, 1 ms and above', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1, max: 86_400_000, noNaN: true }), { minLength: 1, maxLength: 300 }),
      fc.constantFrom(0.5, 0.95, 0.99, 1),
      (durations, share) => {
        const histogram = new DurationHistogram();
        for (const duration of durations) histogram.record(duration);
        const sorted = [...durations].sort((a, b) => a - b);
        const truth = sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? 0;
        expect(Math.abs(histogram.percentile(share) - truth) / truth).toBeLessThan(0.05);
      },
    ),
  );
});

test('keeps durations under 1 ms, and broken clocks, in the first bucket', () => {
  const histogram = new DurationHistogram();
  for (const duration of [0, 0.3, -5, Number.NaN]) histogram.record(duration);
  expect(histogram.count).toBe(4);
  expect(histogram.percentile(0.5)).toBeLessThan(1);
});
