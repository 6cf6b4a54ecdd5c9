// Timers of one incarnation: they end with it, and what their code throws is laid to it.

import { toWireError, type WireError } from '../contracts/errors.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { WheelClock } from '../transport/wheel.ts';
import type { Attribution } from './attribution.ts';
import type { Cell } from './cell.ts';

const MAX_TIMER_MS = 2_147_483_647;

export interface CellTimersOwner {
  readonly env: { readonly clock: WheelClock };
  readonly attribution: Attribution;
  fail(cell: Cell, error: WireError): void;
}

export function startCellTimer(owner: CellTimersOwner, cell: Cell, delayMs: number, fn: () => void): Dispose {
  if (!cell.live) return () => {};
  const cancel = owner.env.clock.setTimeout(() => {
    cell.timers.delete(dispose);
    if (!cell.live) return;
    try {
      owner.attribution.within(cell, 0, fn);
    } catch (error) {
      owner.fail(cell, toWireError(error, 'agent_crashed'));
    }
  }, clampDelay(delayMs));
  const dispose = () => {
    cell.timers.delete(dispose);
    cancel();
  };
  cell.timers.add(dispose);
  return dispose;
}

/** A duration a timer takes: beyond its range it would fire at once. */
export function clampDelay(ms: number): number {
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_TIMER_MS) : MAX_TIMER_MS;
}
