// Stand-ins: a task that has already taken down what ran it is run by a second actor like its agent, alone in a thread of its own.
// It lives for one attempt: nobody sends it mail, its state is not kept, and its death takes nobody along.

import { toWireError } from '../contracts/errors.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Ambient, RanTask, TaskRunner, ThreadPool } from '../contracts/ports.ts';
import { type CancelEffect, type ClaimedTask, ISOLATION_FULL } from '../contracts/task.ts';
import type { CellSpec } from '../contracts/wire.ts';

/** Threads for stand-ins at once: a node that crashed twice leaves many suspects, and each costs a thread. */
const AT_ONCE = 4;
const STOP_TIMEOUT_MS = 1_000;

export interface StandInsOptions {
  readonly pool: Pick<ThreadPool, 'spawn' | 'runTask' | 'cancelTask' | 'stopCell'>;
  /** What a stand-in with this id starts from; undefined: the agent is not of this node, or has a thread for itself already. */
  readonly specFor: (agent: AgentId, standIn: AgentId) => Promise<CellSpec | undefined>;
  readonly ambient: Pick<Ambient, 'newId'>;
}

interface StandIn {
  readonly agent: AgentId;
  readonly taskId: TaskId;
  readonly fence: number;
  /** Cancelled before it started. */
  cancelled: boolean;
  running: boolean;
}

/** Runs attempts in isolation. Everything it starts ends with the attempt. */
export class StandIns implements TaskRunner {
  readonly #options: StandInsOptions;
  readonly #present = new Map<AgentId, StandIn>();

  constructor(options: StandInsOptions) {
    this.#options = options;
  }

  /** The agent that a stand-in stands in for; undefined for everybody else. */
  agentOf(id: AgentId): AgentId | undefined {
    return this.#present.get(id)?.agent;
  }

  /**
   * Never rejects. `released` while too many are at work; a stand-in that does not start is an attempt `lost` without a culprit.
   * What the handler left in its state goes with the stand-in.
   */
  async runTask(agent: AgentId, task: ClaimedTask): Promise<RanTask> {
    if (this.#present.size >= AT_ONCE) return { type: 'released', reason: ISOLATION_FULL };
    const { pool, specFor, ambient } = this.#options;
    const id = ambient.newId('agent');
    const { taskId, fence } = task;
    const standIn: StandIn = { agent, taskId, fence, cancelled: false, running: false };
    this.#present.set(id, standIn);
    try {
      const spec = await specFor(agent, id);
      if (!spec) return await pool.runTask(agent, task);
      const { thread } = await pool.spawn(spec, { dedicated: true });
      if (standIn.cancelled) return { type: 'cancelled', runMs: 0, thread };
      standIn.running = true;
      return { ...withoutState(await pool.runTask(id, task)), thread };
    } catch (thrown) {
      return { type: 'lost', error: toWireError(thrown, 'agent_crashed'), culprit: false, runMs: 0 };
    } finally {
      await pool.stopCell(id, 'stop', STOP_TIMEOUT_MS).catch(() => undefined);
      this.#present.delete(id);
    }
  }

  /** `cooperative` for one that had not started; else as the pool stops it: it kills the thread that is only this task's. */
  async cancelTask(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect> {
    for (const standIn of this.#present.values()) {
      if (standIn.taskId !== taskId || standIn.fence !== fence || standIn.running) continue;
      standIn.cancelled = true;
      return { how: 'cooperative', collateral: [] };
    }
    return this.#options.pool.cancelTask(taskId, fence, graceMs);
  }
}

function withoutState(ran: RanTask): RanTask {
  if (ran.type !== 'completed') return ran;
  const { snapshot: _gone, ...rest } = ran;
  return rest;
}
