// Durable timers of agents (`ctx.timer`): kept in the store, fired as a signal to the cell, at least once, on whichever node owns the agent.

import { toWireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Ambient, ThreadPool } from '../contracts/ports.ts';
import type { AgentTimerStore } from '../contracts/store.ts';
import { invalidInput } from '../contracts/validation.ts';

export interface AgentTimersOptions {
  readonly store: AgentTimerStore;
  readonly pool: ThreadPool;
  readonly ambient: Ambient;
  /** A timer will be due in this long. */
  readonly onSet: (inMs: number) => void;
}

const MAX_AFTER_MS = 366 * 86_400_000;
const AT_ONCE = 500;

export class AgentTimers {
  readonly #options: AgentTimersOptions;

  constructor(options: AgentTimersOptions) {
    this.#options = options;
  }

  /** Sets or replaces the agent's timer of this key; durable when it resolves. */
  async set(id: AgentId, key: string, afterMs: number, body: unknown): Promise<void> {
    if (!Number.isFinite(afterMs) || afterMs < 0 || afterMs > MAX_AFTER_MS) {
      throw invalidInput('afterMs', `expected milliseconds from 0 to ${MAX_AFTER_MS}`);
    }
    await this.#options.store.set(id, key, Math.round(afterMs), body);
    this.#options.onSet(afterMs);
  }

  async clear(id: AgentId, key: string): Promise<void> {
    await this.#options.store.clear(id, key);
  }

  /** Fires what is due for agents of this node. A timer is deleted only after its cell has taken it. */
  async fire(): Promise<{ readonly nextInMs: number | null }> {
    const { due, nextInMs } = await this.#options.store.due(AT_ONCE);
    await Promise.all(due.map((timer) => this.#fireOne(timer)));
    return { nextInMs: due.length === AT_ONCE ? 0 : nextInMs };
  }

  async #fireOne(timer: Awaited<ReturnType<AgentTimerStore['due']>>['due'][number]): Promise<void> {
    const { pool, store, ambient } = this.#options;
    try {
      await pool.signal(timer.agentId, { type: 'timer', key: timer.key, body: timer.body });
      await store.done(timer);
    } catch (error) {
      ambient.log.debug('a timer waits for its agent', {
        agent: timer.agentId,
        key: timer.key,
        error: toWireError(error).message,
      });
    }
  }
}
