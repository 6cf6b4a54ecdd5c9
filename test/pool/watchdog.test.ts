import { describe, expect, test } from 'vitest';
import { judge, Pulse } from '../../runtime/pool/watchdog.ts';
import { BEAT, LIFE_WORDS, PROGRESS } from '../../runtime/transport/frames.ts';

const calm = {
  motionlessMs: 0,
  nowMs: 10_000,
  dueAtMs: [],
  onStackDueMs: undefined,
  working: false,
  stuckAfterMs: 1_000,
  stuckKillMs: 5_000,
};

describe('judges', () => {
  test.each([
    { name: 'nothing to do', facts: {}, verdict: { liveness: 'idle', kill: false } },
    { name: 'work and beats', facts: { working: true }, verdict: { liveness: 'busy', kill: false } },
    { name: 'silence without a task', facts: { motionlessMs: 2_000 }, verdict: { liveness: 'stuck', kill: false } },
    { name: 'long silence without a task', facts: { motionlessMs: 5_001 }, verdict: { liveness: 'stuck', kill: true } },
    {
      name: 'silence inside a time limit',
      facts: { motionlessMs: 60_000, dueAtMs: [10_001] },
      verdict: { liveness: 'busy', kill: false },
    },
    {
      name: 'silence beyond a time limit',
      facts: { motionlessMs: 1_001, dueAtMs: [99_999, 10_000] },
      verdict: { liveness: 'stuck', kill: true },
    },
    {
      name: 'the task on the stack inside its limit while another waits beyond its own',
      facts: { motionlessMs: 2_000, dueAtMs: [9_000, 50_000], onStackDueMs: 50_000 },
      verdict: { liveness: 'busy', kill: false },
    },
    {
      name: 'the task on the stack beyond its limit',
      facts: { motionlessMs: 2_000, dueAtMs: [9_000], onStackDueMs: 9_000 },
      verdict: { liveness: 'stuck', kill: true },
    },
    {
      name: 'beats beyond a time limit: the thread ends the task itself',
      facts: { motionlessMs: 10, dueAtMs: [1], working: true },
      verdict: { liveness: 'busy', kill: false },
    },
  ])('$name', ({ facts, verdict }) => {
    expect(judge({ ...calm, ...facts })).toEqual(verdict);
  });
});

test('a pulse counts silence from the last beat, and motion from the last finished handler too', () => {
  const life = new Int32Array(LIFE_WORDS);
  const pulse = new Pulse(life, 0);
  life[BEAT] = 1;
  pulse.read(100, 0);
  life[PROGRESS] = 1;
  pulse.read(600, 0);
  expect([pulse.silentMs(1_000), pulse.motionlessMs(1_000)]).toEqual([900, 400]);
});

test('time in which the watchdog itself stood still is nobody’s silence', () => {
  const pulse = new Pulse(new Int32Array(LIFE_WORDS), 0);
  pulse.read(100, 0);
  pulse.read(30_100, 29_900);
  expect(pulse.motionlessMs(30_100)).toBe(200);
});
