// How a cell is stopped by order: what runs may end, within the time given; then its behaviour says goodbye.

import { toWireError } from '../contracts/errors.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { ControlOp } from '../transport/control.ts';
import type { WheelClock } from '../transport/wheel.ts';
import type { Attribution } from './attribution.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import { clampDelay } from './cell-timers.ts';
import type { OutgoingNotices } from './outgoing-notices.ts';

export interface CellStopOwner {
  readonly thread: number;
  readonly env: { readonly clock: WheelClock };
  readonly cells: CellTable;
  readonly attribution: Attribution;
  readonly notices: OutgoingNotices;
  abortTasks(cell: Cell): void;
  end(cell: Cell): void;
}

/** Answers the snapshot of a cell that goes on elsewhere, else null. */
export async function stopCell(owner: CellStopOwner, op: Extract<ControlOp, { op: 'stop' }>): Promise<unknown> {
  const cell = owner.cells.get(op.id);
  if (!cell) return null;
  if (cell.phase === 'starting' || cell.phase === 'failed') {
    owner.end(cell);
    return null;
  }
  if (cell.phase === 'active') cell.phase = 'draining';
  cell.moving = op.moving;
  if (op.mode === 'stop') owner.abortTasks(cell);
  await untilQuiet(owner.env.clock, cell, op.mode === 'drain', op.timeoutMs);
  let snapshot: unknown = null;
  if (op.moving && cell.live) snapshot = cell.behavior?.snapshot();
  if (cell.live) await stopBehavior(owner, cell, op.timeoutMs);
  if (owner.cells.get(op.id) === cell) owner.end(cell);
  return snapshot;
}

async function stopBehavior(owner: CellStopOwner, cell: Cell, timeoutMs: number): Promise<void> {
  const { behavior } = cell;
  try {
    const stopping = owner.attribution.within(cell, 0, () => behavior?.stop());
    if (stopping instanceof Promise) await settledWithin(owner.env.clock, stopping, timeoutMs);
  } catch (error) {
    owner.notices.pushRated({
      type: 'log',
      id: cell.spec.id,
      thread: owner.thread,
      line: { level: 'warn', message: `stop failed: ${toWireError(error).message}` },
    });
  }
}

/** Resolves when nothing of the cell runs any more, or the time is over. */
function untilQuiet(clock: WheelClock, cell: Cell, mailbox: boolean, timeoutMs: number): Promise<void> {
  return new Promise((resolve) => {
    let cancel: Dispose | null = null;
    const done = () => {
      cancel?.();
      cell.quietWatchers.delete(check);
      resolve();
    };
    const check = () => {
      const waits = mailbox && cell.state !== 'paused' && cell.mailbox.length + cell.waiting.length > 0;
      if (cell.phase !== 'draining' || (!cell.busy && cell.tasks.size === 0 && !waits)) done();
    };
    cancel = clock.setTimeout(done, clampDelay(timeoutMs));
    cell.quietWatchers.add(check);
    check();
  });
}

function settledWithin(clock: WheelClock, promise: Promise<void>, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimeout(resolve, clampDelay(timeoutMs));
    promise.then(resolve, reject).finally(cancel);
  });
}
