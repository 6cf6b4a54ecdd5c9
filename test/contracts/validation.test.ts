// Where a failed parse says that it went wrong.

import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseInput, placesOf } from '../../runtime/contracts/validation.ts';

const join = z.union([z.enum(['all', 'any']), z.strictObject({ quorum: z.number().int().min(1) })]);
const rule = z.union([
  z.enum(['majority']),
  z.strictObject({ supermajority: z.number().max(1) }),
  z.strictObject({ ranked: z.enum(['borda', 'irv']) }),
]);
const schema = z.strictObject({ join: join.optional(), rule: rule.optional(), n: z.number().optional() });

describe('a failed parse', () => {
  const cases: [what: string, input: unknown, path: string, says: RegExp][] = [
    ['a field of another type', { n: 'x' }, 'n', /expected number/],
    ['a key that is not known', { joins: 'all' }, 'joins', /Unrecognized key: "joins"/],
    ['no alternative: what would do is said', { join: 'most' }, 'join', /"all"\|"any"/],
    ['the alternative that was meant, and the place in it', { join: { quorum: 0 } }, 'join.quorum', />=1/],
    ['one of several objects', { rule: { supermajority: 2 } }, 'rule.supermajority', /<=1/],
    [
      'an object like none of them',
      { rule: { rank: 'irv' } },
      'rule',
      /"majority".*, or supermajority: .*, or .*ranked: /,
    ],
  ];
  test.each(cases)('names %s', (_what, input, path, says) => {
    const places = placesOf(z.safeParse(schema, input).error ?? { issues: [] });
    expect(places.map((place) => place.path.join('.'))).toEqual([path]);
    expect(places[0]?.message).toMatch(says);
    expect(() => parseInput(schema, input)).toThrow(path);
  });

  test('names every key that is not known', () => {
    const { error } = z.safeParse(schema, { a: 1, b: 2 });
    expect(placesOf(error ?? { issues: [] }).map(({ path }) => path)).toEqual([['a'], ['b']]);
  });
});
