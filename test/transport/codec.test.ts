import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, encode } from '../../runtime/transport/codec.ts';
import { isPlain, portable } from '../../runtime/transport/plain.ts';

const anything = fc.anything({
  withBigInt: true,
  withDate: true,
  withMap: true,
  withSet: true,
  withTypedArray: true,
  withSparseArray: true,
  withNullPrototype: true,
  withBoxedValues: true,
  values: [
    fc.string({ unit: 'binary' }),
    fc.string({ unit: 'binary', minLength: 60, maxLength: 200 }),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.constant(undefined),
    fc.maxSafeInteger(),
  ],
});

test('the codec gives what a structured clone gives, for everything it says it can carry', () => {
  fc.assert(
    fc.property(anything, (value) => {
      fc.pre(isPlain(value));
      expect(decode(encode([value, 1, value]))).toStrictEqual([structuredClone(value), 1, structuredClone(value)]);
    }),
    { numRuns: 2_000 },
  );
});

test('JSON is plain and survives a batch of bodies with the same and with other keys', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue({ noUnicodeString: false }), { minLength: 1, maxLength: 200 }), (bodies) => {
      fc.pre(bodies.every((body) => isPlain(body)));
      expect(decode(encode(bodies))).toEqual(structuredClone(bodies));
    }),
    { numRuns: 200 },
  );
});

test.each([
  ['a function', () => 1],
  ['a nested function', { a: [{ f: () => 1 }] }],
  ['a symbol', Symbol('s')],
  ['a class instance', new (class X {})()],
  ['a date', new Date(0)],
  ['a map', new Map()],
  ['bytes', new Uint8Array(3)],
  ['an error', new Error('e')],
  ['a big integer', 1n],
  ['minus zero', -0],
  ['an array with a hole', Object.assign(new Array(3), { 0: 1, 2: 2 })],
  ['an array with a name', Object.assign([1], { extra: 1 })],
  ['an own __proto__', JSON.parse('{"__proto__":{"a":1}}')],
  ['a long text with a lone surrogate', `${'x'.repeat(80)}\ud800`],
])('%s is not plain', (_name, value) => {
  expect(isPlain(value)).toBe(false);
});

test('a cycle and a deep nest are not plain', () => {
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  let deep: unknown = 1;
  for (let at = 0; at < 60; at++) deep = [deep];
  expect([isPlain(cycle), isPlain(deep)]).toEqual([false, false]);
});

test('portable keeps what is plain, clones what is not, and throws for what has no clone', () => {
  const plain = { a: [1, 'x', null, true] };
  expect(portable(plain).value).toBe(plain);
  const date = new Date(1);
  expect(portable(date)).toEqual({ value: date, plain: false });
  expect(portable(date).value).not.toBe(date);
  expect(() => portable({ f: () => 1 })).toThrow(expect.objectContaining({ code: 25 }));
});

test('encoded buffers are exact and independent of each other', () => {
  const first = encode([1, { a: 1 }]);
  const second = encode([2, { a: 2 }]);
  expect(first.byteLength).toBeLessThan(32);
  expect([decode(first), decode(second)]).toEqual([
    [1, { a: 1 }],
    [2, { a: 2 }],
  ]);
});
