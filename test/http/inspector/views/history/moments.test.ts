import { expect, test } from 'vitest';
import { barsOf, eventTone, momentWithin } from '../../../../../http/inspector/views/history/moments.ts';

test('there is a bar per bucket, empty ones too, with the failures in it', () => {
  const from = '2026-01-01T00:00:00.000Z';
  const bars = barsOf({
    from,
    to: '2026-01-01T00:00:05.000Z',
    bucketMs: 1_000,
    buckets: [{ at: '2026-01-01T00:00:03.000Z', counts: { 'task.completed': 4, 'task.dead': 1, 'node.lost': 1 } }],
  });
  expect(bars.map(({ total, bad }) => [total, bad])).toEqual([
    [0, 0],
    [0, 0],
    [0, 0],
    [6, 2],
    [0, 0],
  ]);
});

test.each([
  ['task.completed', 'good'],
  ['task.dead', 'bad'],
  ['supervision.restart', 'bad'],
  ['workflow.paused', 'warn'],
  ['agent.created', 'calm'],
])('%s is %s', (type, tone) => {
  expect(eventTone(type)).toBe(tone);
});

test.each([
  [undefined, 200],
  ['nonsense', 200],
  [new Date(50).toISOString(), 100],
  [new Date(150).toISOString(), 150],
])('the moment %s of a window lies at %d', (at, ms) => {
  expect(momentWithin(at, 100, 200)).toBe(ms);
});
