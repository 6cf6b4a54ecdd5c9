// Attempts as main starts and cancels them: cooperatively, by abandoning them, or by ending the thread.

import { toWireError, wireError } from '../contracts/errors.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Ambient, ThreadPoolOptions } from '../contracts/ports.ts';
import type { CancelEffect, TaskAssignment, TaskOutcome } from '../contracts/task.ts';
import { ABANDON, CANCEL, TASK } from '../transport/frames.ts';
import type { Peer } from '../transport/peer.ts';
import { portable } from '../transport/plain.ts';
import type { Directory } from './directory.ts';
import type { RunningTask, TaskTable } from './task-table.ts';
import type { Threads } from './threads.ts';

export interface AttemptsOwner {
  readonly options: ThreadPoolOptions;
  readonly ambient: Ambient;
  readonly directory: Directory;
  readonly tasks: TaskTable;
}

export class Attempts {
  readonly #options: ThreadPoolOptions;
  readonly #ambient: Ambient;
  readonly #directory: Directory;
  readonly #tasks: TaskTable;
  readonly #threads: Threads;
  readonly #peer: Peer;

  constructor(owner: AttemptsOwner, threads: Threads, peer: Peer) {
    this.#options = owner.options;
    this.#ambient = owner.ambient;
    this.#directory = owner.directory;
    this.#tasks = owner.tasks;
    this.#threads = threads;
    this.#peer = peer;
  }

  async run(agent: AgentId, task: TaskAssignment): Promise<TaskOutcome> {
    const entry = this.#directory.get(agent);
    const thread = entry?.thread;
    if (!entry || !thread?.link || entry.phase !== 'up' || thread.state === 'down') {
      return { type: 'released', reason: entry ? `agent_${entry.phase}` : 'agent_gone' };
    }
    let carried: ReturnType<typeof portable>;
    try {
      carried = portable(task);
    } catch (error) {
      return { type: 'failed', error: wireError('not_cloneable', toWireError(error).message), runMs: 0 };
    }
    const { link } = thread;
    const { graceMs } = this.#options;
    const facts = { task, entry, thread, nowMs: this.#nowMs(), graceMs };
    return this.#tasks.run(facts, (key) => link.control([TASK, entry.slot, key, carried.value], carried.plain));
  }

  async cancel(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect> {
    const running = this.#tasks.find(taskId, fence);
    if (!running) return { how: 'not_running', collateral: [] };
    running.cancelling ??= this.#cancel(running, graceMs);
    return running.cancelling;
  }

  async #cancel(running: RunningTask, graceMs: number): Promise<CancelEffect> {
    const { thread, entry, key, startedAtMs } = running;
    const { link } = thread;
    link?.control([CANCEL, key]);
    if (await this.#inTime(running.ended, graceMs)) return { how: 'cooperative', collateral: [] };
    const cancelled = () => running.settle({ type: 'cancelled', runMs: this.#nowMs() - startedAtMs });
    if (!thread.dedicatedTo && link?.open) {
      const { stuckAfterMs } = this.#options;
      const answer = await this.#peer.asks
        .open({ to: entry.id, type: 'abandon' }, stuckAfterMs, undefined, (correlation) => {
          this.#peer.asks.sentTo(correlation, thread.id);
          link.control([ABANDON, key, correlation]);
        })
        .catch(() => undefined);
      if (answer === true) {
        cancelled();
        return { how: 'abandoned', collateral: [] };
      }
      if (answer === false || !this.#tasks.has(running)) return { how: 'cooperative', collateral: [] };
    }
    // Its own thread, or a loop that does not turn: the thread has to go, and whoever lives there goes with it.
    const collateral = [...thread.slots.values()].map(({ id }) => id).filter((id) => id !== entry.id);
    cancelled();
    this.#threads.kill(thread, 'stuck', wireError('thread_stuck', `ended to cancel the task ${running.task.taskId}`));
    await thread.ended;
    return { how: 'killed', collateral };
  }

  /** Whether it ends within the time. */
  #inTime(ended: Promise<void>, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#ambient.clock.setTimeout(() => resolve(false), timeoutMs);
      ended.then(() => {
        cancel();
        resolve(true);
      });
    });
  }

  #nowMs(): number {
    return this.#ambient.clock.monotonicMs();
  }
}
