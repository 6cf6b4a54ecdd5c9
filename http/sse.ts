// Server-sent events (WHATWG HTML, section 9.2) over the runtime's event streams: ids, resumption, heartbeat, and every way to end.

import type { Context } from 'hono';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import type { RuntimeEvent } from '../runtime/contracts/event.ts';
import type { Clock } from '../runtime/contracts/ports.ts';
import type { ApiRequest, RouteDeps } from './endpoint.ts';
import { presentEvent } from './present.ts';

const HEARTBEAT_MS = 15_000;

export interface EventSource {
  readonly open: (afterSeq: number | undefined, signal: AbortSignal) => AsyncIterable<RuntimeEvent>;
  readonly afterSeq?: number | undefined;
  /** Whether the numbers of the events are ids to resume at: not where many streams are mixed. Default true. */
  readonly ids?: boolean;
  /** Nothing more will happen: when the client has it all, the answer is 204, which tells EventSource not to come back. */
  readonly ended?: boolean;
}

/**
 * Answers with the stream. Stored events carry their number as `id`, live notices none. It ends when the subject is terminal,
 * the client goes, the token expires or the server closes. A client that names an event that is not kept any more gets
 * `event: reset` and everything from the start.
 * @throws EdgeError `too_many_streams`
 */
export async function openEventStream(request: ApiRequest, deps: RouteDeps, source: EventSource): Promise<Response> {
  const { c, principal } = request;
  if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' });
  if (source.ended && source.afterSeq !== undefined && (await nothingLeft(source))) return c.body(null, 204);
  const release = deps.streams.take(`${principal.tenant}/${principal.subject}`);
  const ending = endingOf(request, deps);
  c.header('x-accel-buffering', 'no');
  return streamSSE(c as Context, async (stream) => {
    const writer = new EventWriter(stream, deps.clock);
    stream.onAbort(ending.abort);
    try {
      await writer.comment('ok'); // the headers go out now, not with the first event
      await pump(writer, source, ending.signal);
    } catch (error) {
      deps.log.warn('an event stream ended early', { path: c.req.path, error });
    } finally {
      writer.close();
      ending.dispose();
      release();
    }
  });
}

async function pump(writer: EventWriter, source: EventSource, signal: AbortSignal): Promise<void> {
  let after = source.afterSeq;
  for (;;) {
    try {
      for await (const event of source.open(after, signal)) {
        if (signal.aborted) return;
        await writer.event(event, source.ids ?? true);
      }
      return;
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'event_position_gone' || after === undefined) throw error;
      await writer.reset();
      after = undefined;
    }
  }
}

/** Reads one event of a stream that has ended. */
async function nothingLeft({ open, afterSeq }: EventSource): Promise<boolean> {
  const abort = new AbortController();
  try {
    for await (const _event of open(afterSeq, abort.signal)) return false;
    return true;
  } catch {
    return false;
  } finally {
    abort.abort();
  }
}

function endingOf({ principal }: ApiRequest, { clock, closing }: RouteDeps) {
  const controller = new AbortController();
  const abort = (): void => controller.abort();
  closing.addEventListener('abort', abort);
  if (closing.aborted) abort();
  const { expiresAtMs } = principal;
  const stopTimer = expiresAtMs === undefined ? () => {} : clock.setTimeout(abort, expiresAtMs - clock.nowMs());
  return {
    signal: controller.signal,
    abort,
    dispose() {
      stopTimer();
      closing.removeEventListener('abort', abort);
      abort();
    },
  };
}

/** Writes one thing at a time and waits for the client to take it; a heartbeat only fills silence. */
class EventWriter {
  readonly #stream: SSEStreamingApi;
  readonly #stopHeartbeat: () => void;
  #writing = false;

  constructor(stream: SSEStreamingApi, clock: Clock) {
    this.#stream = stream;
    this.#stopHeartbeat = clock.setInterval(() => {
      if (!this.#writing) void this.comment('heartbeat');
    }, HEARTBEAT_MS);
  }

  async comment(text: string): Promise<void> {
    await this.#alone(() => this.#stream.write(`: ${text}\n\n`));
  }

  async event(event: RuntimeEvent, withId: boolean): Promise<void> {
    await this.#alone(() =>
      this.#stream.writeSSE({
        event: event.type,
        data: JSON.stringify(presentEvent(event)), // one line: JSON escapes line breaks
        ...(withId && event.seq !== null ? { id: String(event.seq) } : {}),
      }),
    );
  }

  async reset(): Promise<void> {
    await this.#alone(() => this.#stream.writeSSE({ event: 'reset', data: '{}' }));
  }

  close(): void {
    this.#stopHeartbeat();
  }

  async #alone(write: () => Promise<unknown>): Promise<void> {
    this.#writing = true;
    try {
      await write();
    } finally {
      this.#writing = false;
    }
  }
}
