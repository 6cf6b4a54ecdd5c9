// Answers given again: once in ten minutes, never for another body, and not when a failure says nothing.

import { expect, test } from 'vitest';
import { REPLIES_KEPT_MS, ReplyMemory } from '../../runtime/messaging/reply-memory.ts';
import { ManualClock } from '../kit/manual-clock.ts';

function rig() {
  const clock = new ManualClock();
  const memory = new ReplyMemory<number>(clock);
  let made = 0;
  const once = (key: string, body = 'b', keeps = true) =>
    memory.once(
      key,
      body,
      async () => ++made,
      () => keeps,
    );
  return { clock, memory, once, made: () => made };
}

test('the same key gets the first answer, and it is made once, even at the same time', async () => {
  const { once, made } = rig();
  expect(await Promise.all([once('k'), once('k')])).toEqual([
    { answer: 1, replayed: false },
    { answer: 1, replayed: true },
  ]);
  expect(await once('other')).toEqual({ answer: 2, replayed: false });
  expect(made()).toBe(2);
});

test('ten minutes later it is made anew', async () => {
  const { clock, once } = rig();
  await once('k');
  clock.advance(REPLIES_KEPT_MS - 1);
  expect(await once('k')).toMatchObject({ answer: 1 });
  clock.advance(1);
  expect(await once('k')).toEqual({ answer: 2, replayed: false });
});

test('another body under the same key is refused', async () => {
  const { once } = rig();
  await once('k', 'one');
  await expect(once('k', 'two')).rejects.toMatchObject({ code: 'idempotency_mismatch' });
});

test('a failure that is an answer is given again, any other is tried again', async () => {
  const memory = new ReplyMemory<number>(new ManualClock());
  let tries = 0;
  const fail = (keeps: boolean) =>
    memory.once(
      `k-${keeps}`,
      'b',
      async () => {
        tries++;
        throw new Error(`try ${tries}`);
      },
      () => keeps,
    );
  await expect(fail(true)).rejects.toThrow('try 1');
  await expect(fail(true)).rejects.toThrow('try 1');
  await expect(fail(false)).rejects.toThrow('try 2');
  await expect(fail(false)).rejects.toThrow('try 3');
});

test('what is kept is bounded', async () => {
  const { memory, once } = rig();
  for (let n = 0; n < 10_050; n++) await once(`k-${n}`);
  expect(memory.size).toBe(10_000);
  expect(await once('k-0')).toMatchObject({ replayed: false });
});
