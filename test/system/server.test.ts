// The server on a real socket: what only a socket shows.

import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { createApp } from '../../http/app.ts';
import { type HttpServer, ListenError, startServer } from '../../http/server.ts';
import { testAmbient } from '../kit/ambient.ts';
import { fakeRuntime } from '../kit/fake-runtime.ts';

const open: HttpServer[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close({ timeoutMs: 0 })));
});

async function serve(port = 0): Promise<HttpServer> {
  const closing = new AbortController();
  const app = createApp(fakeRuntime(testAmbient()), {
    authenticate: async () => ({ subject: 'ann', tenant: 'default', role: 'admin' }),
    rateLimit: 0,
    closing: closing.signal,
  });
  const server = await startServer({ fetch: app.fetch as never, host: '127.0.0.1', port, closing });
  open.push(server);
  return server;
}

/** Sends bytes as they are and gives what comes back until the server closes or has answered. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' ? resolve(answer) : reject(error),
    );
    socket.on('close', () => resolve(answer));
  });
}
const statusOf = (answer: string): string => answer.split(' ')[1] ?? '';
const request = (line: string, ...headers: string[]): string =>
  `${[line, 'Host: localhost', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`;

describe('the server', () => {
  test('takes a free port and says which', async () => {
    const { url, port } = await serve();
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect((await fetch(`${url}/livez`)).status).toBe(200);
  });

  test('says in one line that a port is in use', async () => {
    const { port } = await serve();
    const error = await serve(port).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ListenError);
    expect((error as Error).message).toMatch(new RegExp(`^port ${port} of 127.0.0.1 is in use: .*--port`));
  });

  test('closes with a stream open, and the stream ends', async () => {
    const server = await serve();
    const response = await fetch(`${server.url}/api/agents/events`);
    const reader = response.body?.getReader();
    await reader?.read();
    await server.close({ timeoutMs: 60_000 });
    expect(await reader?.read()).toMatchObject({ done: true });
    await expect(fetch(`${server.url}/livez`)).rejects.toThrow();
  });

  test('cuts a client that neither reads nor goes when the time is over', async () => {
    const server = await serve();
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise<void>((resolve) =>
      socket.write('POST /api/agents/create HTTP/1.1\r\nHost: x\r\n', () => resolve()),
    );
    await server.close({ timeoutMs: 50 });
    socket.destroy();
  });
});

describe('on the socket', () => {
  const submit = 'POST /api/agents/tasks/submit HTTP/1.1';
  const cases: readonly (readonly [name: string, text: string, status: string])[] = [
    ['a request with both lengths', request(submit, 'Content-Length: 5', 'Transfer-Encoding: chunked'), '400'],
    ['two lengths', request(submit, 'Content-Length: 5', 'Content-Length: 6'), '400'],
    ['a length that is no number', request(submit, 'Content-Length: abc'), '400'],
    ['20 KB of header', request('GET /livez HTTP/1.1', `X-Big: ${'x'.repeat(20_000)}`), '431'],
    ['2,500 short headers', request('GET /livez HTTP/1.1', ...Array.from({ length: 2_500 }, () => 'a: b')), '431'],
    ['a 9,000 character line', request(`GET /livez?${'x'.repeat(9_000)} HTTP/1.1`), '414'],
    ['no Host', 'GET /livez HTTP/1.1\r\nConnection: close\r\n\r\n', '400'],
    ['an absolute target', request('GET http://evil.example/livez HTTP/1.1'), '200'],
    ['TRACE', request('TRACE /livez HTTP/1.1'), '405'],
    ['PROPFIND', request('PROPFIND /livez HTTP/1.1'), '405'],
    ['two slashes', request('GET //livez HTTP/1.1'), '404'],
    ['an overridden method', request('GET /livez HTTP/1.1', 'X-HTTP-Method-Override: DELETE'), '200'],
    ['an unknown expectation', request('GET /livez HTTP/1.1', 'Expect: bogus'), '417'],
  ];
  test.each(cases)('%s is answered with its status', async (_name, text, status) => {
    const { port } = await serve();
    const answer = await raw(port, text);
    expect(statusOf(answer), answer.slice(0, 300)).toBe(status);
  });

  test('CONNECT is closed', async () => {
    const { port } = await serve();
    expect(statusOf(await raw(port, request('CONNECT example.org:443 HTTP/1.1')))).not.toBe('200');
  });

  test('a body of 8 MiB in chunks is refused before it is all there', async () => {
    const { url } = await serve();
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (sent >= 8 * 1_048_576) return controller.close();
        sent += 65_536;
        controller.enqueue(new Uint8Array(65_536).fill(0x20));
      },
    });
    const answer = await fetch(`${url}/api/agents/tasks/submit`, {
      method: 'POST',
      body,
      duplex: 'half',
      headers: { 'content-type': 'application/json' },
    } as RequestInit).then(
      (response) => response.status,
      () => 'cut',
    );
    expect([413, 'cut']).toContain(answer);
  });
});
