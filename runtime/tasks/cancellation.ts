// Cancelling a task and saying truthfully what it took. The store ends the task first (its fence grows, so no success can
// commit any more), then the code is stopped, here or on the node that runs it.

import { RuntimeError } from '../contracts/errors.ts';
import type { NodeId, TaskId } from '../contracts/ids.ts';
import type { Ambient, Bus, EventFeed } from '../contracts/ports.ts';
import type { CancelOutcome, TaskStore } from '../contracts/store.ts';
import type { CancelReport } from '../contracts/task.ts';
import { reportOf } from './attempts.ts';
import type { Dispatcher } from './dispatcher.ts';
import { hintEnded } from './node-chores.ts';
import { pause, settledWithin } from './pause.ts';

export interface CancellationParts {
  readonly store: Pick<TaskStore, 'cancel' | 'recordCancel' | 'get'>;
  readonly node: NodeId;
  readonly dispatcher: Pick<Dispatcher, 'cancel'>;
  readonly feed: EventFeed;
  readonly bus: Bus;
  readonly ambient: Ambient;
  readonly graceMs: number;
}

type Running = Extract<CancelOutcome, { wasRunning: true }>;

/** Beyond the grace a caller waits this long; then the answer is `pending`. */
const MARGIN_MS = 1_000;
/** How often the report of another node is looked for. */
const LOOK_EVERY_MS = 100;

export class Cancellation {
  readonly #parts: CancellationParts;
  /** A second cancel of the same task shares the answer of the first. */
  readonly #open = new Map<TaskId, Promise<CancelReport>>();

  constructor(parts: CancellationParts) {
    this.#parts = parts;
  }

  /** Throws `task_not_found`, `task_terminal` (details.status). */
  cancel(id: TaskId, tenant: string, graceMs = this.#parts.graceMs): Promise<CancelReport> {
    const key = id;
    const known = this.#open.get(key);
    // the tenant is checked by the store; a stranger must not hear of another tenant's cancel
    if (known) return this.#parts.store.get(id, tenant).then((task) => (task ? known : Promise.reject(notFound(id))));
    const fresh = this.#run(id, tenant, graceMs).finally(() => this.#open.delete(key));
    this.#open.set(key, fresh);
    return fresh;
  }

  async #run(id: TaskId, tenant: string, graceMs: number): Promise<CancelReport> {
    const { store, feed, bus, ambient } = this.#parts;
    const from = ambient.clock.monotonicMs();
    const answer = await store.cancel(id, tenant);
    switch (answer.outcome) {
      case 'not_found':
        throw notFound(id);
      case 'terminal':
        throw new RuntimeError('task_terminal', `task ${id} has already ended: ${answer.state}`, {
          details: { status: answer.state },
        });
      case 'repeated':
        return answer.report;
      default:
        feed.publish(answer.events);
        hintEnded(bus, answer.events);
        await this.#hintWorkflow(id, tenant);
        if (!answer.wasRunning) return this.#record({ id, outcome: 'before_start', afterMs: 0, collateral: [] });
        return answer.node === this.#parts.node
          ? this.#stopHere(id, answer, graceMs, from)
          : this.#stopElsewhere(id, tenant, graceMs, from);
    }
  }

  /** Waits grace + 1 s; a later end still reaches the record, so that a repeated cancel hears of it. */
  async #stopHere(id: TaskId, { fence }: Running, graceMs: number, from: number): Promise<CancelReport> {
    const { dispatcher, ambient } = this.#parts;
    const elapsed = () => ambient.clock.monotonicMs() - from;
    const stopping = dispatcher.cancel(id, fence, graceMs).then((effect) =>
      // not found: its handler had ended and the outcome was on its way to be refused
      this.#record(reportOf(id, effect ?? { how: 'not_running', collateral: [] }, elapsed())),
    );
    if (await settledWithin(ambient.clock, stopping, graceMs + MARGIN_MS)) return stopping;
    return this.#record({ id, outcome: 'pending', afterMs: Math.round(elapsed()), collateral: [] });
  }

  /** The other node is told by a hint, or finds out by itself; its report comes through the store. */
  async #stopElsewhere(id: TaskId, tenant: string, graceMs: number, from: number): Promise<CancelReport> {
    const { store, bus, ambient } = this.#parts;
    bus.publish({ type: 'task-cancelled', taskId: id });
    const until = from + graceMs + MARGIN_MS;
    let last: CancelReport = { id, outcome: 'pending', afterMs: 0, collateral: [] };
    while (ambient.clock.monotonicMs() < until) {
      await pause(ambient.clock, LOOK_EVERY_MS);
      const again = await store.cancel(id, tenant);
      if (again.outcome === 'repeated') last = again.report;
      if (last.outcome !== 'pending') return last;
    }
    return { ...last, afterMs: Math.round(ambient.clock.monotonicMs() - from) };
  }

  /** The cancel is committed already: a record that cannot be written is no failure of it. */
  async #record(report: CancelReport): Promise<CancelReport> {
    await this.#parts.store.recordCancel(report).catch((error: unknown) => {
      this.#parts.ambient.log.warn('cannot record how a cancel went', { taskId: report.id, error });
    });
    return report;
  }

  async #hintWorkflow(id: TaskId, tenant: string): Promise<void> {
    const task = await this.#parts.store.get(id, tenant).catch(() => null);
    if (task?.workflowId) this.#parts.bus.publish({ type: 'workflow', workflowId: task.workflowId });
  }
}

/** The error for a task that is not there, or not this tenant's. */
export function notFound(id: string): RuntimeError {
  return new RuntimeError('task_not_found', `no task ${id}`, { details: { taskId: id } });
}
