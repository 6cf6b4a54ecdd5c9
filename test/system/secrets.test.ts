// Secrets planted in configuration, payloads, tokens and errors are looked for in everything that a node tells of itself.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../http/app.ts';
import { createTokenAuthenticator, mintToken } from '../../http/auth.ts';
import type { RuntimeEvent, Troupe } from '../../runtime/index.ts';
import { systemAmbient } from '../../runtime/observe/ambient.ts';
import { createLogger } from '../../runtime/observe/logger.ts';
import { type Collector, startCollector } from '../kit/collector.ts';
import { eventually } from '../kit/eventually.ts';
import { type FakeOllama, fakeOllama } from '../kit/fake-ollama.ts';
import { testTroupe } from '../kit/troupe.ts';

const leaky = fileURLToPath(new URL('../kit/actors/leaky.ts', import.meta.url));
const telemetry = fileURLToPath(new URL('../readme/telemetry.mjs', import.meta.url));
const secret = 'canary-of-the-tokens-3f9a6b1d-long-enough';
/** One for each place, so that a leak says where it comes from. */
const planted = {
  'the config of an agent': 'canary-config-7be1',
  'the URL of a server': 'canary-model-55a0',
  'the payload of a task': 'canary-payload-90cd',
  'the URL in a payload': 'canary-url-12ef',
  'a message': 'canary-message-aa34',
  'the secret of tokens': secret,
};
const told = {
  lines: [] as string[],
  events: [] as RuntimeEvent[],
  answers: [] as string[],
};

let collector: Collector;
let model: FakeOllama;
let troupe: Troupe;
let token: string;
let metrics = '';
beforeAll(async () => {
  collector = await startCollector();
  model = await fakeOllama();
  process.env.OTEL_EXPORTER_OTLP_ENDPOINT = collector.url;
  process.env.OTEL_BSP_SCHEDULE_DELAY = '50';
  const log = createLogger({ logLevel: 'debug', logFormat: 'json' }, (line) => told.lines.push(line));
  troupe = await testTroupe({
    ...{ threads: 1, agentRoots: [leaky], preload: [telemetry], jwtSecret: secret, logLevel: 'debug' },
    ambient: systemAmbient(log),
  });
  const gone = new AbortController();
  void (async () => {
    for await (const event of troupe.events.firehose({ signal: gone.signal })) told.events.push(event);
  })();
  const claims = { issuer: 'troupe', audience: 'troupe' };
  const authenticate = createTokenAuthenticator({ ...claims, nowMs: Date.now, key: { type: 'secret', secret } });
  const made = { ...claims, secret, subject: 'ann', tenant: 'default', role: 'admin', ttlMs: 60_000 } as const;
  token = await mintToken({ ...made, nowMs: Date.now(), tokenId: 'one' });
  const app = createApp(troupe, { authenticate, log });
  const ask = async (method: string, path: string, body?: unknown) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json', prefer: 'wait=10' };
    const answer = await app.request(path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
    return { status: answer.status, text: await answer.text() };
  };

  const host = model.host.replace('http://', `http://ann:${planted['the URL of a server']}@`);
  for (const [name, ollamaHost] of [
    ['careless', host],
    ['careful', model.host],
  ])
    await ask('POST', '/api/agents/create', { type: 'generation', name, config: { ollamaHost, model: 'llama3.2' } });
  const config = { apiKey: planted['the config of an agent'] };
  await ask('POST', '/api/agents/create', { type: 'leaky', name: 'leaky', config });
  // No fetch takes such a URL, and its error repeats it.
  for (const agentId of ['careless', 'careful'])
    await ask('POST', '/api/agents/tasks/submit', {
      ...{ capability: 'text.generate', input: { prompt: 'hello' }, agentId, retry: { maxAttempts: 2, backoffMs: 0 } },
    });
  const url = `postgres://ann:${planted['the URL in a payload']}@db/x`;
  const input = { password: planted['the payload of a task'], url };
  for (const fails of [false, true])
    await ask('POST', '/api/agents/tasks/submit', {
      ...{ capability: 'leaky.do', input: { ...input, fails }, retry: { maxAttempts: 2, backoffMs: 0 } },
    });
  const body = { token: planted['a message'], url: `https://ann:${planted['a message']}@there/` };
  await ask('POST', '/api/agents/leaky/messages', { type: 'secret.told', body, mode: 'ask' });
  await ask('GET', `/api/agents/no-such-agent`);
  await eventually(
    async () => collector.spans.some(({ name }) => name === 'execute_tool leaky.call'),
    'the spans of the thread',
  );
  metrics = (await ask('GET', '/metrics')).text + (await ask('GET', '/api/agents/metrics')).text;
  told.answers.push((await ask('GET', '/api/inspect/logs?limit=1000')).text);
  told.answers.push((await ask('GET', '/api/agents/status')).text);
  gone.abort();
});
afterAll(async () => {
  await troupe?.stop();
  await model?.close();
  await collector?.[Symbol.asyncDispose]();
});

/** Everything that was told, by way. */
const ways: Record<string, () => string> = {
  metrics: () => metrics,
  logs: () => told.lines.join(''),
  'lines kept for the inspector': () => told.answers.join(''),
  events: () => JSON.stringify(told.events),
  traces: () => collector.bodies.join(''),
};

test('there is something to look through', () => {
  expect(ways.metrics?.()).toContain('troupe_tasks_ended_total{outcome="completed"} 2');
  expect(ways.logs?.()).toContain('calling');
  expect(ways['lines kept for the inspector']?.()).toContain('calling');
  expect(told.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['task.completed', 'task.retrying']));
  expect(ways.traces?.()).toContain('chat llama3.2');
});

describe.each(Object.keys(ways))('%s', (way) => {
  test.each(Object.entries(planted))('hold no secret of %s', (_place, canary) => {
    expect(ways[way]?.()).not.toContain(canary);
  });

  test('hold no token', () => {
    expect(ways[way]?.()).not.toContain(token);
    expect(ways[way]?.()).not.toContain(token.split('.')[2]);
  });
});

test('lines of an agent say which task, agent, tenant and trace they are of', () => {
  const line = told.lines.map((text) => JSON.parse(text)).find(({ msg }) => String(msg).startsWith('calling'));
  expect(line).toMatchObject({
    level: 'warn',
    taskId: expect.stringMatching(/^tsk_/),
    agentId: expect.stringMatching(/^agt_/),
    tenant: 'default',
    attempt: 1,
    thread: expect.any(Number),
    traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
  });
  const span = collector.spans.find(({ attributes }) => attributes['troupe.task.id'] === line.taskId);
  expect(span?.traceId).toBe(line.traceId);
});
