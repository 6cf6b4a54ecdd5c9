// What the routes do beyond their documents: waiting, batches, idempotency, versions, limits, errors, mounting.

import { Hono } from 'hono';
import { describe, expect, test } from 'vitest';
import { createApp } from '../../http/app.ts';
import { ERROR_CODES, RuntimeError } from '../../runtime/contracts/errors.ts';
import { testAmbient } from '../kit/ambient.ts';
import { testApi } from '../kit/api-client.ts';
import { fakeRuntime } from '../kit/fake-runtime.ts';

const SUBMIT = 'POST /api/agents/tasks/submit';
const TASK = { capability: 'probe.run', input: { a: 1 } };

describe('submitting', () => {
  test('answers 202 with the place of the task', async () => {
    const { status, body, headers } = await testApi().json(SUBMIT, { body: TASK });
    expect([status, body.status]).toEqual([202, 'queued']);
    expect(headers.get('location')).toBe(`/api/agents/tasks/${body.id}`);
  });

  test('with Prefer: wait answers 200 when the task ends in time', async () => {
    const api = testApi();
    const pending = api.json(SUBMIT, { body: TASK, headers: { prefer: 'wait=5' } });
    await expect.poll(() => api.runtime.calls.some(({ method }) => method === 'tasks.wait')).toBe(true);
    const { items } = (await api.json('GET /api/agents/tasks/list')).body as { items: { id: string }[] };
    api.runtime.end(items[0]?.id ?? '', 'completed', { answer: 42 });
    const { status, body, headers } = await pending;
    expect([status, body.result, headers.get('preference-applied')]).toEqual([200, { answer: 42 }, 'wait=5']);
  });

  test('with Prefer: wait answers 202 when it does not', async () => {
    const api = testApi();
    const pending = api.json(SUBMIT, { body: TASK, headers: { prefer: 'respond-async, wait=5' } });
    await expect.poll(() => api.runtime.calls.some(({ method }) => method === 'tasks.wait')).toBe(true);
    api.ambient.clock.advance(5_000);
    expect((await pending).status).toBe(202);
  });

  test.each([
    ['an array', JSON.stringify([TASK, { ...TASK, priority: 99 }, TASK]), 'application/json'],
    [
      'NDJSON',
      `${JSON.stringify(TASK)}\n${JSON.stringify({ ...TASK, priority: 99 })}\n\n${JSON.stringify(TASK)}\n`,
      'application/x-ndjson',
    ],
  ])('%s is a batch with an answer per item', async (_name, raw, type) => {
    const api = testApi();
    const { status, body } = await api.json(SUBMIT, { raw, headers: { 'content-type': type } });
    expect(status).toBe(202);
    const items = body.items as { ok: boolean; error?: { code: string; details: unknown } }[];
    expect(items.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(items[1]?.error).toMatchObject({ code: 'invalid_input', details: { errors: [{ path: '[1].priority' }] } });
    expect(api.runtime.calls.filter(({ method }) => method === 'tasks.submitMany')).toHaveLength(1);
  });

  test('a bad line of NDJSON is named', async () => {
    const { status, body } = await testApi().json(SUBMIT, {
      raw: `${JSON.stringify(TASK)}\n{"a":`,
      headers: { 'content-type': 'application/x-ndjson' },
    });
    expect([status, body.code]).toEqual([400, 'malformed_request']);
    expect(body.detail).toContain('Line 2');
  });

  test('a full queue is 429 with the time to come back', async () => {
    const api = testApi();
    api.runtime.queueLimit = 1;
    await api(SUBMIT, { body: TASK });
    const { status, body, headers } = await api.json(SUBMIT, { body: TASK });
    expect([status, body.code, headers.get('retry-after')]).toEqual([429, 'queue_full', '3']);
    expect(body).toMatchObject({ retryable: true, details: { limit: 1 } });
  });

  test('to an unknown agent is 422, not 404', async () => {
    const { status, body } = await testApi().json(SUBMIT, {
      body: { ...TASK, agentId: 'agt_01h455vb4pex5vsknk084sn02q' },
    });
    expect([status, body.errors]).toEqual([422, [{ path: 'agentId', message: 'there is no such agent' }]]);
  });
});

describe('Idempotency-Key', () => {
  const key = (value: string) => ({ 'idempotency-key': value });

  test('makes the same request one, per tenant', async () => {
    const api = testApi();
    const send = (tenant: string) => api.json(SUBMIT, { body: TASK, headers: key('k1'), tenant });
    const [first, second, other] = [await send('default'), await send('default'), await send('theirs')];
    expect(second.body.id).toBe(first.body.id);
    expect(other.body.id).not.toBe(first.body.id);
  });

  test('with another body is 422', async () => {
    const api = testApi();
    await api(SUBMIT, { body: TASK, headers: key('k1') });
    const { status, body } = await api.json(SUBMIT, { body: { ...TASK, input: 2 }, headers: key('k1') });
    expect([status, body.code]).toEqual([422, 'idempotency_mismatch']);
  });

  test('of a batch is a key per item', async () => {
    const api = testApi();
    const send = () => api.json(SUBMIT, { body: [TASK, TASK], headers: key('x'.repeat(255)) });
    const ids = ({ body }: { body: Record<string, unknown> }) =>
      (body.items as { task: { id: string } }[]).map(({ task }) => task.id);
    const first = ids(await send());
    expect(new Set(first).size).toBe(2);
    expect(ids(await send())).toEqual(first);
  });

  test.each([
    ['x'.repeat(255), 202],
    ['x'.repeat(256), 400],
    ['a\u0001b', 400],
    ['\u00e9', 400],
  ])('%j is %i', async (value, status) => {
    // Headers of a Request take bytes of Latin-1 only, so a control byte arrives as it would over a socket.
    const response = await testApi()(SUBMIT, { body: TASK, headers: key(value) });
    expect(response.status).toBe(status);
  });

  test('is passed on for every POST', async () => {
    const api = testApi();
    await api('POST /api/agents/create', { body: { type: 'probe' }, headers: key('k2') });
    expect(api.runtime.calls[0]?.call).toMatchObject({ idempotencyKey: 'k2', tenant: 'default' });
  });
});

describe('versions of an agent', () => {
  const prepared = async () => {
    const api = testApi();
    const { headers } = await api.json('POST /api/agents/create', { body: { type: 'probe', name: 'a1' } });
    return { api, etag: headers.get('etag') ?? '' };
  };
  const patch = (api: ReturnType<typeof testApi>, ifMatch?: string) =>
    api.json('PATCH /api/agents/a1', {
      body: { config: { a: 1 } },
      headers: ifMatch === undefined ? {} : { 'if-match': ifMatch },
    });

  test('grow with a change, and a stale one is 412', async () => {
    const { api, etag } = await prepared();
    expect((await patch(api, etag)).headers.get('etag')).toBe('"v2"');
    const stale = await patch(api, etag);
    expect([stale.status, stale.body.code, stale.body.details]).toEqual([412, 'version_conflict', { version: 2 }]);
  });

  test.each([
    ['*', 200],
    [undefined, 200],
    ['W/"v1"', 412],
    ['"other"', 412],
    ['v1', 400],
    ['"v1', 400],
  ])('If-Match %s is %i', async (ifMatch, status) => {
    const { api } = await prepared();
    expect((await patch(api, ifMatch)).status).toBe(status);
  });
});

describe('states', () => {
  test('an illegal transition is 409 and says from where', async () => {
    const api = testApi();
    await api('POST /api/agents/create', { body: { type: 'probe', name: 'a1' } });
    const { status, body } = await api.json('POST /api/agents/a1/resume');
    expect([status, body.details]).toEqual([409, { from: 'idle', event: 'resume' }]);
  });

  test('cancelling an ended task is 409, cancelling twice the same answer', async () => {
    const api = testApi();
    const [a, b] = [(await api.json(SUBMIT, { body: TASK })).body.id, (await api.json(SUBMIT, { body: TASK })).body.id];
    api.runtime.end(String(a), 'completed');
    expect((await api(`POST /api/agents/tasks/${a}/cancel`)).status).toBe(409);
    const twice = [
      await api.json(`POST /api/agents/tasks/${b}/cancel`),
      await api.json(`POST /api/agents/tasks/${b}/cancel`),
    ];
    expect(twice[1]?.body).toEqual(twice[0]?.body);
  });

  test('only a dead task is redriven, and only by an admin', async () => {
    const api = testApi();
    const id = String((await api.json(SUBMIT, { body: TASK })).body.id);
    const redrive = `POST /api/agents/tasks/${id}/redrive`;
    const early = await api.json(redrive);
    expect([early.status, early.body.details]).toEqual([409, { from: 'queued', event: 'redrive' }]);
    api.runtime.end(id, 'dead');
    expect((await api(redrive, { role: 'operator' })).status).toBe(403);
    const { status, body, headers } = await api.json(redrive);
    expect([status, body.status, headers.get('location')]).toEqual([202, 'queued', `/api/agents/tasks/${id}`]);
  });

  test('starting a workflow twice is 409; a cycle is 422 and named', async () => {
    const api = testApi();
    const { id } = (
      await api.json('POST /api/agents/workflows/create', { body: { tasks: [{ id: 'a', capability: 'probe.run' }] } })
    ).body;
    expect((await api(`POST /api/agents/workflows/${id}/start`)).status).toBe(202);
    expect((await api(`POST /api/agents/workflows/${id}/start`)).status).toBe(409);
    const cycle = await api.json('POST /api/agents/workflows/create', {
      body: { tasks: [{ id: 'a', capability: 'probe.run', dependsOn: ['a'] }] },
    });
    expect(cycle.body).toMatchObject({
      status: 422,
      code: 'workflow_cycle',
      errors: [{ path: 'tasks[0].dependsOn[0]' }],
      details: { cycle: ['a', 'a'] },
    });
  });

  test('a draining node refuses work with 503, serves reads, and takes work again', async () => {
    const api = testApi();
    expect((await api('POST /api/agents/shutdown')).status).toBe(202);
    expect((await api('POST /api/agents/shutdown')).status).toBe(202);
    const refused = await api.json(SUBMIT, { body: TASK });
    expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([503, 'draining', '5']);
    expect((await api('GET /api/agents/list')).status).toBe(200);
    expect((await api('POST /api/agents/initialize')).status).toBe(200);
    expect((await api(SUBMIT, { body: TASK })).status).toBe(202);
  });

  test('a shutdown with exit ends the process after the drain, where there is one to end', async () => {
    let ended = 0;
    const api = testApi({ onExit: () => ended++ });
    await api('POST /api/agents/shutdown', { body: { exit: false } });
    await api('POST /api/agents/shutdown', { body: { exit: true } });
    await expect.poll(() => ended).toBe(1);
    expect((await testApi().json('POST /api/agents/shutdown', { body: { exit: true } })).status).toBe(422);
  });

  test('a node that is not ready says why', async () => {
    const api = testApi();
    api.runtime.setReady(['database is down']);
    const { status, body } = await api.json('GET /readyz', { role: null });
    expect([status, body]).toEqual([503, { ready: false, reasons: ['database is down'] }]);
    expect((await api('GET /livez', { role: null })).status).toBe(200);
  });
});

describe('messages', () => {
  test.each([
    ['tell', { type: 'hello' }, 202, undefined],
    ['ask', { type: 'hello', body: 1, mode: 'ask' }, 200, undefined],
    ['a full mailbox', { type: 'full' }, 429, 'mailbox_full'],
    ['a lost agent', { type: 'lost' }, 503, 'target_lost'],
    ['a slow one', { type: 'slow', mode: 'ask', timeoutMs: 5 }, 504, 'ask_timeout'],
    ["the handler's own error", { type: 'own', mode: 'ask' }, 502, 'out_of_stock'],
    ['a tell with a timeout', { type: 'hello', timeoutMs: 5 }, 422, 'invalid_input'],
    ['no type', { body: 1 }, 422, 'invalid_input'],
  ])('%s', async (_name, message, status, code) => {
    const api = testApi();
    await api('POST /api/agents/create', { body: { type: 'probe', name: 'a1' } });
    const answer = await api.json('POST /api/agents/a1/messages', { body: message });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    if (status === 200) expect(answer.body).toEqual({ reply: { echo: 1 } });
  });
});

describe('the rate limit', () => {
  test('is per subject and tenant, reads and writes apart, and tells what is left', async () => {
    const api = testApi({ rateLimit: 2 });
    const read = (subject: string, tenant = 'default') => api('GET /api/agents/list', { subject, tenant });
    const first = await read('ann');
    expect(first.headers.get('ratelimit-policy')).toBe('"read";q=2;w=60');
    expect(first.headers.get('ratelimit')).toMatch(/^"read";r=1;t=\d+$/);
    expect((await read('ann')).status).toBe(200);
    const refused = await read('ann');
    expect(refused.status).toBe(429);
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused.headers.get('ratelimit')).toMatch(/^"read";r=0;/);
    expect((await api(SUBMIT, { subject: 'ann', body: TASK })).status).toBe(202);
    expect((await read('bob')).status).toBe(200);
    expect((await read('ann', 'theirs')).status).toBe(200);
  });

  test('cannot be passed by other addresses, paths or tokens of the same subject', async () => {
    const api = testApi({ rateLimit: 3 });
    const variants = ['/api/agents/list', '/api/agents/list?limit=1', '/api/agents/status', '/api/agents/tree'];
    const statuses: number[] = [];
    for (const [at, path] of variants.entries()) {
      const headers = { 'x-forwarded-for': `10.0.0.${at}`, 'x-real-ip': `10.0.0.${at}`, forwarded: `for=10.0.0.${at}` };
      statuses.push((await api(`GET ${path}`, { headers })).status);
    }
    expect(statuses).toEqual([200, 200, 200, 429]);
  });

  test('stops an address that keeps failing to log in, and nobody with a token', async () => {
    const api = testApi({ rateLimit: 1_000 });
    const statuses = new Set<number>();
    for (let at = 0; at < 70; at++) statuses.add((await api('GET /api/agents/list', { role: null })).status);
    expect([...statuses]).toEqual([401, 429]);
    expect((await api('GET /api/agents/list')).status).toBe(200);
  });
});

