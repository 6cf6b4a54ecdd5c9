import { expect, test } from 'vitest';
import { type Deadline, Wheel } from '../../runtime/transport/wheel.ts';

/** Time that moves only when told to, with one queue of timers. */
function manual() {
  let now = 1_000;
  let timers: { at: number; fn: () => void }[] = [];
  return {
    clock: {
      monotonicMs: () => now,
      setTimeout: (fn: () => void, delayMs: number) => {
        const timer = { at: now + delayMs, fn };
        timers.push(timer);
        return () => {
          timers = timers.filter((other) => other !== timer);
        };
      },
    },
    timers: () => timers.length,
    advance(ms: number) {
      const end = now + ms;
      for (;;) {
        const next = timers.filter(({ at }) => at <= end).sort((x, y) => x.at - y.at)[0];
        if (!next) break;
        now = next.at;
        timers = timers.filter((other) => other !== next);
        next.fn();
      }
      now = end;
    },
    now: () => now,
  };
}

function entry(expire: () => void): Deadline {
  return { dueAtMs: 0, previous: null, next: null, wheelSlot: -1, expire };
}

test.each([1, 9, 10, 55, 999, 5_119, 5_121, 60_000])(
  'a deadline of %i ms comes not early and at most 11 ms late',
  (afterMs) => {
    const time = manual();
    const wheel = new Wheel(time.clock);
    let at = 0;
    wheel.arm(
      entry(() => {
        at = time.now();
      }),
      afterMs,
    );
    time.advance(afterMs + 20);
    expect(at - 1_000).toBeGreaterThanOrEqual(afterMs);
    expect(at - 1_000).toBeLessThanOrEqual(afterMs + 11);
    expect([wheel.size, time.timers()]).toEqual([0, 0]);
  },
);

test('thousands of deadlines share one timer, and the disarmed never come', () => {
  const time = manual();
  const wheel = new Wheel(time.clock);
  const expired: number[] = [];
  const entries = Array.from({ length: 5_000 }, (_, n) => entry(() => expired.push(n)));
  entries.forEach((deadline, n) => {
    wheel.arm(deadline, 1 + ((n * 7) % 9_000));
  });
  expect(time.timers()).toBe(1);
  entries.forEach((deadline, n) => {
    if (n % 2) wheel.disarm(deadline);
  });
  time.advance(9_100);
  expect(expired.length).toBe(2_500);
  expect(expired.every((n) => n % 2 === 0)).toBe(true);
  expect([wheel.size, time.timers()]).toEqual([0, 0]);
});

test('a deadline armed while others expire comes too', () => {
  const time = manual();
  const wheel = new Wheel(time.clock);
  let second = 0;
  wheel.arm(
    entry(() =>
      wheel.arm(
        entry(() => {
          second = time.now();
        }),
        30,
      ),
    ),
    20,
  );
  time.advance(100);
  expect(second).toBeGreaterThanOrEqual(1_050);
});
