import { describe, expect, test } from 'vitest';
import { InOrder } from '../../runtime/cluster/in-order.ts';

describe('batches in order', () => {
  test('are taken one after the other, each once', () => {
    const batches = new InOrder();
    const arrivals = [1, 1, 3, 2, 3, 2].map((sequence) => batches.arrive(sequence, 1));
    expect(arrivals).toEqual(['new', 'duplicate', 'early', 'new', 'new', 'duplicate']);
    expect(batches.taken).toBe(3);
  });

  test('what the sender gave up is not waited for, and not taken when it comes after all', () => {
    const batches = new InOrder();
    batches.arrive(1, 1);
    expect(batches.arrive(4, 4)).toBe('new');
    expect(batches.arrive(3, 4)).toBe('duplicate');
    batches.forget(7);
    expect(batches.arrive(6, 7)).toBe('duplicate');
    expect(batches.arrive(7, 7)).toBe('new');
  });

  test('answers are kept until the sender shows that it has them', () => {
    const batches = new InOrder();
    for (const sequence of [1, 2, 3]) batches.arrive(sequence, 1);
    batches.decided(3, []);
    batches.decided(1, [[0, 'mailbox_full']]);
    expect(batches.answers().sort()).toEqual([
      [1, [[0, 'mailbox_full']]],
      [3, []],
    ]);
    batches.forget(2);
    expect(batches.answers()).toEqual([[3, []]]);
    batches.forget(4);
    expect(batches.answers()).toEqual([]);
  });
});
