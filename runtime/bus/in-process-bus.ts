// Hints inside one process, encoded and decoded like on the wire, so that what works here works over Redis.

import type { Bus, Logger } from '../contracts/ports.ts';
import { decodeHints } from './hint-codec.ts';
import { HintListeners } from './hint-listeners.ts';
import { HintOutbox } from './hint-outbox.ts';

export interface InProcessBusOptions {
  readonly log: Logger;
  /** For tests: asked once per message; true loses it, as Redis may. */
  readonly drop?: () => boolean;
  /** For tests: asked once per message; true delivers it twice. */
  readonly duplicate?: () => boolean;
}

/** The embedded bus. Listeners hear in a later turn than the publisher, itself included; equal hints of a turn come once. */
export function createInProcessBus({ log, drop, duplicate }: InProcessBusOptions): Bus {
  const listeners = new HintListeners(log);
  let open = true;
  const deliver = (text: string) => {
    if (!open || drop?.()) return;
    const hints = decodeHints(text);
    if (!hints) {
      log.error('a hint cannot be encoded', { text: text.slice(0, 200) });
      return;
    }
    listeners.tell(hints);
    if (duplicate?.()) listeners.tell(hints);
  };
  const outbox = new HintOutbox(deliver);
  return {
    kind: 'in-process',
    publish: (hint) => {
      if (open) outbox.add(hint);
    },
    subscribe: (listener) => listeners.add(listener),
    healthy: () => open,
    async close() {
      open = false;
      outbox.clear();
      listeners.clear();
    },
  };
}
