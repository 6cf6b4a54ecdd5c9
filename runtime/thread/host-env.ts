// What a host is given from outside: clock, turns of the event loop, asynchronous context, modules, memory shared with main.

import type { Turn } from '../transport/link.ts';
import type { WheelClock } from '../transport/wheel.ts';
import type { Scope } from './cell.ts';
import type { LoadModule } from './registry.ts';

/** Asynchronous context, as AsyncLocalStorage gives it. */
export interface ScopeStore {
  getStore(): Scope | undefined;
  enterWith(scope: Scope | undefined): void;
  run<T>(scope: Scope, fn: () => T): T;
}

export interface HostEnv {
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly clock: WheelClock;
  readonly turn: Turn;
  readonly scope: ScopeStore;
  readonly load: LoadModule;
  /** A CPU profile of this thread as JSON text. Rejects with `profile_running` while another one is made. */
  readonly profile: (seconds: number, intervalUs: number) => Promise<string>;
  /** Heap in bytes and utilization of the loop since the last call. */
  readonly usage: () => { readonly heapBytes: number; readonly utilization: number };
}

export interface HostOptions {
  readonly thread: number;
  readonly node: string;
  readonly graceMs: number;
  readonly life: Int32Array;
  readonly depths: Int32Array;
}
