import { describe, expect, test } from 'vitest';
import {
  merged,
  OTHERS,
  OUTSIDE,
  sequenceOf,
  type Told,
  threadOf,
  wanted,
} from '../../../../../http/inspector/views/messages/sequence.ts';

let seq = 0;
const told = (from: string | null, to: string | null, atMs: number, more: Partial<Told> = {}): Told => {
  seq += 1;
  return {
    seq,
    atMs,
    sentAtMs: null,
    node: 'nod_1',
    thread: 1,
    from,
    to,
    kind: 'tell',
    protocol: 'direct',
    type: 'hello',
    messageId: `msg_${seq}`,
    correlation: null,
    trace: null,
    topic: null,
    channel: null,
    via: 'message-port',
    bytes: 10,
    ...more,
  };
};

describe('a sequence', () => {
  test('has lanes in the order in which agents appear in time, and an arrow per message', () => {
    const { lanes, arrows } = sequenceOf([told('b', 'c', 20), told(null, 'b', 10), told('c', 'c', 30)]);
    expect(lanes).toEqual([
      { id: OUTSIDE, messages: 1 },
      { id: 'b', messages: 2 },
      { id: 'c', messages: 2 },
    ]);
    expect(arrows.map(({ from, to }) => [from, to])).toEqual([
      [0, 1],
      [1, 2],
      [2, 2],
    ]);
  });

  test('an answer tells how long after its question it came, over nodes too', () => {
    const question = told('a', 'b', 105, { kind: 'ask', correlation: 'c1', sentAtMs: 100 });
    const reply = told('b', 'a', 130, { kind: 'reply', correlation: 'c1', node: 'nod_2' });
    const stray = told('b', 'a', 131, { kind: 'reply', correlation: 'c2' });
    const { arrows } = sequenceOf([question, reply, stray]);
    expect(arrows.map(({ answer, afterMs, underwayMs }) => [answer, afterMs, underwayMs])).toEqual([
      [false, null, 5],
      [true, 30, null],
      [true, null, null],
    ]);
  });

  test('of more agents than lanes the busiest have their own, the rest share one', () => {
    const busy = Array.from({ length: 5 }, (_, at) => told('x', 'y', at));
    const rest = Array.from({ length: 20 }, (_, at) => told('x', `z${at}`, 100 + at));
    const { lanes, arrows } = sequenceOf([...busy, ...rest], { lanes: 4 });
    expect(lanes).toHaveLength(4);
    expect(lanes.map(({ id }) => id)).toEqual(expect.arrayContaining(['x', 'y', OTHERS]));
    expect(arrows).toHaveLength(25);
  });

  test('a long pause is marked once', () => {
    const { arrows } = sequenceOf([told('a', 'b', 0), told('a', 'b', 500), told('a', 'b', 4_500)]);
    expect(arrows.map(({ pauseMs }) => pauseMs)).toEqual([null, null, 4_000]);
  });
});

test.each([
  ['an agent by name', { agent: 'ann' }, true],
  ['an agent by id', { agent: 'agt_1' }, true],
  ['another agent', { agent: 'bo' }, false],
  ['its type', { type: 'order.placed' }, true],
  ['a family of types', { type: 'order.*' }, true],
  ['a part of its type', { type: 'order' }, false],
  ['its correlation', { follow: 'c1' }, true],
  ['its trace', { follow: 't1' }, true],
  ['another conversation', { follow: 'c2' }, false],
  ['another protocol', { protocol: 'broadcast' }, false],
  ['all at once', { agent: 'ann', type: 'order.*', follow: 'c1', protocol: 'direct' }, true],
])('a filter by %s', (_name, filter, fits) => {
  const one = told('agt_1', null, 1, { type: 'order.placed', correlation: 'c1', trace: 't1' });
  expect(wanted(one, filter, new Map([['agt_1', 'ann']]))).toBe(fits);
});

test('a conversation is followed by its trace, else its correlation, else itself', () => {
  expect(threadOf(told('a', 'b', 1, { trace: 't', correlation: 'c' }))).toBe('t');
  expect(threadOf(told('a', 'b', 1, { correlation: 'c' }))).toBe('c');
  expect(threadOf(told('a', 'b', 1, { messageId: 'm' }))).toBe('m');
});

test('what is kept is each message once, the newest', () => {
  const [a, b, c] = [told('a', 'b', 1), told('a', 'b', 2), told('a', 'b', 3)];
  const known = merged([], [a, b], 2);
  expect(merged(known, [b], 2)).toBe(known);
  expect(merged(known, [b, c], 2)).toEqual([b, c]);
});
