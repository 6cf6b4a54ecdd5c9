import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { defineStrategy, strategiesOf } from '../../runtime/library/define-strategy.ts';

const mine = defineStrategy({
  name: 'mine',
  options: z.strictObject({ times: z.number().int().default(3) }),
  check: () => null,
  start: (_workflow, { times }) => ({ state: { left: times }, commands: [], decisions: [] }),
  // the types of options and state are inferred: arithmetic on either compiles
  decide: (_workflow, { times }, state, _event) => ({
    state: { left: Math.min(times, state.left - 1) },
    commands: [],
    decisions: [],
  }),
  steps: (_workflow, _options, state) => [{ id: 'a', state: 'blocked', round: state?.left ?? 0, dependsOn: [] }],
});

const { options, check, start, decide, steps } = mine;
const parts = { name: 'mine', options, check, start, decide, steps };

describe('defineStrategy', () => {
  it.each<[string, unknown, string]>([
    ['nothing', null, 'a strategy is an object, not null'],
    ['no name', { ...parts, name: undefined }, 'the name of a strategy is of small letters'],
    ['a name with blanks', { ...parts, name: 'My Own' }, 'not "My Own"'],
    ['half a revision', { ...parts, revision: 1.5 }, 'revision of strategy "mine" is a whole number'],
    ['options that are no schema', { ...parts, options: { times: 3 } }, 'options of strategy "mine" is a zod schema'],
    ['no check', { ...parts, check: undefined }, 'check of strategy "mine" is a function, not undefined'],
    ['no start', { ...parts, start: undefined }, 'start of strategy'],
    ['no decide', { ...parts, decide: 'later' }, 'decide of strategy "mine" is a function, not "later"'],
    ['no steps', { ...parts, steps: [] }, 'steps of strategy'],
    ['a picture that is none', { ...parts, picture: {} }, 'picture of strategy "mine" is a function or left out'],
  ])('refuses %s', (_, strategy, words) => {
    const define = () => defineStrategy(strategy as CoordinationStrategy);
    expect(define).toThrow(
      expect.objectContaining({ code: 'config_invalid', message: expect.stringContaining(words) }),
    );
  });

  it('gives the strategy back', () => {
    expect(defineStrategy(mine)).toBe(mine);
  });
});

describe('the strategies of a node', () => {
  const shipped = [sequential, parallel] as readonly CoordinationStrategy[];
  const own = mine as CoordinationStrategy;

  it('are the shipped ones and those of the user', () => {
    expect(strategiesOf(shipped, [own]).map(({ name }) => name)).toEqual(['sequential', 'parallel', 'mine']);
  });

  it.each<[string, readonly CoordinationStrategy[], string]>([
    ['a name that is taken', [{ ...own, name: 'parallel' }], '"parallel" comes with the package'],
    ['one name twice', [own, { ...own }], '"mine" is given twice'],
    ['what is no strategy', [{ ...own, decide: undefined as never }], 'decide of strategy "mine"'],
  ])('refuse %s', (_, given, words) => {
    expect(() => strategiesOf(shipped, given)).toThrow(words);
  });
});
