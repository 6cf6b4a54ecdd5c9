// Gathers the hints of one turn, equal ones once, and hands them over as texts. Shared by both buses.

import type { Hint } from '../contracts/ports.ts';
import { encodeHints } from './hint-codec.ts';

/** Hints in one text: keeps a message far below what a server or reader would refuse. */
const BATCH = 500;
/** Hints of one turn; those beyond are dropped, pollers read anyway. */
const MOST = 10_000;

export class HintOutbox {
  readonly #send: (text: string) => void;
  readonly #waiting = new Map<string, Hint>();
  #planned = false;
  dropped = 0;

  constructor(send: (text: string) => void) {
    this.#send = send;
  }

  add(hint: Hint): void {
    const key = keyOf(hint);
    if (this.#waiting.has(key)) return;
    if (this.#waiting.size >= MOST) {
      this.dropped += 1;
      return;
    }
    this.#waiting.set(key, hint);
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => this.#flush());
  }

  clear(): void {
    this.#waiting.clear();
  }

  #flush(): void {
    this.#planned = false;
    const hints = [...this.#waiting.values()];
    this.#waiting.clear();
    for (let at = 0; at < hints.length; at += BATCH) this.#send(encodeHints(hints.slice(at, at + BATCH)));
  }
}

function keyOf(hint: Hint): string {
  switch (hint.type) {
    case 'queue':
      return `q/${hint.queue}`;
    case 'workflow':
      return `w/${hint.workflowId}`;
    case 'task-cancelled':
      return `c/${hint.taskId}`;
    case 'task-ended':
      return `e/${hint.taskId}`;
    case 'agent':
      return `a/${hint.agentId}`;
    case 'mail':
      return `m/${hint.agentId}`;
    case 'reply':
      return `r/${hint.tenant}/${hint.correlationId}`;
  }
}
