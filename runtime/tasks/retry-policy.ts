// The verdict on a finished attempt: what the task's row and its history say, and when it is tried again.
// Pure: chance comes as an argument, the clock is the database's.

import { assertNever, type WireError, wireError } from '../contracts/errors.ts';
import type { Random } from '../contracts/ports.ts';
import {
  type ClaimedTask,
  type HandoffOutcome,
  ISOLATION_FULL,
  type ResolvedRetry,
  type SettleTask,
  type TaskOutcome,
  type TaskSettlement,
} from '../contracts/task.ts';

export interface Verdict {
  readonly settlement: TaskSettlement;
  /** What the attempt's history row says. */
  readonly outcome: SettleTask['outcome'];
  /** The attempt took its agent or thread down; such attempts count towards poison. */
  readonly crashed: boolean;
}

export interface RetryPolicyOptions {
  readonly random: Random;
  /** Crashes that make a task `dead` with the code `poison`. */
  readonly poisonAfter: number;
}

/** What the policy needs to know of a task. */
export type JudgedTask = Pick<ClaimedTask, 'attempt' | 'maxAttempts' | 'retry' | 'crashCount' | 'timeoutMs'> & {
  readonly deadlineInMs?: number;
};

/** A released attempt waits this long (half of it to all of it), so that a stale view of the agents cannot spin. */
export const RELEASE_DELAY_MS = 100;
/** One that has to wait for a thread of its own: those are busy for as long as attempts take. */
export const ISOLATION_DELAY_MS = 1_000;
/** Crashes after which a task runs only where its death takes nobody along. */
export const ISOLATE_AFTER = 2;
/** 2^30 waits are beyond every cap; a larger exponent only risks Infinity times zero. */
const MAX_DOUBLINGS = 30;

/**
 * Whether the next attempt runs isolated, in a thread made for it: the task took its agent, thread or process down
 * {@link ISOLATE_AFTER} times. It holds for pinned tasks too: a stand-in with the type, configuration and last saved state of
 * their agent runs them, and what it changes of that state is not kept. An agent that has a thread of its own runs them itself.
 * A task that kills its process takes the node along in spite of it; then `poison` is what ends it.
 */
export const runsIsolated = ({ crashCount }: Pick<ClaimedTask, 'crashCount'>): boolean => crashCount >= ISOLATE_AFTER;

/** Decides what becomes of a task after one attempt; one that ended in a handoff is judged in handoff.ts. */
export function judgeAttempt(
  task: JudgedTask,
  outcome: Exclude<TaskOutcome, HandoffOutcome>,
  options: RetryPolicyOptions,
): Verdict {
  switch (outcome.type) {
    case 'completed':
      return { outcome: 'completed', crashed: false, settlement: { type: 'completed', result: outcome.result } };
    case 'cancelled':
      return {
        outcome: 'cancelled',
        crashed: false,
        settlement: { type: 'cancelled', error: wireError('task_cancelled', 'the task was cancelled') },
      };
    case 'released':
      return { outcome: 'released', crashed: false, settlement: afterRelease(outcome.reason, options.random) };
    case 'waiting':
      return { outcome: 'waiting', crashed: false, settlement: { type: 'waiting', question: outcome.question } };
    case 'failed':
      return { outcome: 'failed', crashed: false, settlement: afterFailure(task, outcome.error, options.random) };
    case 'timed_out':
      return { outcome: 'timed_out', crashed: false, settlement: afterTimeout(task, outcome.runMs, options.random) };
    case 'lost':
      return { outcome: 'lost', crashed: outcome.culprit, settlement: afterLoss(task, outcome, options) };
    default:
      return assertNever(outcome);
  }
}

/** Back to the queue with the attempt given back. `delayMs` 0: at once. */
export function releasedAfter(delayMs: number, random: Random): TaskSettlement {
  const wait = delayMs === 0 ? 0 : Math.ceil(delayMs * (0.5 + random() / 2));
  return { type: 'retry', delayMs: wait, error: null, charge: false };
}

/** Wait after the attempt with this number (from 1): doubles each time up to the cap, then jitter. */
export function backoffMs(retry: ResolvedRetry, attempt: number, random: Random): number {
  const doubled = retry.backoffMs * 2 ** Math.min(Math.max(attempt - 1, 0), MAX_DOUBLINGS);
  const ceiling = Math.min(doubled, retry.maxBackoffMs);
  return retry.jitter === 'full' ? Math.floor(random() * (ceiling + 1)) : ceiling;
}

function afterRelease(reason: string, random: Random): TaskSettlement {
  return releasedAfter(reason === ISOLATION_FULL ? ISOLATION_DELAY_MS : RELEASE_DELAY_MS, random);
}

function afterFailure(task: JudgedTask, error: WireError, random: Random): TaskSettlement {
  if (!error.retryable || task.retry.nonRetryable.includes(error.code)) return { type: 'failed', error };
  return retryOrDead(task, error, random);
}

function afterTimeout(task: JudgedTask, runMs: number, random: Random): TaskSettlement {
  if (task.deadlineInMs !== undefined && task.deadlineInMs <= Math.max(runMs, task.timeoutMs)) {
    return { type: 'timed_out', error: wireError('deadline_exceeded', 'the task did not end before its deadline') };
  }
  const error = wireError('task_timeout', `the attempt did not end within ${task.timeoutMs} ms`, {
    timeoutMs: task.timeoutMs,
  });
  return task.retry.onTimeout ? retryOrDead(task, error, random) : { type: 'timed_out', error };
}

function afterLoss(
  task: JudgedTask,
  outcome: Extract<TaskOutcome, { type: 'lost' }>,
  { random, poisonAfter }: RetryPolicyOptions,
): TaskSettlement {
  const crashes = task.crashCount + (outcome.culprit ? 1 : 0);
  if (outcome.culprit && crashes >= poisonAfter) {
    const message = `the task took down what ran it ${crashes} times: ${outcome.error.message}`;
    const details = { crashes, cause: outcome.error, ...(runsIsolated(task) ? { isolated: true } : {}) };
    return { type: 'dead', error: wireError('poison', message, details) };
  }
  return retryOrDead(task, outcome.error, random);
}

function retryOrDead(task: JudgedTask, error: WireError, random: Random): TaskSettlement {
  if (task.attempt < task.maxAttempts) {
    return { type: 'retry', delayMs: backoffMs(task.retry, task.attempt, random), error, charge: true };
  }
  const message = `attempt ${task.attempt} of ${task.maxAttempts} was the last: ${error.message}`;
  return {
    type: 'dead',
    error: wireError('attempts_exhausted', message, { attempts: task.attempt, cause: error }),
  };
}
