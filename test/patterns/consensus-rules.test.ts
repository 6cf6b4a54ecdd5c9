// The rules by hand-counted examples, and the early stop against every way the missing ballots could come.

import { describe, expect, it } from 'vitest';
import { readBallot } from '../../patterns/consensus/ballot.ts';
import { medianOf, trimmedMedian } from '../../patterns/consensus/median.ts';
import { type ConsensusOptions, consensusOptionsSchema } from '../../patterns/consensus/options.ts';
import { borda, instantRunOff, optionsOf } from '../../patterns/consensus/ranked.ts';
import { type Cast, count, isFixed } from '../../patterns/consensus/rules.ts';
import { seededRandom } from '../kit/coordination-simulator.ts';

const optionsFor = (given: object): ConsensusOptions => consensusOptionsSchema.parse(given);

function casting(options: ConsensusOptions, answers: readonly unknown[], weights: readonly number[] = []): Cast[] {
  return answers.flatMap((answer, seat) => {
    const read = readBallot(options, answer);
    return read.ok ? [{ seat, vote: read.vote, weight: weights[seat] ?? 1 }] : [];
  });
}

describe('an answer becomes a ballot', () => {
  it.each<[string, object, unknown, unknown, unknown]>([
    ['text is trimmed, folded, its spaces collapsed', {}, '  New\n York ', 'new york', true],
    ['composed and decomposed letters are the same', {}, 'caf\u00e9', 'CAFE\u0301', true],
    ['other texts differ', {}, 'yes', 'no', false],
    ['the order of keys does not matter', {}, { a: 1, b: [2] }, { b: [2], a: 1 }, true],
    ['a number is no text', {}, 5, '5', false],
    ['a path leads to it', { ballot: 'a.0.b' }, { a: [{ b: 'X' }], c: 1 }, { a: [{ b: 'x ' }] }, true],
    ['numbers may be written as text for a median', { rule: { median: {} } }, '42', 42, true],
    ['rankings are folded too', { rule: { ranked: 'irv' } }, ['A', 'b'], ['a ', 'B'], true],
  ])('%s', (_, given, left, right, same) => {
    const options = optionsFor(given);
    const [a, b] = [readBallot(options, left), readBallot(options, right)];
    expect(a.ok && b.ok).toBe(true);
    expect(a.ok && b.ok && a.vote.key === b.vote.key).toBe(same);
  });

  it.each<[string, object, unknown, string]>([
    ['null', {}, null, 'no_ballot'],
    ['a missing path', { ballot: 'verdict' }, { other: 1 }, 'no_ballot'],
    ['empty text', {}, '  ', 'no_ballot'],
    ['no number', { rule: { median: {} } }, 'many', 'not_a_number'],
    ['no array', { rule: { ranked: 'borda' } }, 'a', 'not_a_ranking'],
    ['an option twice', { rule: { ranked: 'borda' } }, ['a', 'A'], 'not_a_ranking'],
    ['what is no choice', { choices: ['yes', 'no'] }, 'maybe', 'not_a_choice'],
    ['a ranking of what is no choice', { choices: ['a', 'b'], rule: { ranked: 'irv' } }, ['a', 'c'], 'not_a_choice'],
  ])('%s is no valid ballot', (_, given, answer, reason) => {
    expect(readBallot(optionsFor(given), answer)).toEqual({ ok: false, reason });
  });
});

