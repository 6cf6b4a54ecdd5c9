// The cells of one thread, by id and by slot. A slot and its mailbox's meter outlive restarts in place.

import type { AgentId } from '../contracts/ids.ts';
import type { CellSpec } from '../contracts/wire.ts';
import { Cell } from './cell.ts';
import { Meters } from './meters.ts';

export class CellTable {
  readonly meters: Meters;
  readonly #byId = new Map<AgentId, Cell>();
  readonly #bySlot = new Map<number, Cell>();
  #nextSlot = 0;

  constructor(depths: Int32Array) {
    this.meters = new Meters(depths);
  }

  get size(): number {
    return this.#byId.size;
  }

  get(id: AgentId): Cell | undefined {
    return this.#byId.get(id);
  }

  at(slot: number): Cell | undefined {
    return this.#bySlot.get(slot);
  }

  all(): IterableIterator<Cell> {
    return this.#byId.values();
  }

  /** Places a new incarnation; a failed one that is still here hands its slot, mailbox and open questions over. */
  place(spec: CellSpec, predecessor: Cell | undefined, nowMs: number): Cell {
    const slot = predecessor?.slot ?? ++this.#nextSlot;
    const meter = predecessor?.meter ?? this.meters.take();
    const cell = new Cell(spec, slot, meter, nowMs, predecessor);
    if (predecessor) predecessor.phase = 'ended';
    this.#byId.set(spec.id, cell);
    this.#bySlot.set(slot, cell);
    return cell;
  }

  remove(cell: Cell): void {
    if (this.#byId.get(cell.spec.id) === cell) this.#byId.delete(cell.spec.id);
    if (this.#bySlot.get(cell.slot) !== cell) return;
    this.#bySlot.delete(cell.slot);
    this.meters.release(cell.meter);
  }
}
