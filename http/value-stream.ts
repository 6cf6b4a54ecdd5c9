// Server-sent events of something that is followed by a listener: the latest value is told; what came between is left out for a slow client.

import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { Dispose } from '../runtime/contracts/ports.ts';
import type { ApiRequest, RouteDeps } from './endpoint.ts';

const HEARTBEAT_MS = 15_000;

export interface ValueSource<Value> {
  /** Type of the events. */
  readonly event: string;
  readonly follow: (listener: (value: Value) => void) => Dispose;
}

/**
 * Ends when the client goes, the token expires or the server closes.
 * @throws EdgeError `too_many_streams`
 */
export function openValueStream<Value>(request: ApiRequest, deps: RouteDeps, source: ValueSource<Value>): Response {
  const { c, principal } = request;
  if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' });
  const release = deps.streams.take(`${principal.tenant}/${principal.subject}`);
  c.header('x-accel-buffering', 'no');
  return streamSSE(c as Context, async (stream) => {
    const latest = new Latest<Value>();
    const end = (): void => latest.end();
    const { clock, closing } = deps;
    const { expiresAtMs } = principal;
    const disposers = [
      release,
      clock.setInterval(() => latest.beat(), HEARTBEAT_MS),
      expiresAtMs === undefined ? () => {} : clock.setTimeout(end, expiresAtMs - clock.nowMs()),
      () => closing.removeEventListener('abort', end),
    ];
    closing.addEventListener('abort', end);
    if (closing.aborted) end();
    stream.onAbort(end);
    try {
      disposers.push(source.follow((value) => latest.set(value)));
      await stream.write(': ok\n\n'); // the headers go out now, not with the first event
      for (;;) {
        const next = await latest.next();
        if (next === undefined) return;
        if (next.type === 'beat') await stream.write(': heartbeat\n\n');
        else await stream.writeSSE({ event: source.event, data: JSON.stringify(next.value) });
      }
    } catch (error) {
      deps.log.warn('a stream ended early', { path: c.req.path, error });
    } finally {
      for (const dispose of disposers) dispose();
    }
  });
}

type Next<Value> = { readonly type: 'beat' } | { readonly type: 'value'; readonly value: Value };

/** One value at most waits; a newer one takes its place. */
class Latest<Value> {
  #waiting: Next<Value> | undefined;
  #ended = false;
  #wake: (() => void) | undefined;

  set(value: Value): void {
    this.#waiting = { type: 'value', value };
    this.#wake?.();
  }

  /** Fills silence. */
  beat(): void {
    this.#waiting ??= { type: 'beat' };
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Undefined: it has ended. */
  async next(): Promise<Next<Value> | undefined> {
    while (!this.#ended) {
      const next = this.#waiting;
      this.#waiting = undefined;
      if (next) return next;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return undefined;
  }
}
