// A stub HTTP server that speaks Ollama's protocol, for tests of everything that asks a model. What it answers is a script.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FakeChat {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly format?: unknown;
  readonly options?: Record<string, unknown>;
}

/** How one call is answered. */
export type FakeAnswer =
  | string
  | { readonly chunks: readonly string[] }
  /** The connection ends cleanly after this text, without the closing `done`. */
  | { readonly truncated: string }
  /** The socket is destroyed after this text. */
  | { readonly cut: string }
  /** An error line in the middle of the stream. */
  | { readonly midStreamError: string }
  | { readonly status: number; readonly error: string }
  /** Never answers; ends when the client goes away. */
  | { readonly hang: true };

export interface FakeOllamaOptions {
  /** Default `llama3.2:latest`. */
  readonly models?: readonly string[];
  readonly answer?: (chat: FakeChat, call: number) => FakeAnswer | Promise<FakeAnswer>;
}

export interface FakeOllama extends AsyncDisposable {
  readonly host: string;
  readonly chats: FakeChat[];
  /** Most calls that were open at one time. */
  readonly peak: () => number;
  /** Calls whose client went away before the end. */
  readonly aborted: () => number;
  close(): Promise<void>;
}

export async function fakeOllama(options: FakeOllamaOptions = {}): Promise<FakeOllama> {
  const models = options.models ?? ['llama3.2:latest'];
  const chats: FakeChat[] = [];
  const count = { open: 0, peak: 0, aborted: 0 };

  async function chat(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await readBody(request)) as FakeChat;
    const known = models.some((name) => name === body.model || name === `${body.model}:latest`);
    if (!known) return json(response, 404, { error: `model '${body.model}' not found` });
    chats.push(body);
    count.open++;
    count.peak = Math.max(count.peak, count.open);
    response.once('close', () => {
      count.open--;
      if (!response.writableFinished) count.aborted++;
    });
    play(response, body.model, (await options.answer?.(body, chats.length)) ?? 'ok');
  }

  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://fake').pathname;
    if (path === '/api/chat') return void chat(request, response).catch(() => response.destroy());
    if (path === '/api/tags')
      return json(response, 200, { models: models.map((name) => ({ name, model: name, size: 1 })) });
    if (path === '/api/ps')
      return json(response, 200, { models: models.map((name) => ({ name, model: name, size: 1, size_vram: 1 })) });
    if (path === '/api/version') return json(response, 200, { version: '0.0.0-fake' });
    json(response, 404, { error: 'no such path' });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return {
    host: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    chats,
    peak: () => count.peak,
    aborted: () => count.aborted,
    close,
    [Symbol.asyncDispose]: close,
  };
}

function play(response: ServerResponse, model: string, answer: FakeAnswer): void {
  if (typeof answer === 'object' && 'status' in answer) {
    json(response, answer.status, { error: answer.error });
    return;
  }
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  const say = (content: string) =>
    response.write(`${JSON.stringify({ model, message: { role: 'assistant', content }, done: false })}\n`);
  if (typeof answer === 'object' && 'hang' in answer) return;
  if (typeof answer === 'object' && 'cut' in answer) {
    say(answer.cut);
    setImmediate(() => response.destroy());
    return;
  }
  if (typeof answer === 'object' && 'truncated' in answer) {
    say(answer.truncated);
    response.end();
    return;
  }
  if (typeof answer === 'object' && 'midStreamError' in answer) {
    say('half');
    response.end(`${JSON.stringify({ error: answer.midStreamError })}\n`);
    return;
  }
  for (const piece of typeof answer === 'string' ? [answer] : answer.chunks) say(piece);
  response.end(
    `${JSON.stringify({ model, message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', prompt_eval_count: 7, eval_count: 3 })}\n`,
  );
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}
