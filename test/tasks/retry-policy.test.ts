import { describe, expect, test } from 'vitest';
import { wireError } from '../../runtime/contracts/errors.ts';
import { type HandoffOutcome, retrySchema, type TaskOutcome } from '../../runtime/contracts/task.ts';
import { backoffMs, type JudgedTask, judgeAttempt } from '../../runtime/tasks/retry-policy.ts';

type Judged = Exclude<TaskOutcome, HandoffOutcome>;

const failure = wireError('handler_failed', 'no luck');
const retryable = { ...failure, retryable: true };
const failed = (error = retryable): Judged => ({ type: 'failed', error, runMs: 5 });
const lost = (culprit: boolean): Judged => ({
  type: 'lost',
  error: wireError('thread_lost', 'the thread died'),
  culprit,
  runMs: 5,
});
const timedOut = { type: 'timed_out', runMs: 100 } as const;

function task(change: Partial<JudgedTask> & { onTimeout?: boolean; nonRetryable?: string[] } = {}): JudgedTask {
  const { onTimeout = false, nonRetryable = [], ...rest } = change;
  const retry = retrySchema.parse({ backoffMs: 100, maxBackoffMs: 1_000, jitter: 'none', onTimeout, nonRetryable });
  return { attempt: 1, maxAttempts: 3, retry, crashCount: 0, timeoutMs: 100, ...rest };
}
const judge = (of: JudgedTask, outcome: Judged) => judgeAttempt(of, outcome, { random: () => 0.5, poisonAfter: 3 });

describe('the verdict on an attempt', () => {
  test.each<[string, JudgedTask, Judged, object]>([
    [
      'a success completes',
      task(),
      { type: 'completed', result: 42, runMs: 1 },
      { outcome: 'completed', crashed: false, settlement: { type: 'completed', result: 42 } },
    ],
    [
      'a retryable failure waits for the next attempt',
      task(),
      failed(),
      { outcome: 'failed', settlement: { type: 'retry', delayMs: 100, charge: true, error: retryable } },
    ],
    [
      'a failure that no retry can mend fails at once',
      task(),
      failed(failure),
      { outcome: 'failed', settlement: { type: 'failed', error: failure } },
    ],
    [
      'a code listed as non-retryable fails at once',
      task({ nonRetryable: ['handler_failed'] }),
      failed(),
      { settlement: { type: 'failed', error: retryable } },
    ],
    [
      'the last attempt that fails makes it dead and keeps the error',
      task({ attempt: 3 }),
      failed(),
      {
        outcome: 'failed',
        settlement: { type: 'dead', error: { code: 'attempts_exhausted', details: { attempts: 3, cause: retryable } } },
      },
    ],
    [
      'a timeout is the end',
      task(),
      timedOut,
      { outcome: 'timed_out', settlement: { type: 'timed_out', error: { code: 'task_timeout' } } },
    ],
    [
      'a timeout is retried when the task says so',
      task({ onTimeout: true }),
      timedOut,
      { outcome: 'timed_out', settlement: { type: 'retry', charge: true, error: { code: 'task_timeout' } } },
    ],
    [
      'the last timeout of a retried task makes it dead',
      task({ onTimeout: true, attempt: 3 }),
      timedOut,
      { settlement: { type: 'dead', error: { code: 'attempts_exhausted' } } },
    ],
    [
      'a deadline that ends the attempt is final even when timeouts are retried',
      task({ onTimeout: true, deadlineInMs: 80 }),
      timedOut,
      { settlement: { type: 'timed_out', error: { code: 'deadline_exceeded' } } },
    ],
    [
      'an attempt that took its thread down is charged as a crash',
      task(),
      lost(true),
      { outcome: 'lost', crashed: true, settlement: { type: 'retry', charge: true, delayMs: 100 } },
    ],
    [
      'a bystander of a crash is charged an attempt and no crash',
      task({ crashCount: 2 }),
      lost(false),
      { outcome: 'lost', crashed: false, settlement: { type: 'retry', charge: true } },
    ],
    [
      'the third crash is poison, whatever attempts are left',
      task({ crashCount: 2, maxAttempts: 100 }),
      lost(true),
      {
        outcome: 'lost',
        crashed: true,
        settlement: { type: 'dead', error: { code: 'poison', details: { crashes: 3 } } },
      },
    ],
    [
      'the last attempt lost makes it dead',
      task({ attempt: 3 }),
      lost(false),
      { settlement: { type: 'dead', error: { code: 'attempts_exhausted' } } },
    ],
    [
      'a released attempt is given back, even the last one',
      task({ attempt: 3 }),
      { type: 'released', reason: 'paused' },
      { outcome: 'released', crashed: false, settlement: { type: 'retry', charge: false, error: null, delayMs: 75 } },
    ],
    [
      'a cancelled attempt cancels',
      task(),
      { type: 'cancelled', runMs: 1 },
      { outcome: 'cancelled', settlement: { type: 'cancelled', error: { code: 'task_cancelled' } } },
    ],
  ])('%s', (_name, of, outcome, expected) => {
    expect(judge(of, outcome)).toMatchObject(expected);
  });
});

describe('the wait before the next attempt', () => {
  const none = retrySchema.parse({ backoffMs: 100, maxBackoffMs: 1_000, jitter: 'none' });
  const full = retrySchema.parse({ backoffMs: 100, maxBackoffMs: 1_000 });
  test.each([
    ['the first wait', none, 1, 0.9, 100],
    ['doubles', none, 3, 0.9, 400],
    ['stops at the cap', none, 9, 0.9, 1_000],
    ['does not overflow', none, 100, 0.9, 1_000],
    ['full jitter starts at 0', full, 2, 0, 0],
    ['full jitter ends at the wait', full, 2, 0.999999, 200],
  ])('%s', (_name, retry, attempt, random, expected) => {
    expect(backoffMs(retry, attempt, () => random)).toBe(expected);
  });
});
