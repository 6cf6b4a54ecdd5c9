// A real node in a process of its own, started as a user starts it, and killed as a machine kills it.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { SignJWT } from 'jose';

const cli = fileURLToPath(new URL('../../dist/http/cli.js', import.meta.url));
const ledgerAgents = fileURLToPath(new URL('./agents/ledger.mjs', import.meta.url));
const SECRET = 'a secret for tests that is long enough';
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 40_000;

export interface NodeOptions {
  readonly dataDir: string;
  readonly databaseUrl?: string;
  readonly redisUrl?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Runs under the restarting parent process; default no. */
  readonly parent?: boolean;
  /** Flags of `troupe start`. */
  readonly flags?: readonly string[];
}

export interface NodeProcess {
  readonly url: string;
  readonly pid: number;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
  kill9(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** A token as `troupe token` would mint it. */
export function tokenFor(role: string, tenant = 'default', sub = 'tester'): Promise<string> {
  return new SignJWT({ role, tenant, jti: randomUUID() })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('troupe')
    .setAudience('troupe')
    .setSubject(sub)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET));
}

/** Resolves when the node prints its address; rejects with its output when it ends before. */
export async function startNode(options: NodeOptions): Promise<NodeProcess> {
  const child = spawn(
    process.execPath,
    [cli, 'start', ...(options.parent ? [] : ['--no-parent']), ...(options.flags ?? [])],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        HOME: options.dataDir,
        TROUPE_PORT: '0',
        TROUPE_DATA_DIR: options.dataDir,
        TROUPE_JWT_SECRET: SECRET,
        TROUPE_RATE_LIMIT: '0',
        TROUPE_THREADS: '2',
        TROUPE_AGENTS: ledgerAgents,
        ...(options.databaseUrl ? { DATABASE_URL: options.databaseUrl } : {}),
        ...(options.redisUrl ? { REDIS_URL: options.redisUrl } : {}),
        ...options.env,
      },
    },
  );
  let output = '';
  const gather = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-200_000);
  };
  child.stdout.on('data', gather);
  child.stderr.on('data', gather);
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const url = await readyUrl(child, () => output, exited);
  return {
    url,
    pid: child.pid ?? -1,
    output: () => output,
    exited,
    async kill9() {
      child.kill('SIGKILL');
      await exited;
    },
    async stop() {
      child.kill('SIGTERM');
      const hard = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
      const code = await exited;
      clearTimeout(hard);
      return code;
    },
  };
}

function readyUrl(child: ChildProcess, output: () => string, exited: Promise<number | null>): Promise<string> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const url = output().match(/troupe listening on (http:\/\/\S+)/)?.[1];
      if (!url) return;
      clearTimeout(limit);
      child.stdout?.off('data', look);
      resolve(url);
    };
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the node was not ready in ${START_LIMIT_MS} ms:\n${output()}`));
    }, START_LIMIT_MS);
    child.stdout?.on('data', look);
    void exited.then((code) => {
      clearTimeout(limit);
      reject(new Error(`the node ended with ${code}:\n${output()}`));
    });
  });
}

/** A JSON client of one node. `unknown` outcomes (connection lost) are told apart from answers. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export async function call(
  node: { readonly url: string },
  token: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const response = await fetch(`${node.url}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}
