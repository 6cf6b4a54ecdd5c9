// Ids and names as strangers write them into paths: all unknown ones are the same 404, and malformed ones never reach the runtime.

import { describe, expect, test } from 'vitest';
import { testApi } from '../kit/api-client.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const UNKNOWN = {
  agents: 'agt_01h455vb4pex5vsknk084sn02q',
  tasks: 'tsk_01h455vb4pex5vsknk084sn02q',
  workflows: 'wfl_01h455vb4pex5vsknk084sn02q',
};
const BAD = [
  '..%2f..%2fetc%2fpasswd',
  '%00',
  '%ff',
  '%',
  '%252e%252e',
  'x%0d%0aSet-Cookie:1',
  'x'.repeat(300),
  '%7B01890a5d-ac96-774b-bcce-b302099a8057%7D',
  '%3Cscript%3E',
  '%E2%80%AE',
  'list%20',
];

describe.each(['agents', 'tasks', 'workflows'] as const)('an id of %s', (kind) => {
  const prefix = kind === 'agents' ? '/api/agents' : `/api/agents/${kind}`;
  const headers = { traceparent: TRACE };

  test.each([...BAD, 'tsk_01h455vb4pex5vsknk084sn02!', 'TSK_01H455VB4PEX5VSKNK084SN02Q'])(
    '%s is an unknown one',
    async (bad) => {
      const api = testApi();
      const unknown = await (await api(`GET ${prefix}/${UNKNOWN[kind]}`, { headers })).text();
      const response = await api(`GET ${prefix}/${bad}`, { headers });
      expect([response.status, await response.text()]).toEqual([404, unknown]);
    },
  );

  test('of another tenant is an unknown one, on every verb and for every role', async () => {
    const api = testApi();
    const body = {
      agents: { type: 'probe' },
      tasks: { capability: 'probe.run' },
      workflows: { tasks: [] },
    }[kind];
    const path = {
      agents: '/api/agents/create',
      tasks: '/api/agents/tasks/submit',
      workflows: '/api/agents/workflows/create',
    }[kind];
    const { id } = (await api.json(`POST ${path}`, { body, tenant: 'theirs' })).body;
    const verbs = {
      agents: ['GET /', 'PATCH /', 'DELETE /', 'POST /pause', 'POST /resume', 'POST /messages', 'GET /events'],
      tasks: ['GET /', 'POST /cancel', 'POST /redrive', 'GET /events'],
      workflows: ['GET /', 'POST /start', 'POST /cancel', 'GET /events', 'GET /decisions'],
    }[kind];
    for (const verb of verbs) {
      const [method, rest = ''] = verb.split(' /');
      const send = {
        headers,
        ...(method === 'PATCH' ? { body: { paused: true } } : rest === 'messages' ? { body: { type: 'x' } } : {}),
      };
      const answers = await Promise.all(
        [id, UNKNOWN[kind]].map(async (one) => {
          const response = await api(`${method} ${prefix}/${one}${rest ? `/${rest}` : ''}`, send);
          return [response.status, await response.text()];
        }),
      );
      expect(answers[0], verb).toEqual(answers[1]);
      expect(answers[0]?.[0], verb).toBe(404);
    }
  });
});

test('malformed ids of tasks and workflows never reach the runtime', async () => {
  const api = testApi();
  for (const bad of BAD) await api(`GET /api/agents/tasks/${bad}`);
  for (const bad of BAD) await api(`GET /api/agents/workflows/${bad}`);
  expect(api.runtime.calls).toEqual([]);
});

test.each(['list', 'status', 'metrics', 'tasks', 'workflows', 'create', 'types', 'events', 'dead-letters', 'tree'])(
  'the word %s is never an agent',
  async (word) => {
    const api = testApi();
    const created = await api.json('POST /api/agents/create', { body: { type: 'probe', name: word } });
    expect(created.status).toBe(422);
    expect(created.body.errors).toEqual([{ path: 'name', message: 'this word is reserved' }]);
    expect([404, 405]).toContain((await api(`DELETE /api/agents/${word}`)).status);
    expect((await api(`POST /api/agents/${word}/pause`)).status).toBe(404);
    expect(api.runtime.calls).toEqual([]);
  },
);

describe('a name', () => {
  test.each([
    ["'; DROP TABLE task;--", 422],
    ["o'brien; DROP TABLE task;--", 201],
    ['👩‍👩‍👧 team', 201],
    ['Zoë', 201],
    ['a\u202eb', 422],
    ['a\u200bb', 422],
    ['a/b', 422],
    ['a\nb', 422],
    ['x'.repeat(121), 422],
    ['x'.repeat(100_000), 422],
    ['', 422],
  ])('%j', async (name, status) => {
    const api = testApi();
    const answer = await api.json('POST /api/agents/create', { body: { type: 'probe', name } });
    expect(answer.status).toBe(status);
    if (status !== 201) return;
    const read = await api.json(`GET /api/agents/${encodeURIComponent(name)}`);
    expect(read.body).toMatchObject({ name });
  });

  test('and its look-alike in another normal form are one', async () => {
    const api = testApi();
    await api('POST /api/agents/create', { body: { type: 'probe', name: 'Zoe\u0308' } });
    expect((await api(`GET /api/agents/${encodeURIComponent('Zo\u00eb')}`)).status).toBe(200);
    expect((await api(`GET /api/agents/${encodeURIComponent('Zoe\u0308')}`)).status).toBe(200);
    expect((await api('POST /api/agents/create', { body: { type: 'probe', name: 'Zo\u00eb' } })).status).toBe(409);
  });
});

describe('a query', () => {
  test.each([
    'limit=-1',
    'limit=0',
    'limit=501',
    'limit=1e3',
    'limit=1000000000',
    'limit=1&limit=2',
    'cursor=%00',
    'cursor=forged',
    'order=state;select pg_sleep(9)',
    'tenant=other',
    'status=everything',
    'capability=../x',
    'workflowId=1',
  ])('%s is 422', async (query) => {
    const { status, body } = await testApi().json(`GET /api/agents/tasks/list?${query}`);
    expect(status).toBe(422);
    expect(body).toHaveProperty('errors');
  });

  test('pages through a list', async () => {
    const api = testApi();
    for (let at = 0; at < 5; at++) await api('POST /api/agents/tasks/submit', { body: { capability: 'probe.run' } });
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page = await api.json(`GET /api/agents/tasks/list?limit=2${cursor ? `&cursor=${cursor}` : ''}`);
      const { items, nextCursor } = page.body as { items: { id: string }[]; nextCursor: string | null };
      seen.push(...items.map(({ id }) => id));
      cursor = nextCursor;
    }
    expect(new Set(seen).size).toBe(5);
  });
});
