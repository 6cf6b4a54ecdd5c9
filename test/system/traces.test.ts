// One trace over two nodes, seen by a collector: REST, the nodes, their threads, tools, the model; retries, messages and runs stay in it.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Collector, type SeenSpan, startCollector } from '../kit/collector.ts';
import { eventually } from '../kit/eventually.ts';
import { type FakeOllama, fakeOllama } from '../kit/fake-ollama.ts';
import { call, type NodeProcess, startNode, tokenFor } from '../kit/node-process.ts';
import { freshDatabase, testRedisUrl } from '../kit/services.ts';

const telemetry = fileURLToPath(new URL('../readme/telemetry.mjs', import.meta.url));
const couriers = fileURLToPath(new URL('../kit/agents/courier.mjs', import.meta.url));
const SECRET_PROMPT = 'the launch code is 0000';

let collector: Collector;
let model: FakeOllama;
let here: NodeProcess;
let there: NodeProcess;
let token: string;
const folder = mkdtempSync(join(tmpdir(), 'troupe-traces-'));

beforeAll(async () => {
  collector = await startCollector();
  model = await fakeOllama();
  const databaseUrl = await freshDatabase();
  const redisUrl = testRedisUrl();
  const env = {
    TROUPE_PRELOAD: telemetry,
    TROUPE_AGENTS: couriers,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OLLAMA_HOST: model.host,
    TROUPE_THREADS: '1',
  };
  const start = (name: string) => startNode({ dataDir: join(folder, name), databaseUrl, redisUrl, env });
  [here, there] = await Promise.all([start('here'), start('there')]);
  token = await tokenFor('operator');
});
afterAll(async () => {
  await Promise.all([here?.stop(), there?.stop()]);
  await model?.close();
  await collector?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

let traces = 0;
const newTrace = () => {
  traces += 1;
  const traceId = `${traces}`.padStart(32, 'a');
  return { traceId, headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` } };
};
const rest = async (node: NodeProcess, method: string, path: string, body?: unknown, headers = {}) => {
  const answer = await call(node, token, method, `/api/agents${path}`, body, headers);
  if (answer.status >= 300) throw new Error(`${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
};
const agent = async (node: NodeProcess, type: string, config = {}) =>
  String((await rest(node, 'POST', '/create', { type, name: `${type}-${traces}-${node.pid}`, config })).id);

/** The spans of a trace, once all of these are there. */
const spansOf = (traceId: string, ...names: string[]): Promise<SeenSpan[]> =>
  eventually(
    async () => {
      const spans = collector.spans.filter((span) => span.traceId === traceId);
      // Nodes export by batches: a name that is listed more often is waited for as often.
      return names.every((name) => named(spans, name).length >= names.filter((each) => each === name).length) && spans;
    },
    `spans ${names.join(', ')}; there are ${collector.spans.map(({ name }) => name).join(', ')}`,
    20_000,
  );
const named = (spans: readonly SeenSpan[], name: string): SeenSpan[] => spans.filter((span) => span.name === name);
const one = (spans: readonly SeenSpan[], name: string): SeenSpan => {
  const [span, ...more] = named(spans, name);
  if (!span || more.length > 0) throw new Error(`${more.length + 1} spans ${name}`);
  return span;
};

test('a task taken by one node and run by a thread of another is one trace down to the model', async () => {
  await agent(there, 'generation');
  const { traceId, headers } = newTrace();
  const body = { capability: 'text.generate', input: { prompt: SECRET_PROMPT } };
  const { id } = await rest(here, 'POST', '/tasks/submit', body, { ...headers, prefer: 'wait=10' });
  const wanted = ['POST /api/agents/tasks/submit', 'run text.generate', 'invoke_agent generation', 'chat llama3.2'];
  const spans = await spansOf(traceId, ...wanted);
  const [edge, run, turn, chat] = wanted.map((name) => one(spans, name));
  expect([run?.parentSpanId, turn?.parentSpanId, chat?.parentSpanId]).toEqual([
    edge?.spanId,
    run?.spanId,
    turn?.spanId,
  ]);
  expect(edge?.parentSpanId).toBe('00f067aa0ba902b7');
  expect([edge, run, turn, chat].map((span) => span?.process)).toEqual([here.pid, there.pid, there.pid, there.pid]);
  expect([edge?.thread, run?.thread]).toEqual([0, 0]);
  expect(turn?.thread).toBeGreaterThan(0);
  expect(edge).toMatchObject({
    kind: 2,
    attributes: { 'http.request.method': 'POST', 'http.route': '/api/agents/tasks/submit' },
  });
  expect(run?.attributes).toMatchObject({ 'troupe.task.id': id, 'troupe.outcome': 'completed' });
  expect(turn?.attributes).toMatchObject({ 'gen_ai.operation.name': 'invoke_agent', 'troupe.task.id': id });
  expect(chat).toMatchObject({
    kind: 3,
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': 'ollama',
      'gen_ai.request.model': 'llama3.2',
      'gen_ai.usage.input_tokens': 7,
      'gen_ai.usage.output_tokens': 3,
      'gen_ai.response.finish_reasons': ['stop'],
      'server.address': '127.0.0.1',
    },
  });
  // What was asked is nobody's business but the model's.
  expect(collector.bodies.join('')).not.toContain(SECRET_PROMPT);
});

test('attempts of a task are spans side by side, and the one that failed says so', async () => {
  await agent(there, 'probe');
  const { traceId, headers } = newTrace();
  const retry = { maxAttempts: 2, backoffMs: 0, jitter: 'none' };
  const body = { capability: 'probe.run', input: { failTimes: 1, failCode: 'flaky' }, retry };
  await rest(here, 'POST', '/tasks/submit', body, { ...headers, prefer: 'wait=10' });
  const twice = ['run probe.run', 'invoke_agent probe'];
  const spans = await spansOf(traceId, 'POST /api/agents/tasks/submit', ...twice, ...twice);
  const edge = one(spans, 'POST /api/agents/tasks/submit');
  const runs = named(spans, 'run probe.run');
  expect(runs.map(({ parentSpanId }) => parentSpanId)).toEqual([edge.spanId, edge.spanId]);
  const failed = named(spans, 'invoke_agent probe').map(({ attributes, failed }) => [
    attributes['troupe.task.attempt'],
    failed,
    attributes['error.type'],
  ]);
  expect(failed.sort()).toEqual([
    [1, true, 'flaky'],
    [2, false, undefined],
  ]);
});

test('a message that leads to a message on another node is one trace', async () => {
  const [near, far] = [await agent(here, 'courier'), await agent(there, 'courier')];
  const { traceId, headers } = newTrace();
  const body = { type: 'ask', body: { to: far, type: 'where' }, mode: 'ask', timeoutMs: 10_000 };
  await eventually(async () => {
    const { reply } = (await rest(here, 'POST', `/${near}/messages`, body, headers)) as { reply: { reply?: unknown } };
    return reply.reply;
  }, 'the other node to be known');
  const spans = await spansOf(traceId, 'process ask', 'process where');
  const where = named(spans, 'process where')[0];
  expect(where).toMatchObject({ process: there.pid, attributes: { 'gen_ai.agent.id': far } });
  expect(named(spans, 'process ask').map(({ spanId }) => spanId)).toContain(where?.parentSpanId);
  expect(named(spans, 'process ask')[0]?.process).toBe(here.pid);
});

test('a run, its steps on either node and the run inside it are one trace', async () => {
  await agent(here, 'probe');
  const { traceId, headers } = newTrace();
  const step = (id: string) => ({ id, capability: 'probe.run', input: { answer: id } });
  const inner = { name: 'inner', pattern: 'parallel', tasks: [step('x'), step('y')] };
  const tasks = [step('a'), { id: 'sub', workflow: inner, dependsOn: ['a'] }];
  const { id } = await rest(here, 'POST', '/workflows/create', { name: 'outer', tasks });
  await rest(here, 'POST', `/workflows/${id}/start`, undefined, { ...headers, prefer: 'wait=20' });
  const runs = ['invoke_workflow sequential', 'invoke_workflow parallel'];
  const ran = ['run probe.run', 'run probe.run', 'run probe.run'];
  const spans = await spansOf(traceId, 'POST /api/agents/workflows/{id}/start', ...runs, ...ran);
  const outer = one(spans, 'invoke_workflow sequential');
  const sub = one(spans, 'invoke_workflow parallel');
  expect(outer).toMatchObject({
    parentSpanId: one(spans, `POST /api/agents/workflows/{id}/start`).spanId,
    attributes: {
      'gen_ai.operation.name': 'invoke_workflow',
      'gen_ai.workflow.name': 'outer',
      'troupe.workflow.status': 'completed',
    },
  });
  expect(sub.parentSpanId).toBe(outer.spanId);
  const steps = named(spans, 'run probe.run').map(({ parentSpanId, attributes }) => [
    attributes['troupe.workflow.step'],
    parentSpanId,
  ]);
  expect(steps.sort()).toEqual([
    ['a', outer.spanId],
    ['x', sub.spanId],
    ['y', sub.spanId],
  ]);
});
