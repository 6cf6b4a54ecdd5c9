// Who asks: goes with every call of the runtime's doors.

import { activeTraceparent } from './tracing.ts';

/** Who asks. The library uses `default`; the REST API takes it from the token. */
export interface CallContext {
  readonly tenant: string;
  readonly traceparent?: string;
  readonly idempotencyKey?: string;
  /** Of the caller, for what people decide. */
  readonly subject?: string;
}

/** Who asks when nobody is named. */
export const DEFAULT_CALL: CallContext = { tenant: 'default' };

/** The trace that a call goes on: its own, else that of the span it is made in. */
export function traceOf(call: Pick<CallContext, 'traceparent'>): { readonly traceparent?: string } {
  const traceparent = call.traceparent ?? activeTraceparent();
  return traceparent ? { traceparent } : {};
}
