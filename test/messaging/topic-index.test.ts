// Which patterns a topic fits, as a table and against a second way to say it.

import { describe, expect, test } from 'vitest';
import { topicPatternSchema, topicSchema } from '../../runtime/contracts/messages.ts';
import { TopicIndex } from '../../runtime/messaging/topic-index.ts';
import { seededRandom } from '../../runtime/testing/seeded-random.ts';

const fits = (pattern: string, topic: string): boolean => {
  const index = new TopicIndex<number>();
  index.add(pattern, 1);
  return index.match(topic).size === 1;
};

test.each([
  ['orders.created', 'orders.created', true],
  ['orders.created', 'orders.created.eu', false],
  ['orders.created', 'orders', false],
  ['orders.*', 'orders.created', true],
  ['orders.*', 'orders', false],
  ['orders.*', 'orders.created.eu', false],
  ['*.created', 'orders.created', true],
  ['*.created', 'orders.deleted', false],
  ['orders.*.eu', 'orders.created.eu', true],
  ['orders.**', 'orders.created', true],
  ['orders.**', 'orders.created.eu.west', true],
  ['orders.**', 'orders', false],
  ['*.**', 'orders.created', true],
  ['*.**', 'orders', false],
  ['*', 'orders', true],
  ['*', 'orders.created', false],
  ['**', 'orders', true],
  ['**', 'orders.created.eu', true],
  ['orders.*', 'orderss.created', false],
])('%s and %s: %s', (pattern, topic, expected) => {
  expect(topicPatternSchema.safeParse(pattern).success).toBe(true);
  expect(topicSchema.safeParse(topic).success).toBe(true);
  expect(fits(pattern, topic)).toBe(expected);
});

test('a value with several patterns that fit is found once', () => {
  const index = new TopicIndex<string>();
  for (const pattern of ['a.b', 'a.*', '*.b', 'a.**', '**']) index.add(pattern, 'one');
  index.add('a.c', 'other');
  expect([...index.match('a.b')]).toEqual(['one']);
});

test('finds what comparing segment by segment finds', () => {
  const random = seededRandom(7);
  const pick = (from: readonly string[]): string => from[Math.floor(random() * from.length)] ?? '';
  const words = (count: number, from: readonly string[]) => Array.from({ length: count }, () => pick(from));
  for (let round = 0; round < 2_000; round++) {
    const segments = words(1 + Math.floor(random() * 3), ['a', 'b', '*']);
    const pattern = [...segments, ...(random() < 0.3 ? ['**'] : [])].join('.');
    const topic = words(1 + Math.floor(random() * 4), ['a', 'b', 'c']).join('.');
    expect([pattern, topic, fits(pattern, topic)]).toEqual([pattern, topic, expression(pattern).test(topic)]);
  }
});

function expression(pattern: string): RegExp {
  const parts = pattern.split('.').map((part) => (part === '**' ? '.+' : part === '*' ? '[^.]+' : part));
  return new RegExp(`^${parts.join('\\.')}$`);
}

describe('what is no topic', () => {
  test.each(['', '.', 'a.', '.a', 'a..b', 'a b', 'a.*', '*', 'a\n'])('%j', (topic) => {
    expect(topicSchema.safeParse(topic).success).toBe(false);
  });
  test.each(['', '.', 'a.', '**.a', 'a.**.b', 'a*', '***', 'a b'])('nor a pattern: %j', (pattern) => {
    expect(topicPatternSchema.safeParse(pattern).success).toBe(false);
  });
});
