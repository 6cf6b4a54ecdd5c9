// The thread that runs PGlite: one connection, one request at a time, a whole transaction per request. Heavy statements block
// this thread and no other.

import { type MessagePort, parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { PGlite, type Results } from '@electric-sql/pglite';
import type { Rows, Statement } from '../contracts/store.ts';
import { executeSql, prepareSql } from './pglite-execute.ts';
import type { PgliteReply, PgliteRequest, PgliteStart } from './pglite-wire.ts';

const start = workerData as PgliteStart;
const port = parentPort;
if (!port) throw new Error('runs only as a worker thread');

/** Exit code of this thread when its database does not answer any more. */
const BROKEN = 1;
const TIMESTAMPTZ = 1184;
const INT8 = 20;
const options = {
  parsers: { [TIMESTAMPTZ]: (text: string) => new Date(text).toISOString(), [INT8]: (text: string) => Number(text) },
};

// The same planner settings as the flusher's connection: keyed statements, whose plans are kept and must not be scans because the tables
// were small when they were made. No statistics run by itself here.
const SESSION = `SET TimeZone = 'UTC'; SET standard_conforming_strings = on; SET enable_hashjoin = off; SET enable_mergejoin = off;
  SET enable_seqscan = off; SET jit = off;`;

const opened = PGlite.create({
  dataDir: start.dataDir,
  ...(start.prepared ? { loadDataDir: new Blob([start.prepared as Uint8Array<ArrayBuffer>]) } : {}),
}).then(async (db) => {
  await db.exec(SESSION);
  return db;
});
opened.then(
  () => port.postMessage({ type: 'up' } satisfies PgliteReply),
  (error: unknown) => port.postMessage({ type: 'open-failed', message: String(error) } satisfies PgliteReply),
);

/** Texts of the statements that are prepared, by name. */
const prepared = new Map<string, string>();

async function prepare(db: PGlite, { name, text }: Statement): Promise<void> {
  const known = prepared.get(name);
  if (known === text) return;
  if (known !== undefined) await db.exec(`DEALLOCATE ${name}`);
  prepared.delete(name);
  await db.exec(prepareSql({ name, text }));
  prepared.set(name, text);
}

const rowsOf = ({ rows, affectedRows }: Results): Rows => ({
  rows: rows as Record<string, unknown>[],
  rowCount: affectedRows && rows.length === 0 ? affectedRows : rows.length,
});

/** All or nothing: one simple query is one transaction. */
async function batch(db: PGlite, statements: readonly Statement[]): Promise<readonly Rows[]> {
  const query = statements.map(executeSql).join(';');
  for (const statement of statements) await prepare(db, statement);
  return (await db.exec(query, options)).map(rowsOf);
}

async function handle(request: PgliteRequest): Promise<unknown> {
  const db = await opened;
  switch (request.type) {
    case 'batch':
      return batch(db, request.statements);
    case 'script':
      await db.exec(request.sql);
      return null;
    case 'dump':
      return new Uint8Array(await (await db.dumpDataDir('gzip')).arrayBuffer());
    case 'close':
      await db.close();
      return null;
  }
}

async function answer(request: PgliteRequest): Promise<void> {
  try {
    port?.postMessage({ type: 'done', id: request.id, value: await handle(request) } satisfies PgliteReply);
  } catch (error) {
    const { code, message, constraint } = error as { code?: unknown; message?: unknown; constraint?: unknown };
    port?.postMessage({
      type: 'failed',
      id: request.id,
      message: String(message ?? error),
      ...(typeof code === 'string' ? { code } : {}),
      ...(typeof constraint === 'string' ? { constraint } : {}),
    } satisfies PgliteReply);
    if (typeof code !== 'string' && request.type !== 'close') await endIfBroken();
  }
  if (request.type === 'close') port?.close();
}

/** An error without an SQLSTATE may be the end of the machine that PGlite runs in; then no further statement can succeed here. */
async function endIfBroken(): Promise<void> {
  try {
    await (await opened).query('SELECT 1');
  } catch {
    process.exit(BROKEN);
  }
}

// Requests are taken one after the other: PGlite has one connection. The urgent ones go first: a lease must not run out behind reads.
// A flush cannot starve the rest: the next one is sent only after the answer to the one before.
const urgent: PgliteRequest[] = [];
const waiting: PgliteRequest[] = [];
let working = false;

function take(request: PgliteRequest): void {
  (request.type === 'batch' && request.urgent ? urgent : waiting).push(request);
}

async function work(from: MessagePort): Promise<void> {
  working = true;
  for (;;) {
    // What came while the last statement held this thread is still in the port.
    for (let next = receiveMessageOnPort(from); next; next = receiveMessageOnPort(from)) take(next.message);
    const request = urgent.shift() ?? waiting.shift();
    if (!request) break;
    await answer(request);
  }
  working = false;
}

port.on('message', (request: PgliteRequest) => {
  take(request);
  if (!working) void work(port);
});
