// One route: what it takes, what it answers, what it does. The same object makes the router's entry, the checks before it and the OpenAPI page.

import type { Context } from 'hono';
import type { z } from 'zod';
import type { Clock, Logger } from '../runtime/contracts/ports.ts';
import type { CallContext, TroupeRuntime } from '../runtime/contracts/runtime.ts';
import type { Principal } from './auth.ts';
import type { BodyForm } from './body.ts';
import type { HttpMetrics } from './http-metrics.ts';
import type { StreamSlots } from './limits.ts';

export type Method = 'get' | 'post' | 'patch' | 'delete';
export type Tag =
  | 'agents'
  | 'tasks'
  | 'workflows'
  | 'messages'
  | 'system'
  | 'events'
  | 'history'
  | 'inspection'
  | 'health';
export const JSON_TYPE = 'application/json';
export const EVENT_STREAM_TYPE = 'text/event-stream';
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export interface ResponseSpec {
  readonly description: string;
  /** By media type; null where there is no schema (streams, texts). */
  readonly content?: Readonly<Record<string, z.ZodType | null>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A call that passed every check before its handler. */
export interface ApiRequest<Body = unknown, Query = unknown> {
  readonly c: Context;
  readonly body: Body;
  readonly query: Query;
  /** For routes that are not public. */
  readonly principal: Principal;
  readonly call: CallContext;
  /** Aborted when the client went away. */
  readonly signal: AbortSignal;
  /** Of `Prefer: wait=N`, at most 60 s; 0 without it. */
  readonly waitMs: number;
}

export interface Endpoint<Body = unknown, Query = unknown> {
  readonly method: Method;
  /** As OpenAPI writes it: `/api/agents/{id}`. */
  readonly path: string;
  readonly id: string;
  readonly tag: Tag;
  readonly summary: string;
  readonly description?: string;
  /** A strict object of texts; an unknown parameter is 422. Absent: none allowed. */
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** The schema that checks this very body, where `body` is a union whose errors would name no field. */
  readonly bodySchemaFor?: (value: unknown) => z.ZodType<Body>;
  /** An absent body counts as `{}`. */
  readonly bodyOptional?: boolean;
  readonly bodyForms?: readonly BodyForm[];
  /** Default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Request headers beside the usual ones, with their meaning. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly responses: Readonly<Record<number, ResponseSpec>>;
  /** Method syntax on purpose: lists hold endpoints of all bodies. */
  handle(request: ApiRequest<Body, Query>): Promise<Response>;
}

/** What the routes are made from. */
export interface RouteDeps {
  readonly runtime: TroupeRuntime;
  /** Before every path: empty, or like `/troupe`. */
  readonly basePath: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly streams: StreamSlots;
  readonly metrics: HttpMetrics;
  /** Aborted when the server closes: streams end. */
  readonly closing: AbortSignal;
  /** Called when a shutdown asked for the process to end; absent when we are a guest in another server. */
  readonly onExit: (() => void) | undefined;
}

/** Keeps the types of body and query inside a list of endpoints. */
export function endpoint<Body = undefined, Query = Record<string, never>>(definition: Endpoint<Body, Query>): Endpoint {
  return definition as unknown as Endpoint;
}

/** `GET /api/agents/{id}`: the key of the access table. */
export function routeName(route: Pick<Endpoint, 'method' | 'path'>): string {
  return `${route.method.toUpperCase()} ${route.path}`;
}

/** The types it answers with when all goes well. */
export function producedTypes(route: Endpoint): readonly string[] {
  const types = Object.entries(route.responses)
    .filter(([status]) => Number(status) < 300)
    .flatMap(([, response]) => Object.keys(response.content ?? {}));
  return [...new Set(types)];
}

export function json(schema: z.ZodType): Record<string, z.ZodType> {
  return { [JSON_TYPE]: schema };
}
