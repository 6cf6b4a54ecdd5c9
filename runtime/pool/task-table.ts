// Attempts under way in the threads, as main sees them: each ends with exactly one outcome.

import type { WireError } from '../contracts/errors.ts';
import type { TaskId } from '../contracts/ids.ts';
import type { CancelEffect, TaskAssignment, TaskOutcome } from '../contracts/task.ts';
import type { TaskUsage } from '../contracts/usage.ts';
import type { Entry, Thread } from './directory.ts';

export interface RunningTask {
  readonly key: number;
  readonly task: TaskAssignment;
  readonly entry: Entry;
  readonly thread: Thread;
  readonly startedAtMs: number;
  /** Time limit plus grace. */
  readonly dueAtMs: number;
  /** Resolves when it has its outcome. */
  readonly ended: Promise<void>;
  cancelling: Promise<CancelEffect> | null;
  /** What it said it used so far. */
  used?: TaskUsage;
  readonly settle: (outcome: TaskOutcome) => void;
}

export class TaskTable {
  readonly #running = new Map<number, RunningTask>();
  #key = 0;
  /** Outcomes that came after the attempt had been given up. */
  refused = 0;

  /** Enters an attempt; `send` carries it to its thread. */
  run(
    facts: {
      readonly task: TaskAssignment;
      readonly entry: Entry;
      readonly thread: Thread;
      readonly nowMs: number;
      readonly graceMs: number;
    },
    send: (key: number) => void,
  ): Promise<TaskOutcome> {
    const { task, entry, thread, nowMs, graceMs } = facts;
    // Keys are shown in an Int32Array; 0 means none.
    this.#key = (this.#key % 0x7fff_fffe) + 1;
    const key = this.#key;
    return new Promise((resolve) => {
      let end: () => void = () => {};
      const ended = new Promise<void>((done) => {
        end = done;
      });
      const running: RunningTask = {
        key,
        task,
        entry,
        thread,
        startedAtMs: nowMs,
        dueAtMs: nowMs + task.timeoutMs + graceMs,
        ended,
        cancelling: null,
        settle: (outcome) => {
          if (!this.#running.delete(key)) return;
          resolve(withUsage(outcome, running.used));
          end();
        },
      };
      this.#running.set(key, running);
      send(key);
    });
  }

  settle(key: number, outcome: TaskOutcome): void {
    const running = this.#running.get(key);
    if (running) running.settle(outcome);
    else this.refused++;
  }

  all(): Iterable<RunningTask> {
    return this.#running.values();
  }

  find(taskId: TaskId, fence: number): RunningTask | undefined {
    for (const running of this.#running.values()) {
      if (running.task.taskId === taskId && running.task.fence === fence) return running;
    }
    return undefined;
  }

  /** What an attempt used so far, in all. */
  note(taskId: TaskId, fence: number, usage: TaskUsage): void {
    const running = this.find(taskId, fence);
    if (running) running.used = usage;
  }

  has(running: RunningTask): boolean {
    return this.#running.get(running.key) === running;
  }

  get(key: number): RunningTask | undefined {
    return this.#running.get(key);
  }

  of(thread: Thread): RunningTask[] {
    return [...this.#running.values()].filter((running) => running.thread === thread);
  }

  /** The thread is gone: its attempts are lost, at most one of them by its own fault. */
  lose(thread: Thread, error: WireError, culprit: RunningTask | undefined, nowMs: number): void {
    for (const running of this.of(thread)) {
      running.settle({
        type: 'lost',
        error,
        culprit: running === culprit,
        runMs: nowMs - running.startedAtMs,
      });
    }
  }
}

/** An attempt that ended by itself knows best; of one that could not, what it said before. */
function withUsage(outcome: TaskOutcome, used: TaskUsage | undefined): TaskOutcome {
  const mute = outcome.type === 'lost' || outcome.type === 'timed_out' || outcome.type === 'cancelled';
  return mute && used && !outcome.usage ? { ...outcome, usage: used } : outcome;
}
