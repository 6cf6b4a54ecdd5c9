// The guards and the Ollama client, against a server that speaks the protocol and misbehaves on request.

import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { runInHand } from '../../../actors/agent/task-in-hand.ts';
import { Circuit } from '../../../actors/model/circuit.ts';
import { Lane } from '../../../actors/model/lane.ts';
import { bindModel, guardModel, modelSettings } from '../../../actors/model/model.ts';
import { modelUnavailable } from '../../../actors/model/model-client.ts';
import { ollamaClient } from '../../../actors/model/ollama-client.ts';
import { askStructured } from '../../../actors/model/structured.ts';
import { RuntimeError } from '../../../runtime/contracts/errors.ts';
import { type FakeAnswer, type FakeOllama, type FakeOllamaOptions, fakeOllama } from '../../kit/fake-ollama.ts';

const servers: FakeOllama[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});
async function serve(options: FakeOllamaOptions = {}): Promise<FakeOllama> {
  const server = await fakeOllama(options);
  servers.push(server);
  return server;
}
const hello = { model: 'llama3.2', messages: [{ role: 'user' as const, content: 'hello' }] };

describe('the Ollama client', () => {
  test('streams the pieces and joins them', async () => {
    const server = await serve({ answer: () => ({ chunks: ['one ', 'two ', 'three'] }) });
    const pieces: string[] = [];
    const reply = await ollamaClient({ host: server.host }).chat({ ...hello, onText: (piece) => pieces.push(piece) });
    expect(pieces).toEqual(['one ', 'two ', 'three']);
    expect(reply).toEqual({ text: 'one two three', promptTokens: 7, outputTokens: 3, stopReason: 'stop' });
  });

  test.each<[string, FakeAnswer, string]>([
    ['a truncated stream', { truncated: 'half' }, 'stream_cut'],
    ['a cut socket', { cut: 'half' }, 'stream_cut'],
    ['an error in the middle', { midStreamError: 'out of memory' }, 'server_error'],
    ['a server error', { status: 500, error: 'boom' }, 'server_error'],
    ['no answer in time', { hang: true }, 'timeout'],
  ])('turns %s into model_unavailable', async (_name, answer, reason) => {
    const server = await serve({ answer: () => answer });
    const call = ollamaClient({ host: server.host }).chat({ ...hello, timeoutMs: 300 });
    await expect(call).rejects.toMatchObject({ code: 'model_unavailable', retryable: true, details: { reason } });
  });

  test('says that a dead server is unreachable', async () => {
    const server = await serve();
    await server.close();
    const client = ollamaClient({ host: server.host });
    await expect(client.chat(hello)).rejects.toMatchObject({
      code: 'model_unavailable',
      details: { reason: 'unreachable' },
    });
    await expect(client.check('llama3.2')).resolves.toEqual({
      state: 'unreachable',
      reason: `no Ollama server answers at ${server.host} (ECONNREFUSED)`,
    });
  });

  test('names the command that pulls a missing model', async () => {
    const server = await serve({ models: ['mistral:latest'] });
    const client = ollamaClient({ host: server.host });
    await expect(client.chat(hello)).rejects.toMatchObject({
      code: 'model_missing',
      retryable: false,
      message: expect.stringContaining('ollama pull llama3.2'),
    });
    await expect(client.check('llama3.2')).resolves.toMatchObject({
      state: 'model_missing',
      models: ['mistral:latest'],
    });
    await expect(client.check('mistral')).resolves.toMatchObject({ state: 'ready' });
  });

  test('closes the connection when the caller aborts', async () => {
    const abort = new AbortController();
    const server = await serve({
      answer: () => {
        setImmediate(() => abort.abort());
        return { hang: true };
      },
    });
    await expect(ollamaClient({ host: server.host }).chat({ ...hello, signal: abort.signal })).rejects.toMatchObject({
      code: 'task_cancelled',
    });
    await expect.poll(() => server.aborted()).toBe(1);
  });

  test('takes the host as OLLAMA_HOST writes it', async () => {
    const server = await serve();
    const { port } = new URL(server.host);
    const client = ollamaClient({ host: `127.0.0.1:${port}` });
    expect(client.host).toBe(server.host);
    expect((await client.chat(hello)).text).toBe('ok');
  });
});

describe('the circuit', () => {
  const down = () => Promise.reject(modelUnavailable('unreachable', 'down'));
  const up = () => Promise.resolve('up');

  test('opens after five failures, half-opens, and closes when the probe succeeds', async () => {
    let now = 0;
    const circuit = new Circuit({ nowMs: () => now, openMs: 100 });
    for (let failure = 0; failure < 5; failure++) await expect(circuit.run(down)).rejects.toThrow('down');
    expect(circuit.state()).toBe('open');
    await expect(circuit.run(up)).rejects.toMatchObject({ details: { reason: 'circuit_open' } });
    now = 100;
    expect(circuit.state()).toBe('half-open');
    await expect(circuit.run(up)).resolves.toBe('up');
    expect(circuit.state()).toBe('closed');
  });

  test('lets one probe through at a time and opens again when it fails', async () => {
    let now = 0;
    const circuit = new Circuit({ nowMs: () => now, openMs: 100, maxFailures: 1 });
    await expect(circuit.run(down)).rejects.toThrow();
    now = 150;
    const probe = circuit.run(down);
    await expect(circuit.run(up)).rejects.toMatchObject({ details: { reason: 'circuit_open' } });
    await expect(probe).rejects.toThrow('down');
    expect(circuit.state()).toBe('open');
  });

  test('does not count errors that say nothing about the server', async () => {
    const circuit = new Circuit({ nowMs: () => 0, maxFailures: 1 });
    await expect(circuit.run(() => Promise.reject(new RuntimeError('task_cancelled', 'no')))).rejects.toThrow();
    expect(circuit.state()).toBe('closed');
  });

  test('stops asking a dead server', async () => {
    const server = await serve({ answer: () => ({ status: 503, error: 'loading' }) });
    const client = guardModel(ollamaClient({ host: server.host }), { circuit: { nowMs: () => 0 } });
    for (let call = 0; call < 8; call++)
      await expect(client.chat(hello)).rejects.toMatchObject({ code: 'model_unavailable' });
    expect(server.chats).toHaveLength(5);
  });
});

