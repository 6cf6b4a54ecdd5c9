// Agents and a runner without threads: who serves what, with slots shared over an agent's queues, and attempts a test ends by hand.

import type { Queue } from '../../runtime/contracts/agent.ts';
import type { AgentId, TaskId } from '../../runtime/contracts/ids.ts';
import type { Dispose, TakenSlot, TaskRunner, Workforce } from '../../runtime/contracts/ports.ts';
import type { CancelEffect, ClaimedTask, TaskOutcome } from '../../runtime/contracts/task.ts';

interface Agent {
  readonly id: AgentId;
  readonly queues: readonly Queue[];
  slots: number;
  taken: number;
}

export class FakeWorkforce implements Workforce {
  readonly agents: Agent[] = [];
  readonly #listeners = new Set<() => void>();
  mostTaken = 0;

  add(id: string, queues: readonly Queue[], slots = 1): AgentId {
    this.agents.push({ id: id as AgentId, queues, slots, taken: 0 });
    this.#changed();
    return id as AgentId;
  }

  get taken(): number {
    return this.agents.reduce((sum, { taken }) => sum + taken, 0);
  }

  offers() {
    const free = new Map<Queue, number>();
    for (const agent of this.agents) {
      for (const queue of agent.queues) {
        if (agent.slots > agent.taken) free.set(queue, (free.get(queue) ?? 0) + agent.slots - agent.taken);
      }
    }
    return [...free].map(([queue, count]) => ({ queue, free: count }));
  }

  serves(queue: Queue): boolean {
    return this.agents.some(({ queues }) => queues.includes(queue));
  }

  take(queue: Queue): TakenSlot | undefined {
    const agent = this.agents.find(({ queues, slots, taken }) => queues.includes(queue) && taken < slots);
    if (!agent) return undefined;
    agent.taken += 1;
    this.mostTaken = Math.max(this.mostTaken, this.taken);
    return { agentId: agent.id, thread: 0, epoch: 1 };
  }

  release(agentId: AgentId): void {
    const agent = this.agents.find(({ id }) => id === agentId);
    if (!agent || agent.taken === 0) throw new Error(`released a slot of ${agentId} that nobody took`);
    agent.taken -= 1;
    this.#changed();
  }

  onChange(listener: () => void): Dispose {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

export interface Run {
  readonly agent: AgentId;
  readonly task: ClaimedTask;
  readonly end: (outcome: TaskOutcome) => void;
  aborted: boolean;
}

/** Runs nothing by itself: the test ends each run, or gives an `answer` that ends it at once. */
export class FakeRunner implements TaskRunner {
  readonly runs: Run[] = [];
  readonly open = new Map<TaskId, Run>();
  answer: ((agent: AgentId, task: ClaimedTask) => TaskOutcome | Promise<TaskOutcome> | undefined) | undefined;
  /** How an abort ends a run; undefined: the run ignores it. */
  onAbort: CancelEffect['how'] | undefined = 'cooperative';

  async runTask(agent: AgentId, task: ClaimedTask): Promise<TaskOutcome> {
    return new Promise((resolve) => {
      const run: Run = {
        agent,
        task,
        aborted: false,
        end: (outcome) => {
          if (this.open.get(task.taskId) === run) this.open.delete(task.taskId);
          resolve(outcome);
        },
      };
      this.runs.push(run);
      this.open.set(task.taskId, run);
      const answer = this.answer?.(agent, task);
      if (answer) void Promise.resolve(answer).then(run.end);
    });
  }

  async cancelTask(taskId: TaskId): Promise<CancelEffect> {
    const run = this.open.get(taskId);
    if (!run) return { how: 'not_running', collateral: [] };
    run.aborted = true;
    if (!this.onAbort) return new Promise(() => {});
    run.end({ type: 'cancelled', runMs: 1 });
    return { how: this.onAbort, collateral: [] };
  }
}
