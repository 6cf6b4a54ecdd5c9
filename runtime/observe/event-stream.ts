// The live feed of a node: who published tells, who subscribed hears, in order. Stores nothing; see stream-events.ts for stored then live.

import type { NewEvent, RuntimeEvent } from '../contracts/event.ts';
import type { Clock, Dispose, EventFeed, Logger } from '../contracts/ports.ts';

type Listener = (event: RuntimeEvent) => void;

/**
 * The feed of this node. An event costs its stream's own listeners (found in a map) plus the general ones, so thousands of
 * callers that each wait for one task cost nothing to the others. A listener that throws is logged and the rest still hear.
 * What a listener publishes is delivered after the event in hand, so everyone sees the same order.
 */
export function createEventFeed({ clock, log }: { readonly clock: Clock; readonly log: Logger }): EventFeed {
  const byStream = new Map<string, Set<Listener>>();
  const general = new Set<Listener>();
  const waiting: RuntimeEvent[] = [];
  let delivering = false;
  let stampedMs = Number.NaN;
  let stamp = '';

  /** Thousands of notices share a millisecond, and writing it out costs more than the notice. */
  const now = (): string => {
    const nowMs = clock.nowMs();
    if (nowMs !== stampedMs) {
      stampedMs = nowMs;
      stamp = new Date(nowMs).toISOString();
    }
    return stamp;
  };

  const hear = (listener: Listener, event: RuntimeEvent): void => {
    try {
      listener(event);
    } catch (error) {
      log.error('a listener of the event feed threw', { type: event.type, stream: event.stream, error });
    }
  };

  const publish = (events: readonly RuntimeEvent[]): void => {
    for (const event of events) waiting.push(event);
    if (delivering) return;
    delivering = true;
    for (let at = 0; at < waiting.length; at++) {
      const event = waiting[at];
      if (!event) continue;
      const own = byStream.get(event.stream);
      if (own) for (const listener of own) hear(listener, event);
      for (const listener of general) hear(listener, event);
    }
    waiting.length = 0;
    delivering = false;
  };

  return {
    publish,
    notice({ stream, type, tenant, data }: NewEvent) {
      publish([{ stream, seq: null, type, tenant, at: now(), data }]);
    },
    subscribe(listener, filter): Dispose {
      const { stream, tenant } = filter ?? {};
      // A wrapper of its own per subscription: the same function may subscribe twice.
      const own: Listener = (event) => {
        if (tenant === undefined || event.tenant === tenant) listener(event);
      };
      const listeners = stream === undefined ? general : streamListeners(byStream, stream);
      listeners.add(own);
      return () => {
        listeners.delete(own);
        if (stream !== undefined && listeners.size === 0 && byStream.get(stream) === listeners) byStream.delete(stream);
      };
    },
  };
}

function streamListeners(byStream: Map<string, Set<Listener>>, stream: string): Set<Listener> {
  const known = byStream.get(stream);
  if (known) return known;
  const made = new Set<Listener>();
  byStream.set(stream, made);
  return made;
}
