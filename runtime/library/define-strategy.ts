// A strategy of a user, checked where it is written: a part that is missing would otherwise show in the first run.

import type { CoordinationStrategy } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';

const NAME = /^[a-z][a-z0-9-]{0,49}$/;
const NEEDED = ['check', 'start', 'decide', 'steps'] as const;
const OPTIONAL = ['select', 'capabilities', 'picture', 'progress'] as const;

/**
 * A coordination pattern of your own: a pure decider (no clock, no random, no I/O; see {@link CoordinationStrategy}). The types of
 * options and state follow from `options` and `start`. Hand it to `createTroupe({ strategies })`: it runs on the main thread, and every
 * node of a cluster needs the same ones, for any of them may continue a run. Check it with `strategyConformance` of `troupe/testing`.
 * @throws RuntimeError `config_invalid` naming the part that is missing or wrong.
 *
 * @example
 * const countdown = defineStrategy({
 *   name: 'countdown',
 *   options: z.strictObject({ from: z.number().int().min(1).default(3) }),
 *   check: () => null,
 *   start: (_workflow, { from }) => ({ state: { left: from }, commands: [...], decisions: [] }),
 *   decide: (workflow, options, state, event) => ...,
 *   steps: () => [],
 * });
 */
export function defineStrategy<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
): CoordinationStrategy<Options, State> {
  checkStrategy(strategy);
  return strategy;
}

/** Refuses what is no strategy; JavaScript users and modules of others have no compiler to tell them. */
export function checkStrategy(strategy: unknown): void {
  if (typeof strategy !== 'object' || strategy === null) throw wrong('a strategy', 'is an object', strategy);
  const parts = strategy as Record<string, unknown>;
  const { name, revision = 1, options } = parts;
  if (typeof name !== 'string' || !NAME.test(name))
    throw wrong('the name of a strategy', 'is of small letters, digits and dashes, 50 at most', name);
  if (!Number.isInteger(revision) || Number(revision) < 1)
    throw wrong(`the revision of strategy "${name}"`, 'is a whole number from 1', revision);
  if (typeof (options as { safeParse?: unknown } | null | undefined)?.safeParse !== 'function')
    throw wrong(`options of strategy "${name}"`, 'is a zod schema with defaults', options);
  for (const part of NEEDED) {
    if (typeof parts[part] !== 'function') throw wrong(`${part} of strategy "${name}"`, 'is a function', parts[part]);
  }
  for (const part of OPTIONAL) {
    if (parts[part] !== undefined && typeof parts[part] !== 'function')
      throw wrong(`${part} of strategy "${name}"`, 'is a function or left out', parts[part]);
  }
}

/** All strategies of a node: each well-formed, each name once. */
export function strategiesOf(
  shipped: readonly CoordinationStrategy[],
  own: readonly CoordinationStrategy[],
): readonly CoordinationStrategy[] {
  own.forEach(checkStrategy);
  const all = [...shipped, ...own];
  const twice = all.find(({ name }, at) => all.findIndex((other) => other.name === name) !== at);
  if (twice) {
    const which = shipped.some(({ name }) => name === twice.name) ? 'comes with the package' : 'is given twice';
    throw new RuntimeError('config_invalid', `strategies: "${twice.name}" ${which}; choose another name`);
  }
  return all;
}

function wrong(what: string, rule: string, given: unknown): RuntimeError {
  const shown = typeof given === 'string' ? JSON.stringify(given) : given === null ? 'null' : typeof given;
  return new RuntimeError('config_invalid', `${what} ${rule}, not ${shown}`);
}
