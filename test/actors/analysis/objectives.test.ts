import { describe, expect, it } from 'vitest';
import { evaluateObjective, type Objective, objectiveSchema } from '../../../actors/analysis/functions.ts';
import { type PathCostInput, pathCost } from '../../../actors/analysis/path-cost.ts';
import { seededRandom } from '../../kit/coordination-simulator.ts';

const MINIMA = [
  ['sphere', 0],
  ['rosenbrock', 1],
  ['rastrigin', 0],
  ['ackley', 0],
] as const satisfies readonly (readonly [Objective, number])[];

describe('function.evaluate', () => {
  it.each(MINIMA.flatMap(([name, at]) => [2, 5, 30].map((dimensions) => [name, dimensions, at] as const)))(
    '%s in %i dimensions is 0 where every coordinate is %d, and higher everywhere around',
    (name, dimensions, at) => {
      const minimum = Array.from({ length: dimensions }, () => at);
      expect(evaluateObjective(name, minimum)).toBeCloseTo(0, 12);
      const random = seededRandom(dimensions);
      for (let round = 0; round < 200; round++) {
        const reach = 10 ** (1 - (round % 5));
        const near = minimum.map((value) => value + reach * (random() * 2 - 1));
        expect(evaluateObjective(name, near)).toBeGreaterThan(0);
      }
    },
  );

  it('lists what it knows when it is asked for another function', () => {
    const { error } = objectiveSchema.safeParse('griewank');
    expect(error?.issues.map(({ message }) => message)).toEqual([
      'there is no function "griewank"; known: sphere, rosenbrock, rastrigin, ackley',
    ]);
  });
});

describe('path.cost', () => {
  it.each<[string, PathCostInput, number]>([
    [
      'a path',
      {
        path: ['a', 'b', 'c'],
        edges: [
          ['a', 'b', 1.5],
          ['b', 'c', 2],
        ],
      },
      3.5,
    ],
    [
      'edges walked the other way',
      {
        path: ['a', 'b', 'c'],
        edges: [
          ['b', 'a', 1],
          ['c', 'b', 2],
        ],
      },
      3,
    ],
    [
      'a tour',
      {
        path: ['a', 'b', 'c'],
        edges: [
          ['a', 'b', 1],
          ['b', 'c', 2],
          ['c', 'a', 4],
        ],
      },
      7,
    ],
  ])('adds up %s', (_, input, score) => {
    expect(pathCost(input)).toEqual({ ok: true, score });
  });

  it.each<[string, PathCostInput, string]>([
    [
      'an edge of other nodes',
      {
        path: ['a', 'b', 'c'],
        edges: [
          ['a', 'b', 1],
          ['a', 'c', 2],
        ],
      },
      'edges[1] does not join "b" and "c"',
    ],
    [
      'a tour that is not closed',
      {
        path: ['a', 'b', 'c'],
        edges: [
          ['a', 'b', 1],
          ['b', 'c', 2],
          ['b', 'a', 4],
        ],
      },
      'edges[2]',
    ],
    ['too few edges', { path: ['a', 'b', 'c'], edges: [['a', 'b', 1]] }, 'has 2 edges, a tour 3; given are 1'],
  ])('says why it refuses %s', (_, input, reason) => {
    const cost = pathCost(input);
    expect(cost.ok ? '' : cost.reason).toContain(reason);
  });
});
