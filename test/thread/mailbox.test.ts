import { expect, test } from 'vitest';
import { Mailbox } from '../../runtime/thread/mailbox.ts';

test.each([
  { overflow: 'reject', third: { type: 'refused', reason: 'mailbox_full' }, kept: [1, 2] },
  { overflow: 'drop-new', third: { type: 'refused', reason: 'dropped_new' }, kept: [1, 2] },
  { overflow: 'drop-oldest', third: { type: 'dropped', oldest: 1 }, kept: [2, 3] },
  { overflow: 'backpressure', third: { type: 'hold' }, kept: [1, 2] },
] as const)('a full mailbox under $overflow', ({ overflow, third, kept }) => {
  const mailbox = new Mailbox<number>({ capacity: 2, overflow });
  expect([mailbox.offer(1), mailbox.offer(2)]).toEqual([{ type: 'taken' }, { type: 'taken' }]);
  expect(mailbox.room).toBe(0);
  expect(mailbox.offer(3)).toEqual(third);
  expect(mailbox.drain()).toEqual(kept);
  expect(mailbox.offer(4)).toEqual({ type: 'taken' });
});

test('an overrun is kept, and counts against the room', () => {
  const mailbox = new Mailbox<number>({ capacity: 1, overflow: 'backpressure' });
  mailbox.offer(1);
  mailbox.overrun(2);
  expect([mailbox.length, mailbox.room]).toEqual([2, -1]);
  expect([mailbox.shift(), mailbox.shift(), mailbox.shift()]).toEqual([1, 2, undefined]);
});
