// Every route against the OpenAPI document it is described by: 401, 403, 422 and the happy path, generated from the document itself.

import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, test } from 'vitest';
import { ACCESS } from '../../http/access.ts';
import { ROLES } from '../../http/auth.ts';
import type { OpenApiDocument } from '../../http/openapi.ts';
import { type Call, type TestApi, testApi } from '../kit/api-client.ts';

const document = (await (await testApi().app.request('/openapi.json')).json()) as OpenApiDocument;
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(document, 'api');

const routes = Object.entries(document.paths).flatMap(([path, operations]) =>
  Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
);

/** Throws what the document says against this answer. */
function checkAnswer(route: string, status: number, headers: Headers, body: unknown): void {
  const [method = '', path = ''] = route.split(' ');
  const responses = document.paths[path]?.[method.toLowerCase()]?.responses as Record<string, { content?: object }>;
  const answer = responses[String(status)];
  if (!answer) throw new Error(`${route} answered ${status}, which the document does not know`);
  const type = headers.get('content-type')?.split(';')[0] ?? '';
  const known = Object.keys(answer.content ?? {}).find((media) => media.split(';')[0] === type);
  if (known === undefined) throw new Error(`${route} ${status} answered with ${type}`);
  if (!type.includes('json')) return;
  const pointer = ['paths', path, method.toLowerCase(), 'responses', status, 'content', known, 'schema']
    .map((part) => encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1')))
    .join('/');
  const validate = ajv.compile({ $ref: `api#/${pointer}` });
  if (!validate(body)) throw new Error(`${route} ${status}: ${ajv.errorsText(validate.errors)}`);
}

interface Happy {
  readonly status: number;
  /** Makes what the route needs and gives the path and the call. */
  readonly prepare: (api: TestApi) => Promise<{ path: string; call?: Call }>;
}

const made = async (api: TestApi, kind: 'agents' | 'tasks' | 'workflows'): Promise<string> => {
  const call = { agents: newAgent, tasks: newTask, workflows: newWorkflow }[kind]();
  const { body } = await api.json(`POST ${call.path}`, call.call);
  return (body as { id?: string }).id ?? '';
};
const newAgent = (body: object = {}) => ({ path: '/api/agents/create', call: { body: { type: 'probe', ...body } } });
const newTask = () => ({
  path: '/api/agents/tasks/submit',
  call: { body: { capability: 'probe.run', input: { a: 1 } } },
});
const newWorkflow = () => ({
  path: '/api/agents/workflows/create',
  call: { body: { name: 'w', tasks: [{ id: 'a', capability: 'probe.run' }] } },
});
const plain = (path: string, status = 200): Happy => ({ status, prepare: async () => ({ path }) });
const on = (kind: 'agents' | 'tasks' | 'workflows', suffix = '', status = 200, call: Call = {}): Happy => ({
  status,
  async prepare(api) {
    const prefix = kind === 'agents' ? '/api/agents' : `/api/agents/${kind}`;
    return { path: `${prefix}/${await made(api, kind)}${suffix}`, call };
  },
});

const running = (suffix: string, status: number, call: Call): Happy => ({
  status,
  async prepare(api) {
    const id = await made(api, 'workflows');
    await api(`POST /api/agents/workflows/${id}/start`);
    return { path: `/api/agents/workflows/${id}${suffix}`, call };
  },
});

const withAgent = (path: string, status: number, body: (agent: string) => unknown): Happy => ({
  status,
  prepare: async (api) => ({ path, call: { body: body(await made(api, 'agents')) } }),
});
const withChannel = (path: string, status: number, named = false): Happy => ({
  status,
  async prepare(api) {
    const agent = await made(api, 'agents');
    await api('POST /api/agents/channels/create', { body: { name: 'news', members: [agent] } });
    return { path: `/api/agents/channels/${path}`, call: named ? { body: { agents: [agent] } } : {} };
  },
});
const withLetter = (suffix: string, status: number): Happy => ({
  status,
  prepare: async ({ runtime }) => ({
    path: `/api/agents/dead-letters/${runtime.messages.letter('default').id}${suffix}`,
  }),
});

const HAPPY: Record<string, Happy> = {
  'POST /api/agents/create': { status: 201, prepare: async () => newAgent({ name: 'sum-1' }) },
  'GET /api/agents/list': plain('/api/agents/list?type=probe&limit=10'),
  'GET /api/agents/types': plain('/api/agents/types'),
  'POST /api/agents/types/{type}/register': plain('/api/agents/types/sleeper/register'),
  'GET /api/agents/{id}': on('agents'),
  'PATCH /api/agents/{id}': on('agents', '', 200, { body: { config: { a: 1 } } }),
  'DELETE /api/agents/{id}': on('agents', '?mode=force'),
  'POST /api/agents/{id}/pause': on('agents', '/pause'),
  'POST /api/agents/{id}/resume': {
    status: 200,
    async prepare(api) {
      const id = await made(api, 'agents');
      await api(`POST /api/agents/${id}/pause`);
      return { path: `/api/agents/${id}/resume` };
    },
  },
  'POST /api/agents/{id}/messages': on('agents', '/messages', 202, { body: { type: 'hello', body: 1 } }),
  'GET /api/agents/{id}/events': on('agents', '/events'),
  'POST /api/agents/tasks/submit': { status: 202, prepare: async () => newTask() },
  'GET /api/agents/tasks/list': plain('/api/agents/tasks/list?status=queued'),
  'GET /api/agents/tasks/{id}': on('tasks'),
  'POST /api/agents/tasks/{id}/cancel': on('tasks', '/cancel', 202),
  'POST /api/agents/tasks/{id}/input': on('tasks', '/input', 200, { body: { value: 3 } }),
  'POST /api/agents/tasks/{id}/redrive': {
    status: 202,
    async prepare(api) {
      const id = await made(api, 'tasks');
      api.runtime.end(id, 'dead');
      return { path: `/api/agents/tasks/${id}/redrive` };
    },
  },
  'GET /api/agents/tasks/{id}/events': on('tasks', '/events'),
  'POST /api/agents/workflows/create': { status: 201, prepare: async () => newWorkflow() },
  'POST /api/agents/workflows/plan': {
    status: 200,
    prepare: async () => ({ ...newWorkflow(), path: '/api/agents/workflows/plan' }),
  },
  'GET /api/agents/workflows/statistics': plain('/api/agents/workflows/statistics?withinS=3600'),
  'GET /api/agents/workflows/stuck': plain('/api/agents/workflows/stuck?idleS=10&limit=5'),
  'GET /api/agents/workflows/list': plain('/api/agents/workflows/list'),
  'GET /api/agents/workflows/{id}': on('workflows'),
  'POST /api/agents/workflows/{id}/start': on('workflows', '/start', 202),
  'POST /api/agents/workflows/{id}/cancel': on('workflows', '/cancel', 202),
  'POST /api/agents/workflows/{id}/pause': running('/pause', 200, {}),
  'POST /api/agents/workflows/{id}/resume': running('/resume', 200, {}),
  'POST /api/agents/workflows/{id}/fork': on('workflows', '/fork', 201, { body: { fromStep: 'a' } }),
  'POST /api/agents/workflows/{id}/signals': running('/signals', 202, { body: { key: 'go', value: 1 } }),
  'POST /api/agents/workflows/{id}/items': running('/items', 202, { body: { items: [1], end: true } }),
  'GET /api/agents/workflows/{id}/inputs': on('workflows', '/inputs?state=open'),
  'POST /api/agents/workflows/{id}/inputs/{step}': on('workflows', '/inputs/ask', 200, { body: { value: 3 } }),
  'GET /api/agents/inputs': plain('/api/agents/inputs?limit=5'),
  'GET /api/agents/workflows/{id}/events': on('workflows', '/events'),
  'GET /api/agents/workflows/{id}/decisions': on('workflows', '/decisions'),
  'GET /api/agents/workflows/{id}/attempts': on('workflows', '/attempts?limit=5'),
  'GET /api/agents/workflows/{id}/journal': on('workflows', '/journal?after=0'),
  'GET /api/agents/workflows/{id}/journal/{seq}': on('workflows', '/journal/1?stepsLimit=10'),
  'GET /api/agents/history/events': plain('/api/agents/history/events?kind=task&type=task.dead'),
  'GET /api/agents/history/timeline': plain('/api/agents/history/timeline?from=2026-01-01T00:00:00Z&buckets=10'),
  'GET /api/agents/history/moment': plain('/api/agents/history/moment?at=2026-01-01T00:00:00Z'),
  'POST /api/agents/messages/send': withAgent('/api/agents/messages/send', 202, (to) => ({
    protocol: 'direct',
    to,
    type: 'hello',
  })),
  'GET /api/agents/messages/statistics': plain('/api/agents/messages/statistics'),
  'POST /api/agents/messages/subscribe': withAgent('/api/agents/messages/subscribe', 200, (agent) => ({
    agent,
    topic: 'orders.*',
    where: { path: 'body.total', greaterThan: 3 },
  })),
  'POST /api/agents/messages/unsubscribe': withAgent('/api/agents/messages/unsubscribe', 200, (agent) => ({
    agent,
    type: 'created',
  })),
  'GET /api/agents/messages/subscriptions': plain('/api/agents/messages/subscriptions'),
  'GET /api/agents/dead-letters/{id}': withLetter('', 200),
  'POST /api/agents/dead-letters/{id}/replay': withLetter('/replay', 202),
  'GET /api/agents/capabilities/{name}': plain('/api/agents/capabilities/probe.run'),
  'GET /api/agents/capabilities/{name}/events': plain('/api/agents/capabilities/probe.run@1/events'),
  'POST /api/agents/channels/create': withAgent('/api/agents/channels/create', 201, (agent) => ({
    name: 'news',
    members: [agent],
    filter: { schema: { type: 'object' } },
  })),
  'GET /api/agents/channels/list': withChannel('list?kind=channel&limit=5', 200),
  'GET /api/agents/channels/{id}': withChannel('news', 200),
  'DELETE /api/agents/channels/{id}': withChannel('news', 200),
  'GET /api/agents/channels/{id}/members': withChannel('news/members?limit=5', 200),
  'POST /api/agents/channels/{id}/join': withChannel('news/join', 200, true),
  'POST /api/agents/channels/{id}/leave': withChannel('news/leave', 200, true),
  'GET /api/agents/status': plain('/api/agents/status'),
  'GET /api/agents/metrics': plain('/api/agents/metrics'),
  'GET /api/agents/metrics/history': plain('/api/agents/metrics/history?metric=tasks_ended_total&stepS=60'),
  'GET /api/agents/tree': plain('/api/agents/tree'),
  'GET /api/agents/nodes': plain('/api/agents/nodes'),
  'GET /api/agents/dead-letters': plain('/api/agents/dead-letters'),
  'GET /api/inspect/logs': plain('/api/inspect/logs?agent=agt_x&level=warn&limit=5'),
  'GET /api/agents/events': plain('/api/agents/events'),
  'POST /api/agents/initialize': plain('/api/agents/initialize'),
  'POST /api/agents/shutdown': plain('/api/agents/shutdown', 202),
  'GET /api/inspect/tree': plain('/api/inspect/tree?kind=thread&limit=5'),
  'GET /api/inspect/stream': plain('/api/inspect/stream?focus=%7B%22actors%22%3A%5B%22main%22%5D%7D'),
  'POST /api/inspect/streams/{id}/focus': {
    status: 200,
    async prepare(api) {
      const feed = api.runtime.inspection.open(
        { signal: new AbortController().signal },
        { tenant: 'default', subject: 'ann' },
      );
      return { path: `/api/inspect/streams/${feed.id}/focus`, call: { body: { actors: ['main'] } } };
    },
  },
  'GET /api/inspect/agents/{id}': {
    status: 200,
    prepare: async (api) => ({ path: `/api/inspect/agents/${await made(api, 'agents')}` }),
  },
  'GET /api/inspect/threads': plain('/api/inspect/threads'),
  'POST /api/inspect/threads/{id}/profile': {
    status: 200,
    prepare: async () => ({ path: '/api/inspect/threads/1/profile', call: { body: { seconds: 1 } } }),
  },
  'GET /api/inspect/nodes': plain('/api/inspect/nodes'),
  'GET /api/inspect/config': plain('/api/inspect/config'),
  'GET /metrics': plain('/metrics'),
  'GET /livez': plain('/livez'),
  'GET /readyz': plain('/readyz'),
  'GET /openapi.json': plain('/openapi.json'),
  'GET /docs': plain('/docs'),
};

const closed = routes.filter((route) => ACCESS[route] !== 'public');

/** A path that fits the pattern, with ids of things that need not exist. */
function samplePath(route: string): string {
  return (route.split(' ')[1] ?? '')
    .replace('tasks/{id}', 'tasks/tsk_01h455vb4pex5vsknk084sn02q')
    .replace('workflows/{id}', 'workflows/wfl_01h455vb4pex5vsknk084sn02q')
    .replace('dead-letters/{id}', 'dead-letters/dlt_01h455vb4pex5vsknk084sn02q')
    .replace('channels/{id}', 'channels/news')
    .replace('{name}', 'probe.run')
    .replace('{type}', 'sleeper')
    .replace('{step}', 'ask')
    .replace('{id}', 'agt_01h455vb4pex5vsknk084sn02q');
}
const methodOf = (route: string): string => route.split(' ')[0] ?? 'GET';

test('the document, the access table and this list name the same routes', () => {
  expect(routes.toSorted()).toEqual(Object.keys(HAPPY).toSorted());
  expect(routes.toSorted()).toEqual(Object.keys(ACCESS).toSorted());
});

test('the document has the 15 routes, and operation ids that are unique', () => {
  const ids = Object.values(document.paths).flatMap((operations) =>
    Object.values(operations).map((one) => one.operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  expect(routes.filter((route) => route.includes('/api/agents')).length).toBeGreaterThanOrEqual(16);
});

test('every reference of the document leads somewhere', () => {
  for (const [, id] of JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)) {
    expect(id).toMatch(/^#\/components\/schemas\//);
    expect(document.components.schemas).toHaveProperty([id?.split('/').at(-1) ?? '']);
  }
});

describe.each(routes)('%s', (route) => {
  test('does what its document says', async () => {
    const api = testApi();
    const happy = HAPPY[route];
    if (!happy) throw new Error('no happy path');
    const { path, call } = await happy.prepare(api);
    const response = await api(`${methodOf(route)} ${path}`, call);
    const streams = response.headers.get('content-type')?.startsWith('text/event-stream');
    const body = streams ? await response.body?.cancel() : await response.text();
    expect(response.status, String(body)).toBe(happy.status);
    const json = response.headers.get('content-type')?.includes('json');
    checkAnswer(route, response.status, response.headers, json ? JSON.parse(String(body)) : body);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('cache-control')).toMatch(/no-store|no-cache/);
  });
});

describe.each(closed)('%s', (route) => {
  test('answers 401 without a token', async () => {
    const { status, body, headers } = await testApi().json(`${methodOf(route)} ${samplePath(route)}`, { role: null });
    expect(status).toBe(401);
    expect(headers.get('www-authenticate')).toBe('Bearer realm="troupe"');
    checkAnswer(route, status, headers, body);
  });

  test('answers 422 to a parameter it does not know', async () => {
    const unknown = methodOf(route) === 'GET' || methodOf(route) === 'DELETE';
    const call = unknown ? {} : { body: { surprise: true } };
    const path = `${samplePath(route)}${unknown ? '?surprise=1' : ''}`;
    const { status, body, headers } = await testApi().json(`${methodOf(route)} ${path}`, call);
    expect(status).toBe(422);
    expect(body).toMatchObject({ code: 'invalid_input', status: 422 });
    checkAnswer(route, status, headers, body);
  });
});

describe.each(ROLES)('the role %s', (role) => {
  test.each(closed)('may call what the table says: %s', async (route) => {
    const api = testApi();
    const response = await api(`${methodOf(route)} ${samplePath(route)}`, {
      role,
      ...(methodOf(route) === 'GET' || methodOf(route) === 'DELETE' ? {} : { body: {} }),
    });
    await response.body?.cancel();
    const allowed = ACCESS[route];
    expect(response.status === 403).toBe(allowed !== 'public' && !allowed?.includes(role));
    expect(response.status).toBeLessThan(500);
  });
});

test('the table itself: viewers only read, and these are for admins alone', () => {
  const admins = closed.filter((route) => ACCESS[route]?.length === 1);
  expect(admins.toSorted()).toEqual([
    'DELETE /api/agents/channels/{id}',
    'DELETE /api/agents/{id}',
    'POST /api/agents/initialize',
    'POST /api/agents/shutdown',
    'POST /api/agents/tasks/{id}/redrive',
    'POST /api/agents/types/{type}/register',
    'POST /api/inspect/threads/{id}/profile',
  ]);
  // Where a viewer looks is its own matter: nobody else's sight changes with it.
  const looks = ['POST /api/inspect/streams/{id}/focus'];
  for (const route of closed) {
    const reads = route.startsWith('GET') || looks.includes(route);
    expect([route, ACCESS[route]?.includes('viewer')]).toEqual([route, reads]);
  }
  expect(routes.filter((route) => ACCESS[route] === 'public')).toEqual(
    expect.arrayContaining(['GET /livez', 'GET /readyz', 'GET /openapi.json', 'GET /docs']),
  );
  expect(closed.length).toBe(routes.length - 4);
});

test('a viewer cannot raise itself by a header', async () => {
  const api = testApi();
  const response = await api('POST /api/agents/create', {
    role: 'viewer',
    body: { type: 'probe' },
    headers: { 'x-http-method-override': 'GET', 'x-role': 'admin' },
  });
  expect(response.status).toBe(403);
});

describe('strange methods', () => {
  test.each([
    ['DELETE', '/api/agents/list', 'GET, HEAD'],
    ['PUT', '/api/agents/create', 'POST'],
    ['GET', '/api/agents/create', 'POST'],
    ['POST', '/api/agents/agt_01h455vb4pex5vsknk084sn02q', 'GET, HEAD, PATCH, DELETE'],
    ['OPTIONS', '/api/agents/status', 'GET, HEAD'],
    ['PROPFIND', '/livez', 'GET, HEAD'],
  ])('%s %s is 405 with Allow', async (method, path, allow) => {
    const { status, body, headers } = await testApi().json(`${method} ${path}`);
    expect(status).toBe(405);
    expect(headers.get('allow')).toBe(allow);
    expect(body).toMatchObject({ code: 'method_not_allowed' });
  });

  test.each([
    '/api',
    '/api/agents',
    '/api/agents/',
    '//api/agents/list',
    '/api/agents/list/',
    '/API/agents/list',
    '/favicon.ico',
  ])('%s is 404', async (path) => {
    const response = await testApi().app.request(`http://localhost${path}`);
    expect(response.status).toBe(404);
    expect(response.headers.get('content-type')).toBe('application/problem+json');
  });

  test('HEAD answers like GET without a body', async () => {
    const api = testApi();
    const response = await api('HEAD /api/agents/list');
    expect([response.status, await response.text()]).toEqual([200, '']);
    const stream = await api('HEAD /api/agents/events');
    expect([stream.status, await stream.text()]).toEqual([200, '']);
  });
});

describe('Accept', () => {
  test.each([
    ['image/png', '/api/agents/list', 406],
    ['application/json', '/api/agents/list', 200],
    ['application/*', '/api/agents/list', 200],
    ['*/*', '/api/agents/list', 200],
    ['image/png, application/json;q=0.5', '/api/agents/list', 200],
    ['application/json;q=0', '/api/agents/list', 406],
    ['application/json', '/metrics', 406],
  ])('%s on %s is %i', async (accept, path, expected) => {
    const response = await testApi()(`GET ${path}`, { headers: { accept } });
    expect(response.status).toBe(expected);
  });

  test('text/plain gives Prometheus text, JSON is the default', async () => {
    const api = testApi();
    const text = await api('GET /api/agents/metrics', { headers: { accept: 'text/plain' } });
    expect(text.headers.get('content-type')).toContain('version=0.0.4');
    expect(await text.text()).toContain('troupe_agents{state="idle"} 1');
    expect((await api('GET /api/agents/metrics')).headers.get('content-type')).toContain('application/json');
  });
});
