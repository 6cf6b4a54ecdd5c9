// Server-sent events of an inspector's feed: a frame an event, a heartbeat in silence, and every way to end.

import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';
import type { InspectFeed } from '../runtime/contracts/inspection.ts';
import type { ApiRequest, RouteDeps } from './endpoint.ts';

const HEARTBEAT_MS = 15_000;

/**
 * Ends when the client goes, the token expires, the server closes or the viewer was too slow.
 * @throws EdgeError `too_many_streams`
 */
export function openFrameStream(
  { c, principal }: ApiRequest,
  { clock, closing, log, streams }: RouteDeps,
  open: (signal: AbortSignal) => InspectFeed,
): Response {
  if (c.req.method === 'HEAD') return c.body(null, 200, { 'content-type': 'text/event-stream' });
  const release = streams.take(`${principal.tenant}/${principal.subject}`);
  c.header('x-accel-buffering', 'no');
  return streamSSE(c as Context, async (stream) => {
    const ending = new AbortController();
    const end = (): void => ending.abort();
    const { expiresAtMs } = principal;
    let writing = false;
    const disposers = [
      release,
      clock.setInterval(() => {
        if (!writing) void stream.write(': heartbeat\n\n');
      }, HEARTBEAT_MS),
      expiresAtMs === undefined ? () => {} : clock.setTimeout(end, expiresAtMs - clock.nowMs()),
      () => closing.removeEventListener('abort', end),
      end,
    ];
    closing.addEventListener('abort', end);
    if (closing.aborted) end();
    stream.onAbort(end);
    try {
      for await (const frame of open(ending.signal).frames) {
        writing = true;
        await stream.writeSSE({ event: frame.type, data: JSON.stringify(frame) });
        writing = false;
        if (ending.signal.aborted) return;
      }
    } catch (error) {
      log.warn('an inspector stream ended early', { path: c.req.path, error });
    } finally {
      for (const dispose of disposers) dispose();
    }
  });
}
