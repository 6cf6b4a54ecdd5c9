import { expect, test } from 'vitest';
import { Meters } from '../../runtime/thread/meters.ts';

test('a meter shows its depth, is empty once released, and is given out again', () => {
  const depths = new Int32Array(3);
  const meters = new Meters(depths);
  const [a, b] = [meters.take(), meters.take()];
  meters.show(a, 7);
  meters.show(b, 9);
  expect([...depths]).toEqual([0, 7, 9]);
  meters.release(a);
  expect([...depths]).toEqual([0, 0, 9]);
  expect(meters.take()).toBe(a);
});

test('who gets no meter any more shows nothing of its own', () => {
  const meters = new Meters(new Int32Array(2));
  meters.take();
  const none = meters.take();
  expect(none).toBe(0);
  meters.release(none);
  expect(meters.take()).toBe(0);
});
