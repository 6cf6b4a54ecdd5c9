// Stored events, then live ones, in order and without gap or duplicate: what SSE and `task.events()` read.
// Events are published after their commit, so a live event's number says whether anything before it is still to be read.

import { RuntimeError } from '../contracts/errors.ts';
import type { EventType, RuntimeEvent } from '../contracts/event.ts';
import type { Clock, EventFeed } from '../contracts/ports.ts';
import type { EventsApi } from '../contracts/runtime.ts';
import type { EventStore } from '../contracts/store.ts';

/** Events that end their stream: nothing can follow. */
export const TERMINAL_EVENTS: ReadonlySet<EventType> = new Set<EventType>([
  'task.completed',
  'task.failed',
  'task.dead',
  'task.cancelled',
  'task.timed_out',
  'agent.terminated',
  'workflow.ended',
]);

const PAGE = 500;
const MAX_BUFFERED = 1_000;
const DEFAULT_TENANT = 'default';

export interface StreamDeps {
  readonly feed: EventFeed;
  readonly store: Pick<EventStore, 'read'>;
  readonly clock: Clock;
  /** How often the store is read while nothing comes: events that other nodes write are not in this node's feed. Default 1,000 ms. */
  readonly pollMs?: number;
}

export interface StreamRequest {
  readonly stream: string;
  readonly tenant: string;
  /** The last event the reader has; default 0, from the start. */
  readonly afterSeq?: number;
  readonly signal: AbortSignal;
}

/** The EventsApi over the feed and the store. */
export function createEventsApi(deps: StreamDeps): EventsApi {
  return {
    stream: (stream, { afterSeq, signal }, call) =>
      streamEvents(deps, {
        stream,
        tenant: call?.tenant ?? DEFAULT_TENANT,
        signal,
        ...(afterSeq === undefined ? {} : { afterSeq }),
      }),
    firehose: ({ signal }, call) => firehose(deps.feed, call?.tenant ?? DEFAULT_TENANT, signal),
  };
}

/**
 * Events of one stream after `afterSeq` until the subject is terminal or `signal` aborts. Live notices (`seq` null) come in
 * between, at the place where they happened. A reader that falls far behind loses notices, never stored events.
 * @throws RuntimeError `event_position_gone` when `afterSeq` names an event that is not there (retention): start again at 0.
 */
export async function* streamEvents(
  deps: StreamDeps,
  request: StreamRequest,
): AsyncGenerator<RuntimeEvent, void, void> {
  const { stream, tenant, signal } = request;
  const inbox = new Inbox(deps.clock, signal);
  const stopListening = deps.feed.subscribe((event) => inbox.offer(event), { stream, tenant });
  let lastSeq = request.afterSeq ?? 0;
  try {
    if (lastSeq > 0 && (await endsAt(deps.store, stream, tenant, lastSeq))) return;
    let behind = true;
    while (!signal.aborted) {
      while (behind && !signal.aborted) {
        const page = await deps.store.read(stream, tenant, lastSeq, PAGE);
        for (const event of page) {
          if (signal.aborted) return;
          lastSeq = event.seq ?? lastSeq;
          yield event;
          if (TERMINAL_EVENTS.has(event.type)) return;
        }
        behind = page.length === PAGE;
      }
      const event = await inbox.next(deps.pollMs ?? 1_000);
      if (event === 'overrun' || event === 'silence') {
        behind = true;
      } else if (event.seq === null) {
        yield event;
      } else if (event.seq === lastSeq + 1) {
        lastSeq = event.seq;
        yield event;
        if (TERMINAL_EVENTS.has(event.type)) return;
      } else if (event.seq > lastSeq) {
        behind = true; // another writer's events are in between; this one comes with the page
      }
    }
  } finally {
    stopListening();
    inbox.close();
  }
}

/** Whether the event at this position ended the stream. */
async function endsAt(store: Pick<EventStore, 'read'>, stream: string, tenant: string, seq: number): Promise<boolean> {
  const [event] = await store.read(stream, tenant, seq - 1, 1);
  if (event?.seq !== seq)
    throw new RuntimeError('event_position_gone', `there is no event ${seq} in ${stream}; read from the start`, {
      details: { stream, afterSeq: seq },
    });
  return TERMINAL_EVENTS.has(event.type);
}

/** Every live event of the tenant until `signal` aborts or the reader falls more than 1,000 events behind. */
export async function* firehose(
  feed: EventFeed,
  tenant: string,
  signal: AbortSignal,
): AsyncGenerator<RuntimeEvent, void, void> {
  const queue: RuntimeEvent[] = [];
  let overrun = false;
  let wake: (() => void) | undefined;
  const rouse = () => wake?.();
  const stopListening = feed.subscribe(
    (event) => {
      if (queue.length >= MAX_BUFFERED) overrun = true;
      else queue.push(event);
      rouse();
    },
    { tenant },
  );
  signal.addEventListener('abort', rouse);
  try {
    while (!signal.aborted) {
      const event = queue.shift();
      if (event) yield event;
      else if (overrun) return;
      else
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
    }
  } finally {
    stopListening();
    signal.removeEventListener('abort', rouse);
  }
}

/** Holds the live events of one reader: bounded; when it overflows it forgets them and says so. */
class Inbox {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #queue: RuntimeEvent[] = [];
  #overrun = false;
  #wake: (() => void) | undefined;
  readonly #rouse = (): void => this.#wake?.();

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    signal.addEventListener('abort', this.#rouse);
  }

  offer(event: RuntimeEvent): void {
    if (this.#queue.length >= MAX_BUFFERED) {
      this.#queue.length = 0;
      this.#overrun = true;
    }
    this.#queue.push(event);
    this.#rouse();
  }

  /** The next live event; `overrun` after a loss; `silence` when nothing came within `waitMs` or the signal aborted. */
  async next(waitMs: number): Promise<RuntimeEvent | 'overrun' | 'silence'> {
    if (this.#overrun) {
      this.#overrun = false;
      return 'overrun';
    }
    if (this.#queue.length === 0 && !this.#signal.aborted) {
      let stopTimer = (): void => {};
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        stopTimer = this.#clock.setTimeout(resolve, waitMs);
      });
      this.#wake = undefined;
      stopTimer();
      if (this.#overrun) return this.next(waitMs);
    }
    return this.#queue.shift() ?? 'silence';
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.#rouse);
    this.#queue.length = 0;
  }
}
