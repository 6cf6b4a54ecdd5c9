// How what main ordered has ended: one answer a call, on the data plane, after the notices that came before it.

import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import { SETTLED } from '../transport/frames.ts';
import type { Link } from '../transport/link.ts';
import { isPlain, portable } from '../transport/plain.ts';
import type { OutgoingNotices } from './outgoing-notices.ts';

export class ControlAnswers {
  readonly #main: Link;
  readonly #notices: OutgoingNotices;

  constructor(main: Link, notices: OutgoingNotices) {
    this.#main = main;
    this.#notices = notices;
  }

  whenSettled(call: number, promise: Promise<unknown>): void {
    promise.then(
      (value) => this.settle(call, value),
      (error) => this.reject(call, toWireError(error)),
    );
  }

  settle(call: number, value: unknown): void {
    this.#notices.flush();
    try {
      const carried = portable(value ?? null);
      this.#main.control([SETTLED, call, true, carried.value], carried.plain);
    } catch (error) {
      this.reject(call, wireError('not_cloneable', toWireError(error).message));
    }
  }

  reject(call: number, error: WireError): void {
    this.#notices.flush();
    this.#main.control([SETTLED, call, false, error], isPlain(error));
  }
}
