// Questions that wait for their reply. Each ends exactly once: reply, error, deadline, or the loss of the peer.

import { type ErrorCode, RuntimeError } from '../contracts/errors.ts';
import type { Deadline, Wheel } from './wheel.ts';

/** Questions that ran out, remembered so that their late replies can be named. */
const REMEMBERED = 1_024;

export interface AskSubject {
  readonly to: string;
  readonly from?: string | undefined;
  readonly type: string;
}

class Pending implements Deadline {
  dueAtMs = 0;
  previous: Deadline | null = null;
  next: Deadline | null = null;
  wheelSlot = -1;
  /** The link it went out on; -1 while it has none. */
  peer = -1;
  release: (() => void) | null = null;
  readonly correlation: number;
  readonly subject: AskSubject;
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly #asks: Asks;
  readonly timeoutMs: number;

  constructor(
    asks: Asks,
    correlation: number,
    subject: AskSubject,
    timeoutMs: number,
    resolve: (body: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.#asks = asks;
    this.correlation = correlation;
    this.subject = subject;
    this.timeoutMs = timeoutMs;
    this.resolve = resolve;
    this.reject = reject;
  }

  expire(): void {
    this.#asks.expired(this.correlation, this.timeoutMs);
  }
}

export class Asks {
  readonly #pending = new Map<number, Pending>();
  readonly #late = new Map<number, AskSubject>();
  readonly #wheel: Wheel;
  #correlation = 0;

  constructor(wheel: Wheel) {
    this.#wheel = wheel;
  }

  get size(): number {
    return this.#pending.size;
  }

  /**
   * Opens a question and hands its number to `send`. Rejects at once with `ask_timeout` when the time limit is no positive
   * number: a question without a deadline is refused.
   */
  open(
    subject: AskSubject,
    timeoutMs: number,
    signal: AbortSignal | undefined,
    send: (correlation: number) => void,
  ): Promise<unknown> {
    if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
      const message = `the time limit of an ask must be a positive number of milliseconds, not ${timeoutMs}`;
      return Promise.reject(new RuntimeError('invalid_input', message, { details: { timeoutMs } }));
    }
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise((resolve, reject) => {
      const correlation = ++this.#correlation;
      const pending = new Pending(this, correlation, subject, timeoutMs, resolve, reject);
      this.#pending.set(correlation, pending);
      this.#wheel.arm(pending, timeoutMs);
      if (signal) {
        const abort = () => this.#end(correlation, true)?.reject(signal.reason);
        signal.addEventListener('abort', abort, { once: true });
        pending.release = () => signal.removeEventListener('abort', abort);
      }
      send(correlation);
    });
  }

  /** Whether somebody still waits for the reply. */
  waits(correlation: number): boolean {
    return this.#pending.has(correlation);
  }

  /** Notes which peer the question went to, so that it fails at once when the peer dies. */
  sentTo(correlation: number, peer: number): void {
    const pending = this.#pending.get(correlation);
    if (pending) pending.peer = peer;
  }

  /** False when nobody waits any more: the reply is late. */
  resolve(correlation: number, body: unknown): boolean {
    const pending = this.#end(correlation, false);
    pending?.resolve(body);
    return pending !== undefined;
  }

  reject(correlation: number, error: unknown): boolean {
    const pending = this.#end(correlation, false);
    pending?.reject(error);
    return pending !== undefined;
  }

  expired(correlation: number, timeoutMs: number): void {
    const pending = this.#end(correlation, true);
    if (!pending) return;
    const { to, type } = pending.subject;
    const message = `no reply to ${type} from ${to} within ${timeoutMs} ms; it may have been handled`;
    pending.reject(new RuntimeError('ask_timeout', message, { details: { to, type, timeoutMs } }));
  }

  /** What a late reply answered, as long as it is remembered. */
  late(correlation: number): AskSubject | undefined {
    const subject = this.#late.get(correlation);
    this.#late.delete(correlation);
    return subject;
  }

  /** Fails every question that went to this peer. */
  lose(peer: number): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.peer === peer) {
        const { to, type } = pending.subject;
        this.reject(pending.correlation, new RuntimeError('target_lost', `${to} was lost before it answered ${type}`));
      }
    }
  }

  /** Fails every question there is. */
  stop(code: ErrorCode, message: string): void {
    for (const correlation of [...this.#pending.keys()]) this.reject(correlation, new RuntimeError(code, message));
  }

  #end(correlation: number, remember: boolean): Pending | undefined {
    const pending = this.#pending.get(correlation);
    if (!pending) return undefined;
    this.#pending.delete(correlation);
    this.#wheel.disarm(pending);
    pending.release?.();
    if (remember) {
      this.#late.set(correlation, pending.subject);
      if (this.#late.size > REMEMBERED) {
        for (const oldest of this.#late.keys()) {
          this.#late.delete(oldest);
          break;
        }
      }
    }
    return pending;
  }
}
