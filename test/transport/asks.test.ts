import { expect, test } from 'vitest';
import { Asks } from '../../runtime/transport/asks.ts';
import { Wheel } from '../../runtime/transport/wheel.ts';

const still = { monotonicMs: () => 0, setTimeout: () => () => {} };
const subject = { to: 'b', from: 'a', type: 'echo' };

function open(asks: Asks, signal?: AbortSignal) {
  let correlation = 0;
  const reply = asks.open(subject, 1_000, signal, (number) => {
    correlation = number;
  });
  reply.catch(() => {});
  return { reply, correlation };
}

test('each question gets its own reply, once', async () => {
  const asks = new Asks(new Wheel(still));
  const [first, second] = [open(asks), open(asks)];
  expect(asks.resolve(second.correlation, 2)).toBe(true);
  expect(asks.resolve(first.correlation, 1)).toBe(true);
  expect(asks.resolve(first.correlation, 3)).toBe(false);
  expect(await Promise.all([first.reply, second.reply])).toEqual([1, 2]);
  expect(asks.size).toBe(0);
});

test('what ran out is remembered for its late reply, once', async () => {
  const asks = new Asks(new Wheel(still));
  const { reply, correlation } = open(asks);
  asks.expired(correlation, 1_000);
  await expect(reply).rejects.toMatchObject({
    code: 'ask_timeout',
    details: { to: 'b', type: 'echo', timeoutMs: 1_000 },
  });
  expect(asks.resolve(correlation, 1)).toBe(false);
  expect(asks.late(correlation)).toEqual(subject);
  expect(asks.late(correlation)).toBeUndefined();
});

test('an abort ends the wait with its reason, and leaves no listener', async () => {
  const asks = new Asks(new Wheel(still));
  const controller = new AbortController();
  const { reply } = open(asks, controller.signal);
  controller.abort(new Error('enough'));
  await expect(reply).rejects.toThrow('enough');
  await expect(asks.open(subject, 10, controller.signal, () => {})).rejects.toThrow('enough');
});

test('the loss of a peer fails the questions that went there and no others', async () => {
  const asks = new Asks(new Wheel(still));
  const [lost, kept] = [open(asks), open(asks)];
  asks.sentTo(lost.correlation, 4);
  asks.sentTo(kept.correlation, 5);
  asks.lose(4);
  await expect(lost.reply).rejects.toMatchObject({ code: 'target_lost' });
  expect(asks.size).toBe(1);
});
