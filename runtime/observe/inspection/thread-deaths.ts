// Threads of this node that died, the last fifty by name and all of them by count.

import type { ThreadDeath } from '../../contracts/inspection.ts';
import type { Clock } from '../../contracts/ports.ts';
import type { PoolNotice } from '../../contracts/wire.ts';
import { redactText } from '../redact.ts';

const KEPT = 50;

export class ThreadDeaths {
  readonly #node: string;
  readonly #clock: Clock;
  /** Newest first. */
  readonly #last: ThreadDeath[] = [];
  count = 0;

  constructor(node: string, clock: Clock) {
    this.#node = node;
    this.#clock = clock;
  }

  add(notice: Extract<PoolNotice, { type: 'thread.down' }>): void {
    const { thread, reason, error, cells, detectedAfterMs } = notice;
    if (reason === 'drained') return;
    this.count += 1;
    const at = new Date(this.#clock.nowMs()).toISOString();
    const death = { node: this.#node, thread, at, reason, agents: cells.length, detectedAfterMs };
    this.#last.unshift(error === undefined ? death : { ...death, error: redactText(error.message) });
    if (this.#last.length > KEPT) this.#last.pop();
  }

  last(): readonly ThreadDeath[] {
    return this.#last;
  }
}