describe('failures inside', () => {
  test('are 500 without a word about us, and in the log with the trace id', async () => {
    const api = testApi();
    api.runtime.failNext(new Error('SELECT secret FROM /home/ann'));
    const { status, body } = await api.json('GET /api/agents/status');
    expect([status, body.code]).toEqual([500, 'internal']);
    expect(JSON.stringify(body)).not.toMatch(/SELECT|home|stack/);
    expect(api.ambient.logged.find(({ level }) => level === 'error')?.fields.traceId).toBe(body.traceId);
  });

  test.each(Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[])(
    'the code %s has a status that fits',
    async (code) => {
      const api = testApi();
      api.runtime.failNext(new RuntimeError(code, 'why'));
      const { status, body, headers } = await api.json('GET /api/agents/status');
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status === 500).toBe(code === 'internal' || code === 'config_invalid');
      expect(body).toMatchObject({
        type: `urn:troupe:problem:${code}`,
        status,
        code,
        retryable: ERROR_CODES[code].retryable,
      });
      expect(headers.has('retry-after')).toBe(status === 429 || status === 503);
    },
  );

  test('a thrown thing that is no error is a 500 too', async () => {
    const api = testApi();
    api.runtime.failNext(new TypeError('x'));
    expect((await api('GET /api/agents/status')).status).toBe(500);
  });
});

