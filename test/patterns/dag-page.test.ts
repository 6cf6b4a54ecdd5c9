// A page of a graph's steps is what a slice of all of them would be.

import { expect, it } from 'vitest';
import { parallel } from '../../patterns/parallel.ts';
import { prepare, seededRandom, simulate } from '../kit/coordination-simulator.ts';
import { richGraph } from '../kit/workflows.ts';

const RANGES = [
  [0, 3],
  [2, 5],
  [4, 1_000],
  [0, 0],
  [900, 1_000],
] as const;

it.each([1, 2, 3, 5, 8, 13, 21])('before, while and after a run, undos included (seed %i)', (seed) => {
  const body = { tasks: richGraph(seed), onFailure: 'compensate' as const };
  const { workflow, options } = prepare(parallel, body);
  const states: (Parameters<typeof parallel.steps>[2] | null)[] = [null];
  const watched = {
    ...parallel,
    decide: ((...event) => {
      const verdict = parallel.decide(...event);
      states.push(verdict.state);
      return verdict;
    }) satisfies typeof parallel.decide,
  };
  const random = seededRandom(seed);
  simulate(watched, body, { seed, outcome: () => (random() < 0.2 ? { fails: 'by chance' } : { output: {} }) });
  expect(states.length).toBeGreaterThan(2);
  for (const state of states) {
    const all = parallel.steps(workflow, options, state);
    for (const [from, to] of RANGES)
      expect(parallel.page?.(workflow, options, state, { from, to })).toEqual({
        steps: all.slice(from, to),
        total: all.length,
      });
  }
});
