// The W3C trace context as far as Troupe takes part: a valid `traceparent` is passed on, a missing or bad one is replaced by a new one.

import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const REQUEST_ID = /^[\w.:-]{1,128}$/;

export interface Trace {
  readonly traceparent: string;
  readonly traceId: string;
  /** Echoed in `x-request-id`: the caller's own when it is a sane one, else the trace id. */
  readonly requestId: string;
}

export function traceOf(headers: Headers): Trace {
  const given = headers.get('traceparent') ?? '';
  const traceparent = TRACEPARENT.test(given) ? given : newTraceparent();
  const traceId = traceparent.slice(3, 35);
  const requestId = headers.get('x-request-id') ?? '';
  return { traceparent, traceId, requestId: REQUEST_ID.test(requestId) ? requestId : traceId };
}

/** A trace of our own; not sampled, because nothing is exported. */
function newTraceparent(): string {
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-00`;
}
