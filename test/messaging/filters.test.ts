// What filters let through, and what they say of what they do not.

import { describe, expect, test } from 'vitest';
import { compileCondition, type Judged } from '../../runtime/messaging/conditions.ts';
import { compileFilter, filteredError } from '../../runtime/messaging/filters.ts';
import { checkPayload, payloadBytes } from '../../runtime/messaging/payload.ts';

const message = (body: unknown, more: Partial<Judged> = {}): Judged => ({ type: 'order', body, ...more });

test.each([
  [{ path: 'body.total', greaterThan: 3 }, { total: 4 }, true],
  [{ path: 'body.total', greaterThan: 3 }, { total: 3 }, false],
  [{ path: 'body.total', greaterThan: 3 }, { total: '4' }, false],
  [{ path: 'body.total', lessThan: 3 }, {}, false],
  [{ path: 'body.a.b', equals: { x: 1, y: 2 } }, { a: { b: { y: 2, x: 1 } } }, true],
  [{ path: 'body.a', notEquals: 1 }, {}, true],
  [{ path: 'body.a', notEquals: 1 }, { a: 1 }, false],
  [{ path: 'body.a', exists: true }, { a: null }, false],
  [{ path: 'body.a', exists: false }, {}, true],
  [{ path: 'body.list.0', equals: 'first' }, { list: ['first'] }, true],
  [{ path: 'type', in: ['order', 'bill'] }, {}, true],
  [{ path: 'topic', equals: 'a.b' }, {}, true],
  [{ path: 'from', exists: true }, {}, false],
  [
    {
      all: [
        { path: 'body.a', equals: 1 },
        { path: 'body.b', equals: 2 },
      ],
    },
    { a: 1, b: 3 },
    false,
  ],
  [
    {
      any: [
        { path: 'body.a', equals: 1 },
        { path: 'body.b', equals: 2 },
      ],
    },
    { a: 1, b: 3 },
    true,
  ],
  [{ not: { path: 'body.a', equals: 1 } }, { a: 1 }, false],
  [{ path: 'body.constructor', exists: true }, {}, false],
  [{ path: 'body.length', exists: true }, 'text', false],
])('%j on %j: %s', (condition, body, expected) => {
  expect(compileCondition(condition, 'where')(message(body, { topic: 'a.b' }))).toBe(expected);
});

test.each([
  [{ path: 'secret', equals: 1 }, 'where.path'],
  [{ path: 'body..a', equals: 1 }, 'where.path'],
  [{ path: 'body.a' }, 'where'],
  [{ all: [{ path: 'type', equals: 1 }, { not: { path: 'x', equals: 1 } }] }, 'where.all.1.not.path'],
])('a condition that can never be judged is refused by its place: %j', (condition, path) => {
  expect(() => compileCondition(condition, 'where')).toThrow(
    expect.objectContaining({ code: 'invalid_input', details: { issues: [expect.objectContaining({ path })] } }),
  );
});

describe('a filter', () => {
  const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };

  test('names the places of a body that does not fit', () => {
    const filter = compileFilter({ schema });
    expect(filter(message({ n: 1 }))).toBeUndefined();
    expect(filter(message({ n: 'x' }))?.issues).toEqual([{ path: 'body.n', message: expect.any(String) }]);
    const refusal = filter(message(3));
    expect(refusal?.issues[0]?.path).toBe('body');
    expect(filteredError('channel news', refusal ?? { why: '', issues: [] })).toMatchObject({ code: 'filtered' });
  });

  test('needs schema and condition both', () => {
    const filter = compileFilter({ schema, where: { path: 'body.n', lessThan: 5 } });
    expect([1, 9].map((n) => filter(message({ n })) === undefined)).toEqual([true, false]);
  });

  test('is refused when its schema is none', () => {
    expect(() => compileFilter({ schema: { type: 'nonsense' } })).toThrow(
      expect.objectContaining({ code: 'invalid_input' }),
    );
  });
});

describe('the size of a body', () => {
  test.each([
    ['text', 'x'.repeat(1_000), 1_000],
    ['nested', { a: [{ b: 'x'.repeat(500) }, { b: 'x'.repeat(500) }] }, 1_000],
    ['binary', { data: new Uint8Array(1_000) }, 1_000],
  ])('of %s is near that of its JSON', (_what, body, least) => {
    const bytes = payloadBytes(body);
    expect(bytes).toBeGreaterThanOrEqual(least);
    expect(bytes).toBeLessThan(least + 60);
  });

  test('too large, or nested without end, is refused with the limit', () => {
    const ring: { self?: unknown } = {};
    ring.self = ring;
    expect(() => checkPayload('x'.repeat(100), 50)).toThrow(expect.objectContaining({ code: 'payload_too_large' }));
    expect(() => checkPayload(ring, 1_000_000)).toThrow(expect.objectContaining({ code: 'payload_too_large' }));
    expect(() => checkPayload('x'.repeat(40), 50)).not.toThrow();
  });
});
