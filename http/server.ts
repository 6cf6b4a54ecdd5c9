// Serves an app on a port over node:http: time limits against slow senders, a clear word for a busy port, an orderly end.

import type { Server } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';

export interface ServerOptions {
  readonly fetch: (request: Request, env?: never) => Response | Promise<Response>;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Aborted at the beginning of `close`, so that open streams end. */
  readonly closing: AbortController;
}

export interface HttpServer {
  /** With the port that was taken. */
  readonly url: string;
  readonly port: number;
  /** From now on every answer is the last one of its connection: callers go elsewhere by themselves. */
  wane(): void;
  /** Takes no new connections, lets requests in hand finish, cuts what is left after `timeoutMs` (default 5,000). */
  close(options?: { readonly timeoutMs?: number }): Promise<void>;
}

/** Thrown when the address cannot be taken; the caller should print the message and exit with 69. */
export class ListenError extends Error {
  constructor(message: string, cause: unknown) {
    super(message, { cause });
    this.name = 'ListenError';
  }
}

const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 16_384,
} as const;
/** Connections that are kept open get this long for their last request, whose answer closes them. */
const LINGER_MS = 500;
const MAX_REQUESTS_PER_SOCKET = 1_000;
const MAX_CONNECTIONS = 10_000;

/** Resolves when the port is open. Throws {@link ListenError}. */
export async function startServer({ fetch, host, port, closing }: ServerOptions): Promise<HttpServer> {
  const server = createAdaptorServer({ fetch: fetch as never, serverOptions: LIMITS }) as Server;
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, host, port);
  const taken = (server.address() as AddressInfo).port;
  let closed: Promise<void> | undefined;
  let waning = false;
  server.prependListener('request', (_request, response) => {
    if (waning) response.shouldKeepAlive = false;
  });
  return {
    url: `http://${host.includes(':') ? `[${host.replace(/^\[|\]$/g, '')}]` : host}:${taken}`,
    port: taken,
    wane() {
      waning = true;
    },
    close({ timeoutMs = 5_000 } = {}) {
      waning = true;
      closed ??= closeServer(server, closing, timeoutMs);
      return closed;
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new ListenError(reason(error, host, port), error)));
    server.listen({ host: host.replace(/^\[|\]$/g, ''), port }, resolve);
  });
}

function reason({ code, message }: NodeJS.ErrnoException, host: string, port: number): string {
  switch (code) {
    case 'EADDRINUSE':
      return `port ${port} of ${host} is in use: stop what uses it, or choose another with --port (TROUPE_PORT), 0 for a free one`;
    case 'EACCES':
      return `port ${port} of ${host} may not be opened by this user: choose one above 1023 with --port (TROUPE_PORT)`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${host} is no address of this machine: choose another with --host (TROUPE_HOST)`;
    default:
      return `cannot listen on ${host}:${port}: ${message}`;
  }
}

async function closeServer(server: Server, closing: AbortController, timeoutMs: number): Promise<void> {
  closing.abort();
  // Callers whose connection the system has taken but this process has not would be cut off with the listener.
  await turns();
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.closeAllConnections(), timeoutMs);
    const closeIdle = (): void => void turns().then(() => server.closeIdleConnections());
    const idle = setTimeout(closeIdle, Math.min(LINGER_MS, timeoutMs));
    // Not the close of the HTTP server, which cuts idle connections at once, as a request may be on its way over one of them.
    NetServer.prototype.close.call(server, () => {
      clearTimeout(cut);
      clearTimeout(idle);
      // It is closed: this ends its timers.
      server.close(() => undefined);
      resolve();
    });
  });
}

/** Rounds of the event loop in which a waiting connection is accepted and its request is read. */
const READ_TURNS = 3;

/** Timers run before what has arrived meanwhile is read: on a busy process a connection looks idle whose request is already there. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < READ_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
}
