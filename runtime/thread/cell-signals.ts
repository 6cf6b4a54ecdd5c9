// Signals of the runtime to a behaviour: outside of the mailbox, one after the other, in the order they came.

import { RuntimeError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { CellSignal } from '../contracts/wire.ts';
import type { Attribution } from './attribution.ts';
import type { CellTable } from './cell-table.ts';

export interface CellSignalsOwner {
  readonly thread: number;
  readonly cells: CellTable;
  readonly attribution: Attribution;
}

/** Rejects with `actor_not_found`, or with what the behaviour threw. */
export function signalCell(owner: CellSignalsOwner, id: AgentId, signal: CellSignal): Promise<void> {
  const cell = owner.cells.get(id);
  const { behavior } = cell ?? {};
  if (!cell || !behavior || !cell.live) {
    return Promise.reject(new RuntimeError('actor_not_found', `${id} does not live in thread ${owner.thread}`));
  }
  const give = () => owner.attribution.within(cell, 0, () => behavior.signal(signal));
  let taken: Promise<void>;
  if (cell.signals) taken = cell.signals.then(give, give);
  else {
    try {
      const result = give();
      if (!(result instanceof Promise)) return Promise.resolve();
      taken = result;
    } catch (error) {
      return Promise.reject(error);
    }
  }
  const tail = taken.finally(() => {
    if (cell.signals === tail) cell.signals = null;
  });
  tail.catch(() => {});
  cell.signals = tail;
  return taken;
}

/** State of a behaviour, as its next incarnation gets it. */
export async function snapshotCell(owner: CellSignalsOwner, id: AgentId): Promise<unknown> {
  const cell = owner.cells.get(id);
  if (!cell?.behavior || !cell.live) throw new RuntimeError('actor_not_found', `${id} does not live here`);
  return cell.behavior.snapshot();
}
