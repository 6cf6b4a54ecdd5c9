// How cells end: failed (the next incarnation takes their mailbox over), done, or stopped; and what becomes of their timers,
// tasks, questions and mail.

import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import { FORGET, GRANT } from '../transport/frames.ts';
import type { Peer } from '../transport/peer.ts';
import { portable } from '../transport/plain.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import type { DurableMail } from './durable-mail.ts';
import type { ScopeStore } from './host-env.ts';
import type { OpenAsks } from './open-asks.ts';
import type { OutgoingNotices } from './outgoing-notices.ts';
import type { TaskRuns } from './task-runs.ts';

export interface CellEndsOwner {
  readonly env: { readonly scope: ScopeStore };
  readonly cells: CellTable;
  readonly peer: Peer;
  readonly asks: OpenAsks;
  readonly durable: DurableMail;
  readonly tasks: TaskRuns;
  readonly notices: OutgoingNotices;
}

export class CellEnds {
  readonly #owner: CellEndsOwner;

  constructor(owner: CellEndsOwner) {
    this.#owner = owner;
  }

  /** Ends an incarnation as failed. Its mailbox stays for the next one. `culprit`: key of the task that surely did it. */
  fail(cell: Cell, error: WireError, culprit = 0): void {
    if (!cell.live) return;
    const starting = cell.phase === 'starting';
    cell.errors++;
    this.retire(cell, 'failed', error, culprit);
    // A start that fails is told by the answer to the spawn.
    if (starting) return;
    const { id, incarnation } = cell.spec;
    this.#owner.notices.push({ type: 'cell.failed', id, incarnation, error });
  }

  /** It has nothing more to do, by its own word. */
  done(cell: Cell, output: unknown): void {
    if (!cell.live) return;
    const { id, incarnation } = cell.spec;
    let carried: unknown;
    try {
      carried = portable(output).value;
    } catch (error) {
      this.fail(cell, wireError('not_cloneable', `the output cannot be cloned: ${toWireError(error).message}`));
      return;
    }
    this.end(cell);
    this.#owner.notices.push({ type: 'cell.done', id, incarnation, output: carried });
  }

  /** Takes the life out of a cell: timers, tasks, open questions. */
  retire(cell: Cell, phase: 'failed' | 'ended', error?: WireError, culprit = 0): void {
    const stopBehavior = phase === 'failed' && cell.behavior;
    cell.phase = phase;
    cell.busy = false;
    for (const dispose of [...cell.timers]) dispose();
    const reason = error ?? wireError('agent_stopped', `${cell.spec.id} has stopped`);
    this.#owner.durable.cellEnds(cell, phase, reason);
    this.#owner.tasks.lose(cell, reason, culprit);
    this.#owner.asks.fail(cell, phase, reason);
    if (stopBehavior) {
      const { behavior } = cell;
      cell.behavior = null;
      try {
        const stopping = this.#owner.env.scope.run(cell.scope, () => behavior?.stop());
        if (stopping instanceof Promise) stopping.catch(() => {});
      } catch {
        // It has failed already; its reason is told.
      }
    }
    cell.quiet();
  }

  /** Stops at once, without waiting. */
  end(cell: Cell): void {
    const { asks, peer } = this.#owner;
    const wasLive = cell.live;
    const messages = cell.mailbox.drain();
    const waiting = cell.waiting.drain();
    const stopped = wireError('agent_stopped', `${cell.spec.id} stopped before it took the message`);
    for (const message of messages) asks.discard(cell, message, 'actor_stopped', stopped);
    if (wasLive || cell.phase === 'failed') this.retire(cell, 'ended');
    this.remove(cell);
    for (const envelope of waiting) {
      if (cell.moving) peer.send(envelope);
      else peer.refuse(envelope, 'actor_stopped');
    }
  }

  /** Its slot is free; senders forget it and nobody holds messages back for it any more. */
  remove(cell: Cell): void {
    cell.phase = 'ended';
    this.#owner.cells.remove(cell);
    for (const link of this.#owner.peer.links.values()) link.forget(cell.slot, [FORGET, cell.slot]);
    for (const link of cell.pausedLinks.keys()) link.control([GRANT, cell.slot, Number.MAX_SAFE_INTEGER]);
  }
}
