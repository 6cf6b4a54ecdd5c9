// The whole API over a real node in a process of its own: the main job of a user, all 15 routes, the command line, the ends.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { call, type NodeProcess, startNode, tokenFor } from '../kit/node-process.ts';

const cli = fileURLToPath(new URL('../../dist/http/cli.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'troupe-rest-'));
const TASKS = 1_000;
let node: NodeProcess;
let token: string;

beforeAll(async () => {
  node = await startNode({ dataDir: join(folder, 'data') });
  token = await tokenFor('admin');
});
afterAll(async () => {
  await node.stop();
  rmSync(folder, { recursive: true, force: true });
});

const api = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  call(node, token, method, `/api/agents${path}`, body, headers);

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function troupe(args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const base = { PATH: process.env.PATH ?? '', HOME: folder, TROUPE_URL: node.url, TROUPE_TOKEN: token };
    execFile(process.execPath, [cli, ...args], { cwd: folder, env: { ...base, ...env } }, (error, out, err) => {
      resolve({ code: error ? Number(error.code) : 0, out, err });
    });
  });
}

describe('the main job over REST', () => {
  test('three agents of a type run 1,000 tasks, and every result is read', async () => {
    const agents = await Promise.all(
      [1, 2, 3].map((at) => api('POST', '/create', { type: 'probe', name: `worker-${at}` })),
    );
    expect(agents.map(({ status }) => status)).toEqual([201, 201, 201]);
    const ids: string[] = [];
    for (let from = 0; from < TASKS; from += 250) {
      const batch = Array.from({ length: 250 }, (_, at) => ({ capability: 'probe.run', input: { answer: from + at } }));
      const { status, body } = await api('POST', '/tasks/submit', batch);
      expect(status).toBe(202);
      ids.push(...(body.items as { ok: true; task: { id: string } }[]).map(({ task }) => task.id));
    }
    expect(new Set(ids).size).toBe(TASKS);
    const used = new Set<unknown>();
    for (const [at, id] of ids.entries()) {
      const { body } = await api('GET', `/tasks/${id}`, undefined, { prefer: 'wait=60' });
      expect(body, JSON.stringify(body)).toMatchObject({ id, status: 'completed', result: { answer: at } });
      used.add(body.agentId);
    }
    expect(used.size).toBe(3);
    const { body } = await api('GET', '/metrics');
    expect(body).toMatchObject({ agents: { execution: { submitted: TASKS, completed: TASKS } } });
  });
});

test('all 15 routes and PATCH do what they say', async () => {
  const created = await api('POST', '/create', { type: 'probe', name: 'all-routes', config: { answer: 'A' } });
  expect(created.status).toBe(201);
  const id = String(created.body.id);
  await expect.poll(async () => (await api('GET', `/${id}`)).body.state, { timeout: 10_000 }).toBe('idle');
  expect((await api('GET', '/list?type=probe')).body).toHaveProperty('items');
  expect((await api('PATCH', `/${id}`, { config: { answer: 'B' } })).status).toBe(200);

  const submitted = await api('POST', '/tasks/submit', { capability: 'probe.run', agentId: id }, { prefer: 'wait=30' });
  expect(submitted.body).toMatchObject({ status: 'completed', result: { answer: 'B' } });
  const task = await api('GET', `/tasks/${submitted.body.id}`);
  expect(task.body.attempts).toHaveLength(1);
  expect((await api('POST', `/tasks/${submitted.body.id}/cancel`)).status).toBe(409);
  const later = await api('POST', '/tasks/submit', { capability: 'probe.run', delayMs: 3_600_000 });
  expect((await api('POST', `/tasks/${later.body.id}/cancel`)).body).toMatchObject({ outcome: 'before_start' });

  const step = (name: string, dependsOn: string[]) => ({ id: name, capability: 'probe.run', dependsOn });
  const workflow = await api('POST', '/workflows/create', {
    pattern: 'parallel',
    tasks: [step('a', []), step('b', []), step('c', ['a', 'b'])],
  });
  expect(workflow.status).toBe(201);
  const done = await api('POST', `/workflows/${workflow.body.id}/start`, undefined, { prefer: 'wait=30' });
  expect([done.status, done.body.status]).toEqual([200, 'completed']);
  expect((await api('GET', `/workflows/${workflow.body.id}`)).body).toMatchObject({ progress: { done: 3, total: 3 } });
  expect((await api('GET', '/workflows/list')).body).toHaveProperty('items');

  expect((await api('GET', '/status')).body).toMatchObject({
    status: 'running',
    dependencies: { database: { status: 'up' } },
  });
  expect((await api('GET', '/metrics')).status).toBe(200);
  expect((await api('DELETE', `/${id}`)).status).toBe(200);
  expect((await api('DELETE', `/${id}`)).status).toBe(404);

  expect((await api('POST', '/shutdown')).status).toBe(202);
  await expect.poll(async () => (await api('POST', '/tasks/submit', { capability: 'probe.run' })).status).toBe(503);
  expect((await api('GET', '/list')).status).toBe(200);
  expect((await api('POST', '/initialize')).status).toBe(200);
  await expect.poll(async () => (await api('POST', '/tasks/submit', { capability: 'probe.run' })).status).toBe(202);
});

