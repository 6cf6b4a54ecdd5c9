// One thread as main sees it: its ports, its control calls, its shared memory, its end. It is never reused: the next
// thread in its place has a handle and an id of its own. States: starting -> up -> (retiring) -> down.

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { type Remote, releaseProxy, wrap } from 'comlink';
import nodeEndpoint from 'comlink/dist/esm/node-adapter.mjs';
import { fromWireError, RuntimeError, toWireError, type WireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Clock, Dispose } from '../contracts/ports.ts';
import type { ControlOp, Death, HostControl, HostInit } from '../transport/control.ts';
import { LIFE_WORDS, METERS } from '../transport/frames.ts';
import type { Link } from '../transport/link.ts';
import { portable } from '../transport/plain.ts';

/** Control operations of one comlink call. */
const BATCH = 512;

export type ThreadState = 'starting' | 'up' | 'retiring' | 'down';
export type DownReason = 'drained' | 'exited' | 'threw' | 'out_of_memory' | 'stuck';

type WithoutCall<Op> = Op extends { readonly call: number } ? Omit<Op, 'call'> : never;
export type Order = WithoutCall<ControlOp>;

interface Call {
  /** Runs in the very turn of the answer, before any later notice of the same thread. */
  readonly settled: ((value: unknown) => void) | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: RuntimeError) => void;
  /** Ends its time limit. */
  readonly cancel: Dispose;
}

export interface ThreadHandleOptions {
  readonly id: number;
  readonly node: string;
  readonly beatMs: number;
  readonly graceMs: number;
  readonly clock: Clock;
  readonly dedicatedTo: AgentId | undefined;
}

/** `Resident`: what the directory keeps of a cell. */
export class ThreadHandle<Resident> {
  readonly id: number;
  readonly dedicatedTo: AgentId | undefined;
  readonly life = new Int32Array(new SharedArrayBuffer(LIFE_WORDS * 4));
  /** Messages that wait in each mailbox, by its meter; written by the thread. */
  readonly depths = new Int32Array(new SharedArrayBuffer(METERS * 4));
  /** Whose mailbox a meter shows; a meter that is free shows 0. */
  readonly meters = new Map<number, AgentId>();
  readonly abort = new AbortController();
  /** Cells by their slot. */
  readonly slots = new Map<number, Resident>();
  readonly data: MessagePort;
  readonly init: HostInit<MessagePort>;
  state: ThreadState = 'starting';
  link: Link | null = null;
  /** Why it was ended on purpose, and when. */
  killedAs: DownReason | null = null;
  killError: WireError | null = null;
  /** Dies for chaos: nobody is to blame. */
  chaos = false;
  upAtMs = 0;
  /** Resolves with its end, once Piscina has told. */
  ended: Promise<void> = Promise.resolve();
  /** Spawns on their way, for placement. */
  placing = 0;
  readonly #clock: Clock;
  readonly #controlPort: MessagePort;
  readonly #control: Remote<HostControl>;
  readonly #calls = new Map<number, Call>();
  #batch: ControlOp[] = [];
  #lastCall = 0;

  constructor({ id, node, beatMs, graceMs, clock, dedicatedTo }: ThreadHandleOptions) {
    this.id = id;
    this.dedicatedTo = dedicatedTo;
    this.#clock = clock;
    const data = new MessageChannel();
    const control = new MessageChannel();
    this.data = data.port1;
    this.#controlPort = control.port1;
    this.#control = wrap<HostControl>(nodeEndpoint(control.port1));
    const life = this.life.buffer as SharedArrayBuffer;
    const depths = this.depths.buffer as SharedArrayBuffer;
    this.init = { thread: id, node, data: data.port2, control: control.port2, life, depths, beatMs, graceMs };
  }

  get up(): boolean {
    return this.state === 'up';
  }

  get load(): number {
    return this.slots.size + this.placing;
  }

  /** Mailboxes that are not empty. */
  mail(): { readonly id: AgentId; readonly count: number }[] {
    return [...this.meters].flatMap(([meter, id]) => {
      const count = Atomics.load(this.depths, meter);
      return count > 0 ? [{ id, count }] : [];
    });
  }

  /**
   * Orders something of the host. Orders of one turn travel in one call. Rejects with the host's error, `not_cloneable`,
   * `thread_lost` when the thread ends first, or `late` when it does not answer in time.
   */
  order(
    order: Order,
    limit: { readonly timeoutMs: number; readonly late: () => RuntimeError },
    settled?: (value: unknown) => void,
  ): Promise<unknown> {
    if (this.state === 'down') return Promise.reject(this.#lost());
    let carried: Order;
    try {
      carried = portable(order).value as Order;
    } catch (error) {
      return Promise.reject(new RuntimeError('not_cloneable', toWireError(error).message));
    }
    const call = ++this.#lastCall;
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.setTimeout(() => {
        this.#calls.delete(call);
        reject(limit.late());
      }, limit.timeoutMs);
      this.#calls.set(call, { settled, resolve, reject, cancel });
      this.#batch.push({ ...carried, call } as ControlOp);
      if (this.#batch.length === 1) process.nextTick(() => this.#send());
    });
  }

  /** The answer to an order, as it came over the data plane. */
  settled(call: number, ok: boolean, value: unknown): void {
    const pending = this.#take(call);
    if (!pending) return;
    if (!ok) {
      pending.reject(fromWireError(value as WireError));
      return;
    }
    pending.settled?.(value);
    pending.resolve(value);
  }

  end(): void {
    this.#control.end().catch(() => {});
  }

  die(how: Death): void {
    this.#control.die(how).catch(() => {});
  }

  /** The thread is gone: closes the ports of this side and fails what was ordered. */
  close(): void {
    this.state = 'down';
    this.link?.close();
    this.data.close();
    this.#control[releaseProxy]();
    this.#controlPort.close();
    // Ports that never reached the thread would keep the process alive.
    this.init.data.close();
    this.init.control.close();
    for (const call of [...this.#calls.keys()]) this.#take(call)?.reject(this.#lost());
  }

  #take(call: number): Call | undefined {
    const pending = this.#calls.get(call);
    if (!pending) return undefined;
    this.#calls.delete(call);
    pending.cancel();
    return pending;
  }

  #send(): void {
    const ops = this.#batch;
    this.#batch = [];
    if (this.state === 'down') return;
    // The answers come over the data plane, so a call that a dead thread never answers is lost without harm.
    for (let at = 0; at < ops.length; at += BATCH) this.#control.perform(ops.slice(at, at + BATCH)).catch(() => {});
  }

  #lost(): RuntimeError {
    return new RuntimeError('thread_lost', `thread ${this.id} is gone`, { details: { thread: this.id } });
  }
}