describe('a rule counts', () => {
  it.each<[string, object, unknown[], string, unknown]>([
    ['more than half', {}, ['A', 'A', 'B', 'A'], 'decided', 'A'],
    ['the most in the last round', {}, ['A', 'A', 'B', 'C', 'D'], 'decided', 'A'],
    ['two equally first', {}, ['A', 'A', 'B', 'B', 'C'], 'tie', undefined],
    ['two thirds', { rule: { supermajority: 0.66 } }, ['A', 'A', 'B'], 'decided', 'A'],
    ['0.67 of three is three', { rule: { supermajority: 0.67 } }, ['A', 'A', 'B'], 'short', undefined],
    [
      'a share that rounding would miss',
      { rule: { supermajority: 0.55 } },
      [...Array(11).fill('A'), ...Array(9).fill('B')],
      'decided',
      'A',
    ],
    ['all alike', { rule: 'unanimity' }, ['A', 'a', 'A'], 'decided', 'A'],
    ['all but one', { rule: 'unanimity' }, ['A', 'A', 'B'], 'short', undefined],
    ['a median of two middle numbers', { rule: { median: {} } }, [1, 2, 4, 100], 'decided', 3],
    ['a median without the farthest', { rule: { median: { trim: 0.25 } } }, [1, 2, 4, 100], 'decided', 2],
    [
      'Borda points',
      { rule: { ranked: 'borda' } },
      [
        ['a', 'b', 'c'],
        ['a', 'b', 'c'],
        ['b', 'c', 'a'],
        ['b', 'c', 'a'],
        ['b', 'a', 'c'],
      ],
      'decided',
      'b',
    ],
    [
      'a Condorcet circle is a tie',
      { rule: { ranked: 'borda' } },
      [
        ['a', 'b', 'c'],
        ['b', 'c', 'a'],
        ['c', 'a', 'b'],
      ],
      'tie',
      undefined,
    ],
    ['a judge has it', { rule: { judge: 'a.judge' } }, ['A', 'B'], 'judge', undefined],
  ])('%s', (_, given, answers, type, value) => {
    const options = optionsFor(given);
    const tally = count(options, casting(options, answers), true);
    expect(tally.type).toBe(type);
    if (tally.type === 'decided') expect(tally.value).toEqual(value);
  });

  it('weighs by weight, with room for rounding', () => {
    const options = optionsFor({ rule: { weighted: { any: 1 } } });
    expect(count(options, casting(options, ['A', 'B', 'B'], [3, 1, 1]), true)).toMatchObject({
      value: 'A',
      agreement: 0.6,
    });
    expect(count(options, casting(options, ['A', 'B', 'B'], [0.3, 0.1, 0.2]), true).type).toBe('tie');
    expect(count(options, casting(options, ['A', 'B'], [0, 0]), true).type).toBe('tie');
  });

  it('asks for more than half while there is a round left', () => {
    const options = optionsFor({});
    expect(count(options, casting(options, ['A', 'A', 'B', 'C', 'D']), false).type).toBe('short');
    expect(count(options, casting(options, ['A', 'A', 'A', 'B', 'C']), false).type).toBe('decided');
  });

  it('counts a run-off as in the Tennessee capital example', () => {
    const times = (n: number, ranking: string[]) => Array.from({ length: n }, () => ranking);
    const rankings = [
      ...times(42, ['Memphis', 'Nashville', 'Chattanooga', 'Knoxville']),
      ...times(26, ['Nashville', 'Chattanooga', 'Knoxville', 'Memphis']),
      ...times(15, ['Chattanooga', 'Knoxville', 'Nashville', 'Memphis']),
      ...times(17, ['Knoxville', 'Chattanooga', 'Nashville', 'Memphis']),
    ];
    expect(instantRunOff(rankings, optionsOf(rankings)).first).toEqual(['Knoxville']);
    const { scores, first } = borda(rankings, optionsOf(rankings));
    expect(Object.fromEntries(scores)).toEqual({ Memphis: 126, Nashville: 194, Chattanooga: 173, Knoxville: 107 });
    expect(first).toEqual(['Nashville']);
  });

  it('shares the places left among options a ballot does not name', () => {
    expect(Object.fromEntries(borda([['a']], ['a', 'b', 'c']).scores)).toEqual({ a: 2, b: 0.5, c: 0.5 });
  });

  it('is neutral: renaming the options renames the winner', () => {
    const swap: Record<string, string> = { a: 'c', b: 'a', c: 'b', d: 'd' };
    for (let seed = 1; seed <= 300; seed++) {
      const rankings = randomRankings(seed, ['a', 'b', 'c', 'd'], 5);
      const renamed = rankings.map((ranking) => ranking.map((option) => swap[option] ?? ''));
      for (const method of [borda, instantRunOff]) {
        const first = method(rankings, ['a', 'b', 'c', 'd']).first.map((option) => swap[option]);
        expect(new Set(method(renamed, ['d', 'c', 'b', 'a']).first)).toEqual(new Set(first));
      }
    }
  });

  it('leaves outliers out by their distance from the median', () => {
    expect(trimmedMedian([10, 11, 12, 13, 500], 0.2)).toEqual({ value: 11.5, outliers: [4] });
    expect(trimmedMedian([5, 5, 5], 0.9)).toEqual({ value: 5, outliers: [1, 2] });
    expect(medianOf([3, 1, 2])).toBe(2);
  });
});

function randomRankings(seed: number, options: readonly string[], ballots: number): string[][] {
  const random = seededRandom(seed);
  return Array.from({ length: ballots }, () => {
    const order = [...options].map((option) => ({ option, at: random() })).sort((a, b) => a.at - b.at);
    return order.slice(0, 1 + Math.floor(random() * options.length)).map(({ option }) => option);
  });
}

