// The W3C trace context as far as Troupe takes part: a valid `traceparent` is passed on, a missing or bad one is replaced by a new one.

import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const REQUEST_ID = /^[\w.:-]{1,128}$/;

import { type OpenSpan, openSpan } from '../runtime/contracts/tracing.ts';

export interface Trace {
  /** Of this request; absent when nobody takes spans. */
  readonly span?: OpenSpan;
  readonly traceparent: string;
  readonly traceId: string;
  /** Echoed in `x-request-id`: the caller's own when it is a sane one, else the trace id. */
  readonly requestId: string;
}

/** `method`: of a request that is to have a span. */
export function traceOf(headers: Headers, method?: string): Trace {
  const given = headers.get('traceparent') ?? '';
  const known = TRACEPARENT.test(given) ? given : null;
  const span =
    method === undefined
      ? undefined
      : openSpan({ name: method, kind: 'server', parent: known, attributes: { 'http.request.method': method } });
  const traceparent = span?.traceparent ?? known ?? newTraceparent();
  const traceId = traceparent.slice(3, 35);
  const requestId = headers.get('x-request-id') ?? '';
  const trace = { traceparent, traceId, requestId: REQUEST_ID.test(requestId) ? requestId : traceId };
  return span ? { ...trace, span } : trace;
}

/** A trace of our own; not sampled, because nothing is exported. */
function newTraceparent(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`;
}
