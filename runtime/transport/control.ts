// The control plane between main and a thread: comlink calls that carry batches of operations. How each ended comes back
// on the data plane (SETTLED), in order with the notices of the same cell.

import type { AgentId } from '../contracts/ids.ts';
import type { ThreadFocus } from '../contracts/inspection-wire.ts';
import type { CellSignal, CellSpec } from '../contracts/wire.ts';

export type ControlOp =
  | { readonly op: 'spawn'; readonly call: number; readonly spec: CellSpec }
  | {
      readonly op: 'stop';
      readonly call: number;
      readonly id: AgentId;
      readonly mode: 'drain' | 'stop';
      readonly timeoutMs: number;
      /** The cell goes on elsewhere: its snapshot is answered, and what is sent to it meanwhile follows it. */
      readonly moving: boolean;
    }
  | { readonly op: 'signal'; readonly call: number; readonly id: AgentId; readonly signal: CellSignal }
  | { readonly op: 'snapshot'; readonly call: number; readonly id: AgentId }
  | { readonly op: 'stats'; readonly call: number }
  /** One cell in full, for an inspector: an InspectedCell. */
  | { readonly op: 'inspect'; readonly call: number; readonly id: AgentId }
  /** What inspectors want to be told, in the place of what they wanted. */
  | { readonly op: 'focus'; readonly call: number; readonly focus: ThreadFocus }
  /** A CPU profile of the thread, as JSON text. */
  | { readonly op: 'profile'; readonly call: number; readonly seconds: number; readonly intervalUs: number };

/** What a spawn answers: the slot of the cell, and the meter of its mailbox (0: it has none). */
export interface Residence {
  readonly slot: number;
  readonly meter: number;
}

export type Death = 'exit' | 'throw' | 'spin' | 'oom';

/** What a thread exposes over comlink. */
export interface HostControl {
  perform(ops: readonly ControlOp[]): void;
  /** Ends the host task: the thread goes when it has nothing left to do. */
  end(): void;
  /** Dies for real, for chaos. */
  die(how: Death): void;
}

/** What a host task is started with. */
export interface HostInit<Port> {
  readonly thread: number;
  readonly node: string;
  readonly data: Port;
  readonly control: Port;
  readonly life: SharedArrayBuffer;
  readonly depths: SharedArrayBuffer;
  readonly beatMs: number;
  readonly graceMs: number;
}
