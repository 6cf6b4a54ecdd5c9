// Talks to a running server for the commands: address, token, requests, problems.

import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { resolveConfig } from '../../runtime/config.ts';
import { mintToken } from '../auth.ts';
import { readMadeSecret } from '../secret.ts';

export interface RemoteOptions {
  readonly url?: string;
  readonly token?: string;
  readonly dataDir?: string;
  readonly json?: boolean;
}

/** An answer that is no success, or none at all (`status` null). */
export class RemoteError extends Error {
  readonly status: number | null;
  readonly code: string;
  readonly traceId: string | undefined;
  readonly errors: readonly { path: string; message: string }[];

  constructor(
    message: string,
    answer: {
      status: number | null;
      code: string;
      traceId?: string;
      errors?: readonly { path: string; message: string }[];
    },
  ) {
    super(message);
    this.name = 'RemoteError';
    this.status = answer.status;
    this.code = answer.code;
    this.traceId = answer.traceId;
    this.errors = answer.errors ?? [];
  }
}

export interface Remote {
  get(
    path: string,
    query?: Readonly<Record<string, string | undefined>>,
    headers?: Record<string, string>,
  ): Promise<unknown>;
  send(
    method: 'POST' | 'PATCH' | 'DELETE',
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<unknown>;
}

const CLI_TOKEN_TTL_MS = 300_000;
const REQUEST_LIMIT_MS = 90_000;

/** The options every command that talks to a server has. */
export function withRemoteOptions(command: Command): Command {
  return command
    .option('--url <url>', 'address of the server (TROUPE_URL); default http://127.0.0.1:3000')
    .option('--token <jwt>', 'token (TROUPE_TOKEN); default: one made with the secret of the data folder')
    .option('--data-dir <dir>', 'data folder of a server on this machine (TROUPE_DATA_DIR)')
    .option('--json', 'print JSON');
}

export async function connect(options: RemoteOptions, env = process.env): Promise<Remote> {
  const base = (options.url ?? env.TROUPE_URL ?? defaultUrl(env)).replace(/\/+$/, '');
  const token = options.token ?? env.TROUPE_TOKEN ?? (await ownToken(options, env));
  const request = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    exchange(base, token, { method, path, body, headers });
  return {
    get: (path, query = {}, headers) => request('GET', `${path}${queryText(query)}`, undefined, headers),
    send: (method, path, body, headers) => request(method, path, body, headers),
  };
}

function defaultUrl(env: NodeJS.ProcessEnv): string {
  return localUrl(resolveConfig({}, env));
}

/** Where a node with this configuration is reached from this machine. */
export function localUrl({ host, port }: { readonly host: string; readonly port: number }): string {
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`;
}

/** A short token of our own, where this user may read the server's secret. */
async function ownToken({ dataDir }: RemoteOptions, env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const config = resolveConfig({ dataDir }, env);
  const secret = config.jwtSecret ?? readMadeSecret(config.dataDir);
  if (secret === undefined) return undefined;
  const { jwtIssuer: issuer, jwtAudience: audience } = config;
  const claims = { subject: 'cli', tenant: 'default', role: 'admin' as const, ttlMs: CLI_TOKEN_TTL_MS };
  return mintToken({ ...claims, secret, issuer, audience, nowMs: Date.now(), tokenId: randomUUID() });
}

async function exchange(
  base: string,
  token: string | undefined,
  request: { method: string; path: string; body: unknown; headers: Record<string, string> },
): Promise<unknown> {
  const { method, path, body } = request;
  const headers: Record<string, string> = {
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    ...request.headers,
  };
  const response = await fetch(`${base}${path}`, {
    method,
    headers,
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((error: unknown) => {
    throw new RemoteError(`no server answers at ${base}: ${causeOf(error)} (start one with: troupe start)`, {
      status: null,
      code: 'no_server',
    });
  });
  const text = await response.text();
  const value = parse(text);
  if (response.ok) return value;
  throw problemOf(response.status, value, token !== undefined);
}

function problemOf(status: number, value: unknown, hadToken: boolean): RemoteError {
  const problem = (typeof value === 'object' && value !== null ? value : {}) as {
    detail?: string;
    code?: string;
    traceId?: string;
    errors?: { path: string; message: string }[];
  };
  const hint =
    status === 401 ? (hadToken ? ' (the token is not valid here)' : ' (give --token; troupe token makes one)') : '';
  return new RemoteError(`${problem.detail ?? `the server answered ${status}`}${hint}`, {
    status,
    code: problem.code ?? 'unknown',
    ...(problem.traceId === undefined ? {} : { traceId: problem.traceId }),
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function causeOf(error: unknown): string {
  const { cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message;
}

function queryText(query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}