describe('a lane', () => {
  test('never lets a burst of 200 calls exceed its limit', async () => {
    let open = () => {};
    const three = new Promise<void>((resolve) => {
      open = resolve;
    });
    // The first calls are held until three are in at once; the rest are answered a turn later.
    const server = await serve({
      answer: async (_chat, call) => {
        if (call >= 3) open();
        await three;
        return new Promise((resolve) => setImmediate(() => resolve('ok')));
      },
    });
    const client = guardModel(ollamaClient({ host: server.host }), {
      circuit: { nowMs: () => 0 },
      lane: { limit: 3, maxWaiting: 150 },
    });
    const calls = await Promise.allSettled(Array.from({ length: 200 }, () => client.chat(hello)));
    const refused = calls.filter((call) => call.status === 'rejected');
    expect(server.peak()).toBe(3);
    expect(calls.filter((call) => call.status === 'fulfilled')).toHaveLength(153);
    expect(refused).toHaveLength(47);
    for (const call of refused) expect(call).toMatchObject({ reason: { code: 'model_busy', retryable: true } });
  });

  test('gives a place back when a call fails and when a waiting one is aborted', async () => {
    const lane = new Lane({ name: 'm', limit: 1, maxWaiting: 2 });
    const abort = new AbortController();
    const failing = lane.run(() => Promise.reject(new Error('no')));
    const aborted = lane.run(async () => 'never', abort.signal);
    const next = lane.run(async () => 'next');
    abort.abort();
    await expect(aborted).rejects.toMatchObject({ code: 'task_cancelled' });
    await expect(failing).rejects.toThrow('no');
    await expect(next).resolves.toBe('next');
    expect([lane.running, lane.waiting]).toEqual([0, 0]);
  });
});

describe('what a model uses', () => {
  test('counts for the task that asked, whoever freed its place in the lane, and for nobody outside of tasks', async () => {
    const server = await serve();
    const guarded = guardModel(ollamaClient({ host: server.host }), {
      circuit: { nowMs: () => 0 },
      lane: { limit: 1, maxWaiting: 5 },
    });
    const model = bindModel(guarded, 'llama3.2');
    const chat = () => model.chat({ messages: hello.messages });
    const asking = (calls: number) => {
      const reports: unknown[] = [];
      const task = { usage: (used: unknown) => void reports.push(used) };
      return runInHand(task, async () => {
        for (let call = 0; call < calls; call++) await chat();
      }).then(() => reports);
    };
    const tenTokens = { tokens: 10 };
    await expect(Promise.all([asking(1), chat(), asking(2)])).resolves.toEqual([
      [tenTokens],
      expect.objectContaining({ text: 'ok' }),
      [tenTokens, tenTokens],
    ]);
  });
});

describe('structured output', () => {
  const schema = z.strictObject({ verdict: z.enum(['yes', 'no']) });
  const ask = async (server: FakeOllama) =>
    askStructured(bindModel(ollamaClient({ host: server.host }), 'llama3.2'), { schema, messages: hello.messages });

  test('sends the JSON schema and returns the parsed value', async () => {
    const server = await serve({ answer: () => '{"verdict":"yes"}' });
    await expect(ask(server)).resolves.toEqual({ verdict: 'yes' });
    expect(server.chats[0]?.format).toMatchObject({ properties: { verdict: { enum: ['yes', 'no'] } } });
  });

  test('repairs once, showing the model what was wrong', async () => {
    const server = await serve({
      answer: (_chat, call) => (call === 1 ? '{"verdict":"perhaps"}' : '{"verdict":"no"}'),
    });
    await expect(ask(server)).resolves.toEqual({ verdict: 'no' });
    expect(server.chats[1]?.messages.at(-1)?.content).toContain('verdict');
  });

  test('fails with invalid_output after one repair', async () => {
    const server = await serve({ answer: () => 'not json' });
    await expect(ask(server)).rejects.toMatchObject({ code: 'invalid_output', retryable: false });
    expect(server.chats).toHaveLength(2);
  });
});

test.each([
  [
    'config wins',
    { ollamaHost: 'h:1', model: 'a' },
    { OLLAMA_HOST: 'h:2', TROUPE_OLLAMA_MODEL: 'b' },
    { host: 'h:1', model: 'a' },
  ],
  ['the environment is next', {}, { OLLAMA_HOST: 'h:2', TROUPE_OLLAMA_MODEL: 'b' }, { host: 'h:2', model: 'b' }],
  ['empty counts as absent', { model: '' }, { OLLAMA_HOST: '' }, { host: 'http://127.0.0.1:11434', model: 'llama3.2' }],
])('settings of the model: %s', (_name, config, env, expected) => {
  expect(modelSettings(config, env)).toEqual(expected);
});