test('the events of a task are told over a socket, and end with it', async () => {
  const { body } = await api('POST', '/tasks/submit', { capability: 'probe.run', input: { sleepMs: 50 } });
  const response = await fetch(`${node.url}/api/agents/tasks/${body.id}/events`, {
    headers: { authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(30_000),
  });
  const types = [...(await response.text()).matchAll(/^event: (.*)$/gm)].map(([, type]) => type);
  expect([types[0], types.at(-1)]).toEqual(['task.accepted', 'task.completed']);
});

describe('the command line', () => {
  test('does the same from a shell, in text and in JSON', async () => {
    expect((await troupe(['agents', 'create', 'probe', '--name', 'shell'])).out).toContain('shell');
    const submitted = await troupe([
      'task',
      'submit',
      'probe.run',
      '--input',
      '{"answer":7}',
      '--wait',
      '30',
      '--json',
    ]);
    expect(JSON.parse(submitted.out)).toMatchObject({ status: 'completed', result: { answer: 7 } });
    expect((await troupe(['task', 'list', '--status', 'completed', '--limit', '1'])).out).toMatch(/^ID +STATUS/);
    expect((await troupe(['status'])).out).toContain('running');
    expect(JSON.parse((await troupe(['agents', 'delete', 'shell', '--json'])).out)).toMatchObject({ mode: 'drain' });
  });

  test('plans a workflow, and tells what patterns achieved and which runs stand still', async () => {
    const definition = JSON.stringify({
      pattern: 'parallel',
      tasks: [
        { id: 'a', capability: 'probe.run', input: { answer: 1 } },
        { id: 'b', capability: 'probe.run', input: { answer: 2 }, dependsOn: ['a'] },
        { id: 'c', capability: 'probe.run', input: { answer: 3 }, dependsOn: ['a', 'b'] },
      ],
    });
    const planned = await troupe(['workflow', 'plan', definition]);
    expect([planned.code, planned.err]).toEqual([0, '']);
    expect(planned.out).toMatch(/^ID +LEVEL +CAPABILITY/);
    expect(planned.out).toMatch(/needless +c after a/);
    expect(JSON.parse((await troupe(['workflow', 'plan', definition, '--json'])).out)).toMatchObject({
      order: ['a', 'b', 'c'],
      redundantEdges: [{ step: 'c', dependsOn: 'a' }],
    });
    expect((await troupe(['workflow', 'plan', '{"tasks":[{"id":"a"}]}'])).code).toBe(1);

    const runsOf = async (): Promise<number> => {
      const { out } = await troupe(['workflow', 'stats', '--json']);
      const { patterns } = JSON.parse(out) as { patterns: { pattern: string; runs: number }[] };
      return patterns.find(({ pattern }) => pattern === 'parallel')?.runs ?? 0;
    };
    const before = await runsOf();
    await troupe(['agents', 'create', 'probe', '--name', 'planned']);
    const ran = await troupe(['workflow', 'create', definition, '--start', '--wait', '30', '--json']);
    const view = JSON.parse(ran.out);
    expect(view).toMatchObject({ status: 'completed', nextStep: null, metrics: { amdahl: { serialFraction: 1 } } });
    const page = await troupe(['workflow', 'get', view.id, '--steps', '2']);
    expect(page.out).toMatch(/more steps: --steps-cursor 2$/m);
    await troupe(['agents', 'delete', 'planned']);

    expect((await troupe(['workflow', 'stats', '--within', '1h'])).out).toMatch(/^PATTERN +RUNS.*\nparallel +\d+/);
    expect(await runsOf()).toBe(before + 1);
    const stats = JSON.parse((await troupe(['workflow', 'stats', '--json'])).out);
    expect(stats).toMatchObject({ withinMs: 604_800_000 });
    expect((await troupe(['workflow', 'stuck', '--idle', '5s'])).out.trim()).toBe('none');
    expect(JSON.parse((await troupe(['workflow', 'stuck', '--json', '--limit', '3'])).out)).toEqual({ items: [] });
    expect((await troupe(['workflow', 'stats', '--within', 'soon'])).code).toBe(64);
  });

  test('acts on a run: pause, answer, append, fork', async () => {
    const text = async (...args: string[]) => {
      const { code, out, err } = await troupe(['workflow', ...args]);
      expect([code, err], args.join(' ')).toEqual([0, '']);
      return out;
    };
    const started = async (definition: object) =>
      String(JSON.parse(await text('create', JSON.stringify(definition), '--start', '--json')).id);
    const approval = { prompt: 'Go on?' };
    const asks = await started({
      tasks: [
        { id: 'gate', approval },
        { id: 'last', approval, dependsOn: ['gate'] },
      ],
    });
    await expect.poll(() => text('get', asks)).toContain(`waits for a person: troupe workflow inputs ${asks}`);
    expect(await text('inputs', asks)).toMatch(/gate +approval +open +Go on\?/);
    expect(await text('pause', asks)).toContain(`paused: troupe workflow resume ${asks}`);
    expect(await text('answer', asks, 'gate', '--approve', '--comment', 'fine')).toMatch(/^state +answered/m);
    expect(await text('resume', asks)).toMatch(/^status +running/m);
    await expect.poll(() => text('inputs', asks)).toMatch(/last +approval +open/);
    await text('answer', asks, 'last', '--approve');
    await expect.poll(() => text('get', asks)).toMatch(/^status +completed$/m);
    expect((await text('inputs', asks)).trim()).toBe('none');

    await troupe(['agents', 'create', 'probe', '--name', 'acting']);
    const stages = [{ id: 's', capability: 'probe.run', input: { answer: { $item: '' } } }];
    const open = await started({ pattern: 'pipeline', stages, open: true });
    expect((await text('append', open, '["x"]')).trim()).toBe('kept');
    expect((await text('signal', open, 'hurry', '--value', '1')).trim()).toBe('kept');
    await text('append', open, '--end');
    await expect.poll(() => text('get', open)).toMatch(/^progress +1 of 1$/m);
    await expect.poll(() => text('get', open)).toMatch(/^status +completed$/m);

    const done = await started({ tasks: [{ id: 'a', capability: 'probe.run' }] });
    await expect.poll(() => text('get', done)).toMatch(/^status +completed$/m);
    expect(await text('fork', done, '--from-step', 'a', '--no-start')).toMatch(new RegExp(`^forkOf +${done}$`, 'm'));
    await troupe(['agents', 'delete', 'acting']);
    expect((await troupe(['workflow', 'answer', asks, 'gate'])).code).toBe(64);
  });

  const failures: readonly (readonly [
    name: string,
    args: readonly string[],
    env: Record<string, string>,
    code: number,
    says: RegExp,
  ])[] = [
    ['a bad option', ['config', 'print'], { TROUPE_PORT: 'abc' }, 78, /TROUPE_PORT="abc".*port/],
    ['a bad flag value', ['start', '--threads', '0'], {}, 78, /TROUPE_THREADS="0"/],
    ['an open bind without a secret', ['start', '--host', '0.0.0.0'], {}, 78, /TROUPE_JWT_SECRET/],
    ['a command there is not', ['nonsense'], {}, 64, /unknown command/],
    ['a role there is not', ['token', '--role', 'king'], {}, 64, /viewer, operator/],
    ['input that is no JSON', ['task', 'submit', 'probe.run', '--input', '{'], {}, 64, /--input is not JSON/],
    ['no server', ['status', '--url', 'http://127.0.0.1:1'], {}, 69, /no server answers at/],
    ['a bad token', ['status', '--token', 'a.b.c'], {}, 1, /token is not valid/],
    ['an unknown task', ['task', 'get', 'tsk_01h455vb4pex5vsknk084sn02q'], {}, 1, /no such task/],
    ['a database that is away', ['migrate'], { DATABASE_URL: 'postgres://x:y@127.0.0.1:1/x' }, 75, /127\.0\.0\.1/],
  ];
  test.each(failures)('fails with %s in one line and its exit code', async (_name, args, env, code, says) => {
    const ran = await troupe(args, env);
    expect([ran.code, ran.out], ran.err).toEqual([code, '']);
    expect(ran.err).toMatch(says);
    expect(ran.err.trim().split('\n')).toHaveLength(1);
    expect(ran.err).not.toContain('x:y@');
  });

  test('refuses a data folder and a port that are in use, each with its code', async () => {
    const port = new URL(node.url).port;
    const locked = await troupe(['start', '--no-parent', '--port', '0', '--data-dir', join(folder, 'data')]);
    expect([locked.code, locked.err.trim().split('\n').length], locked.err).toEqual([75, 1]);
    const busy = await troupe(['start', '--no-parent', '--port', port, '--data-dir', join(folder, 'other')]);
    expect([busy.code, busy.err], busy.err).toEqual([69, expect.stringMatching(/is in use.*--port/)]);
  });

  test.each([
    [],
    ['start'],
    ['demo'],
    ['token'],
    ['status'],
    ['agents'],
    ['task', 'submit'],
    ['workflow', 'create'],
    ['workflow', 'plan'],
    ['workflow', 'stats'],
    ['workflow', 'stuck'],
    ['workflow', 'fork'],
    ['workflow', 'answer'],
    ['migrate'],
    ['config', 'print'],
  ])('explains itself: troupe %s %s', async (...args) => {
    const ran = await troupe([...args.filter((part) => part !== undefined), '--help']);
    expect([ran.code, ran.err]).toEqual([0, '']);
    expect(ran.out).toMatch(/^Usage: troupe/);
  });
});
