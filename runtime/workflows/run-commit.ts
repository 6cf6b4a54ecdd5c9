// Makes a decision so: reserves slots for what may start at once, has it committed, then carries out what the commit allows.

import type { TakenSlot } from '../contracts/ports.ts';
import type { Advance, AdvanceAnswer, WorkflowRow } from '../contracts/store.ts';
import type { Coordinator, Prepared } from './coordinator.ts';
import type { RunLoopParts } from './ports.ts';

/** Who holds the runs. */
export interface RunHolder {
  /** Another node owns the run now, or it has moved on without this one: it is to be loaded again. */
  lost(coordinator: Coordinator): void;
  ended(coordinator: Coordinator, end: Advance['end']): void;
  /** A run inside came into being with the decision. */
  began(child: WorkflowRow): void;
  /** The decision wrote mail to another run. */
  told(id: WorkflowRow['id']): void;
  /** There may be agents to ask. */
  consult(coordinator: Coordinator): void;
}

export class RunCommit {
  readonly #parts: RunLoopParts;
  readonly #holder: RunHolder;

  constructor(parts: RunLoopParts, holder: RunHolder) {
    this.#parts = parts;
    this.#holder = holder;
  }

  /** `write` commits it, alone or with what it is about. Rejects as `write` does; whether it was committed is unknown then. */
  async run<Written extends { readonly advanced: AdvanceAnswer }>(
    coordinator: Coordinator,
    prepared: Prepared,
    write: (advance: Advance) => Promise<Written>,
  ): Promise<Written> {
    const { slots, feed } = this.#parts;
    const { advance } = prepared;
    const reserved = advance.schedule.map((task) =>
      task.runAt === undefined && !task.delayMs ? slots.reserve(task.queue) : undefined,
    );
    try {
      const written = await write({ ...advance, claim: reserved.map((slot) => slot !== undefined) });
      const result = written.advanced;
      if (result.outcome === 'conflict') {
        this.#holder.lost(coordinator);
        return written;
      }
      coordinator.committed(prepared, result.version);
      feed.publish(result.events);
      this.#tell(coordinator, prepared);
      for (const row of result.began) this.#holder.began(row);
      for (const id of result.told) this.#holder.told(id);
      this.#holder.consult(coordinator);
      this.#startClaimed(advance, reserved, new Map(result.claimed.map((task) => [task.taskId, task])));
      if (result.cancelledRunning.length > 0) this.#parts.stopRunning(result.cancelledRunning);
      if (prepared.ended) this.#holder.ended(coordinator, advance.end);
      return written;
    } catch (error) {
      slots.suspectClaims?.();
      throw error;
    } finally {
      for (const slot of reserved) if (slot) slots.unreserve(slot);
    }
  }

  #startClaimed(
    advance: Advance,
    reserved: (TakenSlot | undefined)[],
    claimed: ReadonlyMap<string, Parameters<RunLoopParts['slots']['accept']>[0][number]>,
  ): void {
    const { slots, bus } = this.#parts;
    const waiting = new Set<string>();
    advance.schedule.forEach((task, index) => {
      const claim = claimed.get(task.id);
      const slot = reserved[index];
      if (!claim) {
        waiting.add(task.queue);
        return;
      }
      reserved[index] = undefined;
      slots.accept([claim], slot);
    });
    for (const queue of waiting) bus.publish({ type: 'queue', queue });
  }

  #tell({ id, tenant }: Coordinator, { began, over, advance }: Prepared): void {
    const { observer, feed } = this.#parts;
    for (const { round, outcome } of over) observer?.stepEnded?.(id, round, outcome);
    for (const step of began) {
      observer?.stepStarted?.(id, step);
      const data = { step: step.step, round: step.round, state: 'queued', taskId: step.taskId };
      feed.notice({ stream: id, type: 'workflow.step', tenant, data });
    }
    for (const decision of advance.decisions)
      feed.notice({ stream: id, type: 'workflow.decision', tenant, data: { ...decision } });
  }
}
