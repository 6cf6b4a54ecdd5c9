import { expect, it } from 'vitest';
import type { Terminated } from '../../runtime/contracts/supervision.ts';
import { Watches } from '../../runtime/supervision/watch.ts';

const end: Terminated = { type: 'terminated', id: 'a', reason: 'stopped' };

it('keeps nothing of a watch that was answered or taken back', () => {
  const watches = new Watches({ ended: () => undefined, onListenerError: () => {} });
  const calls: string[] = [];
  watches.watch('a', () => calls.push('first'));
  watches.watch('a', () => calls.push('second'));
  watches.watch('b', () => calls.push('never'))();
  expect(watches.size).toBe(2);
  watches.notify(end);
  watches.notify(end);
  expect(calls).toEqual(['first', 'second']);
  expect(watches.size).toBe(0);
});
