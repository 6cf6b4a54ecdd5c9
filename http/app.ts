// The REST API as a Hono app over a running Troupe: mount it in your own server, or let http/server.ts serve it.
// Every request passes the same line: size, route, caller, role, budget, headers, query, body; then its handler.

import { type Context, Hono } from 'hono';
import type { Clock, Logger } from '../runtime/contracts/ports.ts';
import type { CallContext, TroupeRuntime } from '../runtime/contracts/runtime.ts';
import { accessOf, mayCall } from './access.ts';
import type { Authenticate, Principal } from './auth.ts';
import { readBody } from './body.ts';
import { type ApiRequest, type Endpoint, producedTypes, type RouteDeps, routeName } from './endpoint.ts';
import { checkUnique, createMethodGuard } from './guard.ts';
import { hostClock, quietLog } from './host.ts';
import { createHttpMetrics } from './http-metrics.ts';
import { serveInspector } from './inspector-page.ts';
import { checkRequestSize, createRateLimits, type RateLimits, StreamSlots } from './limits.ts';
import { type OpenApiDocument, openApiDocument } from './openapi.ts';
import { accepts, idempotencyKey, parseQuery, preferredWaitMs } from './params.ts';
import { EdgeError, invalidInput, isBug, problemResponse } from './problem.ts';
import { agentRoutes } from './routes/agents.ts';
import { channelRoutes } from './routes/channels.ts';
import { eventRoutes } from './routes/events.ts';
import { healthRoutes } from './routes/health.ts';
import { historyRoutes } from './routes/history.ts';
import { inspectionRoutes } from './routes/inspection.ts';
import { logRoutes } from './routes/logs.ts';
import { messageRoutes } from './routes/messages.ts';
import { systemRoutes } from './routes/system.ts';
import { taskRoutes } from './routes/tasks.ts';
import { workflowControlRoutes } from './routes/workflow-control.ts';
import { workflowFigureRoutes } from './routes/workflow-figures.ts';
import { workflowRoutes } from './routes/workflows.ts';
import { type Trace, traceOf } from './trace.ts';

export interface AppOptions {
  /** Who asks. Without it every route but the public ones answers 401: nothing is open by accident. */
  readonly authenticate?: Authenticate;
  /** Requests a minute per caller, for reads and for writes each; 0 switches the limit off. Default 6,000. */
  readonly rateLimit?: number;
  /** Put before every path, like `/troupe`. Default none. */
  readonly basePath?: string;
  readonly log?: Logger;
  readonly clock?: Clock;
  /** Serves the inspector page at `/inspect`. Default true. */
  readonly inspector?: boolean;
  /** Shown in the OpenAPI page. */
  readonly version?: string;
  /** Abort it to end all open streams, before the server closes. */
  readonly closing?: AbortSignal;
  /** Called when `POST /api/agents/shutdown` asked for the process to end and the drain is over. */
  readonly onExit?: () => void;
}

type Env = {
  Variables: { trace: Trace; route?: string };
  Bindings: { incoming?: { rawHeaders?: string[]; socket?: { remoteAddress?: string } } };
};

/** Asked all the time by machines. */
const UNTRACED: ReadonlySet<string> = new Set(['/livez', '/readyz', '/metrics']);

/**
 * The API of a runtime. Paths begin with `/api/agents`; beside them `/metrics`, `/livez`, `/readyz`, `/openapi.json`, `/docs` and `/inspect`.
 * Throws when a route is missing in the access table.
 * @example
 * const app = new Hono();
 * app.route('/', createApp(runtime, { authenticate: async (request) => session(request) }));
 */
export function createApp(runtime: TroupeRuntime, options: AppOptions = {}): Hono<Env> {
  const log = options.log ?? quietLog;
  const deps: RouteDeps = {
    runtime,
    basePath: options.basePath ?? '',
    clock: options.clock ?? hostClock,
    log,
    streams: new StreamSlots(),
    metrics: createHttpMetrics(),
    closing: options.closing ?? new AbortController().signal,
    onExit: options.onExit,
  };
  const endpoints = allEndpoints(deps, options.version ?? '0.0.0');
  checkUnique(endpoints);
  const guard = createMethodGuard(endpoints, deps.basePath);
  const limits = createRateLimits(options.rateLimit ?? 6_000);
  const authenticate = options.authenticate ?? (async () => null);

  const app = new Hono<Env>();
  app.use(async (c, next) => {
    const methods = guard.methodsOf(c.req.path);
    if (!methods) return next(); // not ours: the host's own routes, or the 404 below
    const trace = traceOf(c.req.raw.headers, UNTRACED.has(c.req.path) ? undefined : c.req.method);
    c.set('trace', trace);
    const { span } = trace;
    const fromMs = deps.clock.monotonicMs();
    try {
      const rawHeaders = c.env?.incoming?.rawHeaders;
      checkRequestSize(c.req.url, rawHeaders ? rawHeaders.length / 2 : [...c.req.raw.headers].length);
      guard.check(c.req.method, methods);
      await (span ? span.within(next) : next());
    } catch (error) {
      c.res = problemResponse(error, c.get('trace').traceId);
    }
    setCommonHeaders(c.res.headers, trace);
    deps.metrics.answered(c.req.method, c.get('route'), c.res.status, deps.clock.monotonicMs() - fromMs);
    span?.set({ 'http.response.status_code': c.res.status });
    span?.end(c.res.status >= 500 ? String(c.res.status) : undefined);
  });
  for (const route of endpoints) {
    const allowed = accessOf(routeName(route));
    app.on(route.method.toUpperCase(), deps.basePath + route.path.replaceAll(/\{(\w+)\}/g, ':$1'), async (c) => {
      const { span } = c.get('trace');
      c.set('route', routeName(route));
      span?.rename(routeName(route));
      span?.set({ 'http.route': deps.basePath + route.path });
      const principal = allowed === 'public' ? null : await authenticated(c, authenticate, limits);
      if (principal && !mayCall(allowed, principal))
        throw new EdgeError('forbidden', `The role ${principal.role} may not do this.`);
      const budget = route.method === 'get' ? 'read' : 'write';
      const left = principal ? await limits.take(budget, callerOf(principal)) : {};
      const response = await route.handle(await checkedRequest(c, route, principal));
      for (const [name, value] of Object.entries(left)) response.headers.set(name, value);
      return response;
    });
  }
  if (options.inspector ?? true) serveInspector(app, deps.basePath);
  app.notFound((c) => {
    const trace = traceOf(c.req.raw.headers);
    const response = problemResponse(new EdgeError('not_found', 'There is nothing at this path.'), trace.traceId);
    setCommonHeaders(response.headers, trace);
    return response;
  });
  app.onError((error, c) => {
    if (isBug(error))
      log.error('a request failed', { method: c.req.method, path: c.req.path, traceId: traceId(c), error });
    return problemResponse(error, traceId(c));
  });
  return app;
}

