// Test functions for optimisers (swarm): all have their minimum 0, at the origin or at (1, ..., 1) for rosenbrock.

import { z } from 'zod';
import { assertNever } from '../../runtime/contracts/errors.ts';

const OBJECTIVES = ['sphere', 'rosenbrock', 'rastrigin', 'ackley'] as const;

export const objectiveSchema = z.enum(OBJECTIVES, {
  error: ({ input }) => `there is no function ${JSON.stringify(input)}; known: ${OBJECTIVES.join(', ')}`,
});
export type Objective = z.infer<typeof objectiveSchema>;

export function evaluateObjective(name: Objective, x: readonly number[]): number {
  switch (name) {
    case 'sphere':
      return sumOver(x, (value) => value * value);
    case 'rosenbrock':
      return sumOver(x.slice(1), (next, at) => 100 * (next - (x[at] ?? 0) ** 2) ** 2 + (1 - (x[at] ?? 0)) ** 2);
    case 'rastrigin':
      return sumOver(x, (value) => value * value - 10 * Math.cos(2 * Math.PI * value) + 10);
    case 'ackley':
      return ackley(x);
    default:
      return assertNever(name);
  }
}

function ackley(x: readonly number[]): number {
  const root = Math.sqrt(sumOver(x, (value) => value * value) / x.length);
  const waves = sumOver(x, (value) => Math.cos(2 * Math.PI * value)) / x.length;
  return -20 * Math.exp(-0.2 * root) - Math.exp(waves) + 20 + Math.E;
}

const sumOver = (values: readonly number[], term: (value: number, at: number) => number): number =>
  values.reduce((sum, value, at) => sum + term(value, at), 0);
