// How a cell comes to life: its definition is loaded, its behaviour made and started; main hears how it ended.

import type { CellContext } from '../contracts/actor.ts';
import { RuntimeError, toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { CellSpec } from '../contracts/wire.ts';
import type { Residence } from '../transport/control.ts';
import type { WheelClock } from '../transport/wheel.ts';
import type { Attribution } from './attribution.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import type { Registry } from './registry.ts';

export interface CellStartOwner {
  readonly thread: number;
  readonly env: { readonly clock: WheelClock };
  readonly cells: CellTable;
  readonly attribution: Attribution;
  readonly registry: Registry;
  context(cell: Cell): CellContext;
  schedule(cell: Cell): void;
  /** It is up. */
  begun(cell: Cell): void;
  retire(cell: Cell): void;
  remove(cell: Cell): void;
}

/** Called once, in the same turn where the start took none. */
export interface StartAnswer {
  started(residence: Residence): void;
  refused(error: WireError): void;
}

export function startCell(owner: CellStartOwner, spec: CellSpec, answer: StartAnswer): void {
  const present = owner.cells.get(spec.id);
  if (present && present.phase !== 'failed') {
    answer.refused(wireError('internal', `${spec.id} lives in thread ${owner.thread} already`));
    return;
  }
  const cell = owner.cells.place(spec, present, owner.env.clock.monotonicMs());
  const failed = (error: unknown) => startFailed(owner, cell, present !== undefined, error, answer);
  let starting: void | Promise<void>;
  try {
    const definition = owner.registry.get(spec.module);
    starting =
      definition instanceof Promise
        ? definition.then((loaded) => begin(owner, cell, loaded))
        : begin(owner, cell, definition);
  } catch (error) {
    failed(error);
    return;
  }
  if (starting instanceof Promise) starting.then(() => started(owner, cell, answer), failed);
  else started(owner, cell, answer);
}

type Definition = { create(context: CellContext): Cell['behavior'] & object };

function begin(owner: CellStartOwner, cell: Cell, definition: Definition): void | Promise<void> {
  if (cell.phase !== 'starting') throw new RuntimeError('agent_stopped', 'stopped while it started');
  return owner.attribution.within(cell, 0, () => {
    const behavior = definition.create(owner.context(cell));
    cell.behavior = behavior;
    return behavior.start();
  });
}

function started(owner: CellStartOwner, cell: Cell, answer: StartAnswer): void {
  if (cell.phase !== 'starting') {
    answer.refused(wireError('init_failed', 'it failed or was stopped while it started'));
    return;
  }
  cell.phase = 'active';
  owner.begun(cell);
  answer.started({ slot: cell.slot, meter: cell.meter });
  if (cell.mailbox.length > 0) owner.schedule(cell);
}

function startFailed(owner: CellStartOwner, cell: Cell, restart: boolean, thrown: unknown, answer: StartAnswer): void {
  const given = toWireError(thrown, 'init_failed');
  const typed = given.code === 'not_a_module' || given.code === 'init_failed';
  const message = `${cell.spec.type} ${cell.spec.name} did not start: ${given.message}`;
  const error = typed
    ? given
    : { ...wireError('init_failed', message, { cause: given.code }), retryable: given.retryable };
  if (cell.phase === 'starting' || cell.phase === 'failed') {
    owner.retire(cell);
    if (!restart) owner.remove(cell);
  }
  answer.refused(error);
}
