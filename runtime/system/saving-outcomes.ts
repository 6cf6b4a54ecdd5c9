// Outcomes of tasks that carry a snapshot of their agent: they and its acknowledged messages are written in the order in which they came.

import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Clock, TaskRunner } from '../contracts/ports.ts';
import type { SnapshotOrder } from '../messaging/snapshot-order.ts';

export interface SavingOutcomesOptions {
  readonly order: SnapshotOrder;
  readonly clock: Pick<Clock, 'setTimeout'>;
  /** Durable mail of the agent is looked after here. */
  readonly hasMail: (id: AgentId) => boolean;
  /** Tasks of the agent that are not settled. */
  readonly runningOn: (id: AgentId) => readonly TaskId[];
  readonly stopped: () => boolean;
}

/** Pace of looks at a settlement that is on its way. */
const LOOK_MS = 1;

export class SavingOutcomes {
  readonly #options: SavingOutcomesOptions;
  /** The last task of an agent whose outcome carried its snapshot. */
  readonly #last = new Map<AgentId, TaskId>();

  constructor(options: SavingOutcomesOptions) {
    this.#options = options;
  }

  /** Runs tasks as `runner` does; where its agent has durable mail too, an outcome with a snapshot waits for its turn. */
  around(runner: TaskRunner['runTask']): TaskRunner['runTask'] {
    return async (agent, task) => {
      const outcome = await runner(agent, task);
      if (outcome.type !== 'completed' || outcome.snapshot === undefined) return outcome;
      this.#last.set(agent, task.taskId);
      const { order, hasMail } = this.#options;
      if (!hasMail(agent) && !order.busy(agent)) return outcome;
      await new Promise<void>((resolve) => {
        void order.run(agent, async () => {
          resolve();
          await this.settled(agent);
        });
      });
      return outcome;
    };
  }

  /** Resolves when the last such outcome of this agent is settled. */
  async settled(agent: AgentId): Promise<void> {
    const task = this.#last.get(agent);
    if (task === undefined) return;
    const { clock, runningOn, stopped } = this.#options;
    while (!stopped() && runningOn(agent).includes(task)) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, LOOK_MS));
    }
    if (this.#last.get(agent) === task) this.#last.delete(agent);
  }
}