const RANKINGS = [
  ['a'],
  ['b'],
  ['c'],
  ['a', 'b'],
  ['a', 'c'],
  ['b', 'a'],
  ['b', 'c'],
  ['c', 'a'],
  ['c', 'b'],
  ['a', 'b', 'c'],
  ['a', 'c', 'b'],
  ['b', 'a', 'c'],
  ['b', 'c', 'a'],
  ['c', 'a', 'b'],
  ['c', 'b', 'a'],
];
const NUMBERS = [-1e9, 1, 1.5, 2, 2.5, 3, 1e9];

/** Every way `open` voters could still vote, or not. */
function completions(open: number, votes: readonly unknown[]): unknown[][] {
  if (open === 0) return [[]];
  return completions(open - 1, votes).flatMap((rest) => [null, ...votes].map((vote) => [vote, ...rest]));
}

describe('the vote stops early', () => {
  const cases: [string, object, readonly unknown[], 'exact' | 'sound'][] = [
    ['majority', {}, ['A', 'B', 'C', 'new'], 'exact'],
    ['majority before a debate', { rounds: 1 }, ['A', 'B', 'C', 'new'], 'exact'],
    ['supermajority', { rule: { supermajority: 0.6 } }, ['A', 'B', 'new'], 'exact'],
    [
      'supermajority with a judge',
      { rule: { supermajority: 0.6 }, tie: 'judge', judge: 'a.judge' },
      ['A', 'B', 'new'],
      'exact',
    ],
    ['unanimity', { rule: 'unanimity' }, ['A', 'B'], 'exact'],
    ['unanimity before a debate', { rule: 'unanimity', rounds: 2 }, ['A', 'B'], 'exact'],
    ['weights', { rule: { weighted: { any: 2 } } }, ['A', 'B', 'new'], 'exact'],
    ['Borda over declared choices', { rule: { ranked: 'borda' }, choices: ['a', 'b', 'c'] }, RANKINGS, 'exact'],
    ['Borda over open choices', { rule: { ranked: 'borda' } }, RANKINGS, 'sound'],
    ['instant run-off', { rule: { ranked: 'irv' } }, RANKINGS, 'sound'],
    ['median', { rule: { median: {} } }, NUMBERS, 'exact'],
    ['trimmed median', { rule: { median: { trim: 0.3 } } }, NUMBERS, 'sound'],
  ];

  it.each(cases)('%s: exactly when no way to vote on could change the outcome', (name, given, votes, how) => {
    const options = optionsFor(given);
    const last = options.rounds === 0;
    const random = seededRandom(7);
    const weighted = name === 'weights';
    let fixed = 0;
    for (let trial = 0; trial < (votes.length > 10 ? 60 : 250); trial++) {
      const voters = 2 + Math.floor(random() * 5);
      const open = 1 + Math.floor(random() * Math.min(2, voters - 1));
      const weights = Array.from({ length: voters }, () => (weighted ? 1 + Math.floor(random() * 3) : 1));
      // few different votes, so that early ends are frequent
      const favoured = votes[Math.floor(random() * votes.length)];
      const given = Array.from({ length: voters - open }, () =>
        random() < 0.6 ? favoured : votes[Math.floor(random() * votes.length)],
      );
      const says = isFixed(options, casting(options, given, weights), weights.slice(voters - open), last);
      const outcomes = new Set(
        completions(open, votes).map((rest) => {
          const tally = count(options, casting(options, [...given, ...rest], weights), last);
          return tally.type === 'decided' ? `decided ${JSON.stringify(tally.value)}` : tally.type;
        }),
      );
      // what is undecided goes on with the ballots of all: to a debate, a judge, a person
      const goesOn = [...outcomes].some((one) => one === 'short') && (!last || options.tie !== 'fail');
      const truly = outcomes.size === 1 && !goesOn;
      if (how === 'exact')
        expect(says, `${JSON.stringify({ given, open, weights })} gives ${[...outcomes]}`).toBe(truly);
      else if (says) expect(truly, `${JSON.stringify({ given, open })} gives ${[...outcomes]}`).toBe(true);
      if (says) fixed++;
    }
    if (name !== 'Borda over open choices' && !name.startsWith('unanimity before') && name !== 'trimmed median')
      expect(fixed, 'some ends are early').toBeGreaterThan(5);
  });
});
