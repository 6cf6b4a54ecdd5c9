// The REST app over a fake runtime, called without sockets: tokens of every role, and short ways to say a request.

import { type AppOptions, createApp } from '../../http/app.ts';
import { createTokenAuthenticator, mintToken, type Role } from '../../http/auth.ts';
import { type TestAmbient, testAmbient } from './ambient.ts';
import { type FakeRuntime, fakeRuntime } from './fake-runtime.ts';

export const TEST_SECRET = 'a secret for tests that is long enough';
export const START_MS = Date.parse('2026-01-01T00:00:00Z');

export interface Call {
  readonly role?: Role | null;
  readonly tenant?: string;
  readonly subject?: string;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
  /** Sent as it is. */
  readonly raw?: string | Uint8Array | ReadableStream;
  readonly signal?: AbortSignal;
}

export interface TestApi {
  readonly ambient: TestAmbient;
  readonly runtime: FakeRuntime;
  readonly app: ReturnType<typeof createApp>;
  /** `api('POST /api/agents/create', { body })`. The role is admin unless said otherwise; null sends no token. */
  (request: string, call?: Call): Promise<Response>;
  json(request: string, call?: Call): Promise<{ status: number; body: Record<string, unknown>; headers: Headers }>;
  token(call?: Call & { ttlMs?: number }): Promise<string>;
}

export function testApi(options: AppOptions = {}): TestApi {
  const ambient = testAmbient({ startMs: START_MS });
  const runtime = fakeRuntime(ambient);
  const authenticate = createTokenAuthenticator({
    key: { type: 'secret', secret: TEST_SECRET },
    issuer: 'troupe',
    audience: 'troupe',
    nowMs: () => ambient.clock.nowMs(),
  });
  const app = createApp(runtime, { authenticate, rateLimit: 0, log: ambient.log, clock: ambient.clock, ...options });
  const token = ({ role, tenant, subject, ttlMs }: Call & { ttlMs?: number } = {}) =>
    mintToken({
      secret: TEST_SECRET,
      subject: subject ?? 'ann',
      tenant: tenant ?? 'default',
      role: role ?? 'admin',
      ttlMs: ttlMs ?? 3_600_000,
      issuer: 'troupe',
      audience: 'troupe',
      nowMs: ambient.clock.nowMs(),
      tokenId: ambient.newId('event'),
    });
  const api = async (request: string, call: Call = {}): Promise<Response> => {
    const [method = 'GET', path = '/'] = request.split(/ (.*)/s);
    const body = call.raw ?? (call.body === undefined ? undefined : JSON.stringify(call.body));
    return app.request(path, {
      method,
      headers: {
        ...(call.role === null ? {} : { authorization: `Bearer ${await token(call)}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...call.headers,
      },
      ...(body === undefined ? {} : { body, duplex: 'half' }),
      ...(call.signal ? { signal: call.signal } : {}),
    } as RequestInit);
  };
  const json = async (request: string, call?: Call) => {
    const response = await api(request, call);
    return {
      status: response.status,
      body: (await response.json()) as Record<string, unknown>,
      headers: response.headers,
    };
  };
  return Object.assign(api, { ambient, runtime, app, token, json });
}
