import { describe, expect, it, test } from 'vitest';
import type { RestartType, SupervisionStrategy } from '../../runtime/contracts/supervision.ts';
import { restartPlan } from '../../runtime/supervision/strategies.ts';

const children = (kinds: Record<string, RestartType>) =>
  Object.entries(kinds).map(([id, restart]) => ({ id, restart }));
const four = children({ a: 'permanent', b: 'permanent', c: 'permanent', d: 'permanent' });

describe('restartPlan', () => {
  test.each<[string, SupervisionStrategy, string, string[], string[]]>([
    ['one-for-one touches the failed child only', 'one-for-one', 'b', [], ['b']],
    [
      'one-for-all stops the others from right to left and starts all',
      'one-for-all',
      'b',
      ['d', 'c', 'a'],
      ['a', 'b', 'c', 'd'],
    ],
    ['rest-for-one takes those started after it', 'rest-for-one', 'b', ['d', 'c'], ['b', 'c', 'd']],
    ['rest-for-one of the first takes all', 'rest-for-one', 'a', ['d', 'c', 'b'], ['a', 'b', 'c', 'd']],
    ['rest-for-one of the last is one-for-one', 'rest-for-one', 'd', [], ['d']],
    ['a child that is not there needs nothing', 'one-for-all', 'x', [], []],
  ])('%s', (_name, strategy, failed, stop, start) => {
    expect(restartPlan(strategy, four, failed).stop).toEqual(stop);
    expect(restartPlan(strategy, four, failed).start).toEqual(start === undefined ? [] : start);
  });

  it('stops temporary siblings and does not bring them back', () => {
    const mixed = children({ a: 'permanent', b: 'temporary', c: 'transient', d: 'permanent' });
    expect(restartPlan('one-for-all', mixed, 'd')).toEqual({ stop: ['c', 'b', 'a'], start: ['a', 'c', 'd'] });
  });
});
