// Spans over the OpenTelemetry API: who wants them registers an SDK (in the node and, by `preload`, in the threads); without one nothing is
// made and a trace context is only passed on. A span carries names, ids, sizes and codes, never contents or texts of errors: those hold secrets.

import {
  type Attributes,
  type Context,
  context,
  isSpanContextValid,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api';

const NAME = 'troupe';
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})$/;
/** Where every copy of the API looks for what was registered. */
const REGISTRY = Symbol.for('opentelemetry.js.api.1');
const globals = globalThis as { readonly [REGISTRY]?: { readonly trace?: unknown } };
const KINDS = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const;

export type SpanAttributes = Readonly<Record<string, string | number | boolean | string[] | undefined>>;

export interface SpanSpec {
  /** Of few values: `invoke_agent research`, never an id. */
  readonly name: string;
  /** Default `internal`. */
  readonly kind?: keyof typeof KINDS;
  /** The `traceparent` of its parent; null: it begins a trace; absent: the active span, if there is one. */
  readonly parent?: string | null;
  readonly attributes?: SpanAttributes;
}

/** A span that has begun. */
export interface OpenSpan {
  /** For whatever goes on elsewhere because of it. */
  readonly traceparent: string;
  set(attributes: SpanAttributes): void;
  rename(name: string): void;
  /** Runs `fn`, and what it awaits, with this span as the active one. */
  within<T>(fn: () => T): T;
  /** `failure`: a code of few values. */
  end(failure?: string): void;
}

/** What the last look found: for what happens with every message, where some 20 ns count. */
let taken = false;

/** Whether somebody has registered an SDK. */
export function tracing(): boolean {
  taken = globals[REGISTRY]?.trace !== undefined;
  return taken;
}

/** Whoever gets it ends it. Undefined: nobody wants spans. */
export function openSpan({ name, kind = 'internal', parent, attributes = {} }: SpanSpec): OpenSpan | undefined {
  if (!tracing()) return undefined;
  const around = contextOf(parent);
  const span = trace.getTracer(NAME).startSpan(name, { kind: KINDS[kind], attributes: present(attributes) }, around);
  return new Opened(span, trace.setSpan(around, span));
}

/** Runs `fn` in a span that ends with it; a promise is waited for. What it throws ends the span with its code. */
export function inSpan<T>(spec: SpanSpec, fn: (span: OpenSpan | undefined) => T): T {
  const span = openSpan(spec);
  if (!span) return fn(undefined);
  let result: T;
  try {
    result = span.within(() => fn(span));
  } catch (error) {
    span.end(codeOf(error));
    throw error;
  }
  if (!isThenable(result)) {
    span.end();
    return result;
  }
  return result.then(
    (value) => {
      span.end();
      return value;
    },
    (error: unknown) => {
      span.end(codeOf(error));
      throw error;
    },
  ) as T;
}

/** The context to hand on with what is sent here; undefined: nobody wants spans, or none is active. */
export function activeTraceparent(): string | undefined {
  if (!tracing()) return undefined;
  const active = trace.getSpanContext(context.active());
  return active && isSpanContextValid(active) ? textOf(active) : undefined;
}

/** The same for every message that code of an agent sends: without a span opened here before, there is none to go on in. */
export function openedTraceparent(): string | undefined {
  return taken ? activeTraceparent() : undefined;
}

/** Runs `fn` outside of all spans: what happens because of something else than whatever is active here. */
export function outsideSpans<T>(fn: () => T): T {
  return tracing() ? context.with(ROOT_CONTEXT, fn) : fn();
}

/** The 32 hexadecimal digits that all spans of a trace share; undefined for what is no `traceparent`. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent === undefined ? undefined : TRACEPARENT.exec(traceparent)?.[1];
}

class Opened implements OpenSpan {
  readonly #span: Span;
  readonly #context: Context;
  readonly traceparent: string;

  constructor(span: Span, within: Context) {
    this.#span = span;
    this.#context = within;
    this.traceparent = textOf(span.spanContext());
  }

  set(attributes: SpanAttributes): void {
    this.#span.setAttributes(present(attributes));
  }

  rename(name: string): void {
    this.#span.updateName(name);
  }

  within<T>(fn: () => T): T {
    return context.with(this.#context, fn);
  }

  end(failure?: string): void {
    if (failure !== undefined) {
      this.#span.setAttribute('error.type', failure);
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: failure });
    }
    this.#span.end();
  }
}

function contextOf(parent: string | null | undefined): Context {
  if (parent === undefined) return context.active();
  const [, traceId, spanId, flags] = (parent === null ? null : TRACEPARENT.exec(parent)) ?? [];
  if (!traceId || !spanId || !flags) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: Number.parseInt(flags, 16),
    isRemote: true,
  });
}

function textOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function present(attributes: SpanAttributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined)) as Attributes;
}

/** Codes of the runtime's errors and of the system; anything else by its class. */
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'string' && /^\w{1,64}$/.test(code)) return code;
  return typeof name === 'string' && /^\w{1,64}$/.test(name) ? name : 'error';
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}
