// The order in which snapshots of an agent reach the store when they come on several ways: acknowledged messages, outcomes of tasks,
// saves by itself. Whoever comes first is done before the next begins, so that no older state is written over a newer one.

import type { AgentId } from '../contracts/ids.ts';

interface Turn {
  readonly token: object;
  readonly done: Promise<unknown>;
}

export class SnapshotOrder {
  readonly #last = new Map<AgentId, Turn>();

  /** Something is under way or waits. */
  busy(id: AgentId): boolean {
    return this.#last.has(id);
  }

  /** Nobody has come after the one with this token, and it is not done. */
  isLast(id: AgentId, token: object): boolean {
    return this.#last.get(id)?.token === token;
  }

  /** Runs `work` after all that came before it for the same agent, whatever becomes of that. */
  async run<T>(id: AgentId, work: () => Promise<T>, token: object = {}): Promise<T> {
    const before = this.#last.get(id)?.done;
    const done = before === undefined ? work() : before.then(work, work);
    this.#last.set(id, { token, done });
    try {
      return await done;
    } finally {
      if (this.isLast(id, token)) this.#last.delete(id);
    }
  }

  /** Resolves when nothing is under way. */
  async idle(id: AgentId): Promise<void> {
    for (let turn = this.#last.get(id); turn; turn = this.#last.get(id)) {
      await turn.done.catch(() => undefined);
      // Its own end comes first.
      await Promise.resolve();
    }
  }
}
