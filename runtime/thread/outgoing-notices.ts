// Notices of a thread on their way to main: gathered per turn, in order. Dead letters and log lines are rated, so that a
// flood of them neither grows the queue nor drowns what matters; how many were left out is told.

import type { PoolNotice } from '../contracts/wire.ts';
import { portable } from '../transport/plain.ts';

/** Dead letters and log lines a thread passes on per window; the rest is counted. */
const PER_WINDOW = 1_000;
const WINDOW_MS = 100;

export interface NoticeSink {
  send(notices: readonly PoolNotice[], plain: boolean): void;
  atEnd(fn: () => void): void;
  nowMs(): number;
  setTimeout(fn: () => void, delayMs: number): unknown;
}

export class OutgoingNotices {
  readonly #thread: number;
  readonly #sink: NoticeSink;
  #pending: PoolNotice[] = [];
  #plain = true;
  #windowEndsMs = 0;
  #inWindow = 0;
  #leftOut = 0;

  constructor(thread: number, sink: NoticeSink) {
    this.#thread = thread;
    this.#sink = sink;
  }

  /** What must arrive: changes of state, failures, ends. */
  push(notice: PoolNotice): void {
    const carried = portable(notice);
    this.#plain &&= carried.plain;
    this.#pending.push(carried.value as PoolNotice);
    if (this.#pending.length === 1) this.#sink.atEnd(() => this.flush());
  }

  /** What may be left out under a flood. A value that cannot be cloned is left out as well. */
  pushRated(notice: PoolNotice): void {
    const now = this.#sink.nowMs();
    if (now >= this.#windowEndsMs) {
      this.#windowEndsMs = now + WINDOW_MS;
      this.#inWindow = 0;
    }
    if (++this.#inWindow > PER_WINDOW) {
      this.#omit();
      return;
    }
    try {
      this.push(notice);
    } catch {
      this.#omit();
    }
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    const notices = this.#pending;
    const plain = this.#plain;
    this.#pending = [];
    this.#plain = true;
    this.#sink.send(notices, plain);
  }

  #omit(): void {
    if (++this.#leftOut === 1) this.#sink.setTimeout(() => this.#tellLeftOut(), WINDOW_MS);
  }

  #tellLeftOut(): void {
    if (this.#leftOut === 0) return;
    const count = this.#leftOut;
    this.#leftOut = 0;
    const message = `${count} dead letters and log lines of thread ${this.#thread} were left out`;
    this.push({
      type: 'log',
      id: null,
      thread: this.#thread,
      line: { level: 'warn', message, fields: { count } },
    });
  }
}