describe('tracing', () => {
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

  test('passes a valid traceparent on and echoes the request id', async () => {
    const api = testApi();
    const response = await api(SUBMIT, { body: TASK, headers: { traceparent: parent, 'x-request-id': 'req-1' } });
    expect(response.headers.get('traceparent')).toBe(parent);
    expect(response.headers.get('x-request-id')).toBe('req-1');
    expect(api.runtime.calls[0]?.call?.traceparent).toBe(parent);
  });

  test.each(['', 'garbage', '00-00000000000000000000000000000000-b7ad6b7169203331-01', `ff${parent.slice(2)}`])(
    'replaces the traceparent %j',
    async (traceparent) => {
      const response = await testApi()('GET /api/agents/list', {
        headers: { traceparent, 'x-request-id': 'a b<script>' },
      });
      expect(response.headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
      expect(response.headers.get('traceparent')).not.toBe(traceparent);
      expect(response.headers.get('x-request-id')).toBe(response.headers.get('traceparent')?.slice(3, 35));
    },
  );
});

describe("in a user's own server", () => {
  test('leaves the other routes alone, keeps its prefix, and takes their authentication', async () => {
    const runtime = fakeRuntime(testAmbient());
    const host = new Hono();
    host.get('/', (c) => c.text('home'));
    host.notFound((c) => c.text('their 404', 404));
    const authenticate = async (request: Request) =>
      request.headers.get('cookie') === 'session=1'
        ? { subject: 'ann', tenant: 'default', role: 'operator' as const }
        : null;
    host.route('/', createApp(runtime, { basePath: '/troupe', authenticate }) as unknown as Hono);
    host.get('/later', (c) => c.text('later'));
    const cookie = { headers: { cookie: 'session=1' } };

    expect(await (await host.request('/')).text()).toBe('home');
    expect(await (await host.request('/later')).text()).toBe('later');
    expect(await (await host.request('/nothing')).text()).toBe('their 404');
    expect((await host.request('/api/agents/list', cookie)).status).toBe(404);
    expect((await host.request('/troupe/api/agents/list', cookie)).status).toBe(200);
    expect((await host.request('/troupe/api/agents/list')).status).toBe(401);
    expect((await host.request('/troupe/api/agents/list', { ...cookie, method: 'PUT' })).status).toBe(405);
    const created = await host.request('/troupe/api/agents/create', {
      method: 'POST',
      headers: { ...cookie.headers, 'content-type': 'application/json' },
      body: '{"type":"probe"}',
    });
    expect(created.headers.get('location')).toMatch(/^\/troupe\/api\/agents\/agt_/);
  });

  test('without authentication nothing but the public routes is open', async () => {
    const app = createApp(fakeRuntime(testAmbient()));
    expect((await app.request('/api/agents/list')).status).toBe(401);
    expect((await app.request('/livez')).status).toBe(200);
  });
});

test('the page of the API loads nothing from elsewhere', async () => {
  const response = await testApi()('GET /docs', { role: null });
  const page = await response.text();
  expect(page).toContain('/api/agents/tasks/submit');
  expect(page).not.toMatch(/<script|src=|https?:\/\//);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
});