function allEndpoints(deps: RouteDeps, version: string): readonly Endpoint[] {
  const listed: Endpoint[] = [
    ...agentRoutes(deps),
    ...taskRoutes(deps),
    ...workflowFigureRoutes(deps),
    ...workflowRoutes(deps),
    ...workflowControlRoutes(deps),
    ...messageRoutes(deps),
    ...channelRoutes(deps),
    ...systemRoutes(deps),
    ...logRoutes(deps),
    ...eventRoutes(deps),
    ...historyRoutes(deps),
    ...inspectionRoutes(deps),
  ];
  // Made when it is first asked for: a hundred schemas take longer than the rest of the start.
  let document: OpenApiDocument | undefined;
  const describe = (): OpenApiDocument => {
    document ??= openApiDocument(endpoints, version, deps.basePath);
    return document;
  };
  // Literal paths first: the router takes the first that fits.
  const endpoints = [...listed, ...healthRoutes(deps, describe)].sort(
    (a, b) => Number(a.path.includes('{')) - Number(b.path.includes('{')),
  );
  return endpoints;
}

async function authenticated(c: Context<Env>, authenticate: Authenticate, limits: RateLimits): Promise<Principal> {
  const address = c.env?.incoming?.socket?.remoteAddress ?? 'unknown';
  const principal = await authenticate(c.req.raw);
  if (principal) return principal;
  await limits.checkAddress(address);
  await limits.failedLogin(address);
  throw new EdgeError('unauthenticated', 'Send a valid token: Authorization: Bearer <token>.', {
    headers: {
      'www-authenticate': c.req.header('authorization')
        ? 'Bearer realm="troupe", error="invalid_token"'
        : 'Bearer realm="troupe"',
    },
  });
}

async function checkedRequest(c: Context<Env>, route: Endpoint, principal: Principal | null): Promise<ApiRequest> {
  const { headers } = c.req.raw;
  if (!accepts(headers.get('accept'), [...producedTypes(route), 'application/problem+json']))
    throw new EdgeError('not_acceptable', `This path answers with ${producedTypes(route).join(' or ')}.`);
  const key = route.method === 'post' ? idempotencyKey(headers) : undefined;
  const call: CallContext = {
    tenant: principal?.tenant ?? 'default',
    ...(principal ? { subject: principal.subject } : {}),
    traceparent: c.get('trace').traceparent,
    ...(key === undefined ? {} : { idempotencyKey: key }),
  };
  return {
    c,
    query: parseQuery(c.req.queries(), route.query),
    body: route.body ? await checkedBody(c.req.raw, route) : undefined,
    principal: principal ?? { subject: 'anonymous', tenant: 'default', role: 'viewer' },
    call,
    signal: c.req.raw.signal,
    waitMs: preferredWaitMs(headers),
  };
}

async function checkedBody(request: Request, route: Endpoint): Promise<unknown> {
  let value = await readBody(request, route.bodyForms ?? ['json'], route.maxBodyBytes);
  if (value === undefined) {
    if (!route.bodyOptional) throw new EdgeError('malformed_request', 'Send a JSON body.');
    value = {};
  }
  const parsed = (route.bodySchemaFor?.(value) ?? route.body)?.safeParse(value);
  if (parsed && !parsed.success) throw invalidInput(parsed.error);
  return parsed?.data;
}

function callerOf({ tenant, subject }: Principal): string {
  return `${tenant}/${subject}`;
}

function traceId(c: Context<Env>): string {
  return c.get('trace')?.traceId ?? traceOf(c.req.raw.headers).traceId;
}

function setCommonHeaders(headers: Headers, trace: Trace): void {
  headers.set('x-request-id', trace.requestId);
  headers.set('traceparent', trace.traceparent);
  headers.set('x-content-type-options', 'nosniff');
  headers.set('x-frame-options', 'DENY');
  headers.set('referrer-policy', 'no-referrer');
  if (!headers.has('cache-control')) headers.set('cache-control', 'no-store');
  if (!headers.has('content-security-policy'))
    headers.set('content-security-policy', "default-src 'none'; frame-ancestors 'none'");
}
