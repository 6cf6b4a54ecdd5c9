// The thread that runs PGlite: one connection, one request at a time, a whole transaction per request. Heavy statements block
// this thread and no other.

import { parentPort, workerData } from 'node:worker_threads';
import { PGlite } from '@electric-sql/pglite';
import type { PgliteReply, PgliteRequest, PgliteStart } from './pglite-wire.ts';

const start = workerData as PgliteStart;
const port = parentPort;
if (!port) throw new Error('runs only as a worker thread');

const TIMESTAMPTZ = 1184;
const INT8 = 20;
const options = {
  parsers: { [TIMESTAMPTZ]: (text: string) => new Date(text).toISOString(), [INT8]: (text: string) => Number(text) },
};

// The same planner settings as the flusher's connection: keyed statements only, and no statistics run by itself here.
const SESSION = `SET TimeZone = 'UTC'; SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off;`;

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

type Runner = Pick<PGlite, 'query'>;
async function run(db: Runner, text: string, params: readonly unknown[]) {
  const { rows, affectedRows } = await db.query<Record<string, unknown>>(text, [...params], options);
  return { rows, rowCount: affectedRows && rows.length === 0 ? affectedRows : rows.length };
}

async function handle(request: PgliteRequest): Promise<unknown> {
  const db = await opened;
  switch (request.type) {
    case 'batch': {
      const [only] = request.statements;
      if (only && request.statements.length === 1) return [await run(db, only.text, only.params)];
      return db.transaction(async (tx) => {
        const results = [];
        for (const { text, params } of request.statements)
          results.push(await run(tx as unknown as Runner, text, params));
        return results;
      });
    }
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

// Requests are taken one after the other: PGlite has one connection.
let last: Promise<unknown> = Promise.resolve();
port.on('message', (request: PgliteRequest) => {
  last = last.then(async () => {
    try {
      port.postMessage({ type: 'done', id: request.id, value: await handle(request) } satisfies PgliteReply);
    } catch (error) {
      const { code, message, constraint } = error as { code?: unknown; message?: unknown; constraint?: unknown };
      port.postMessage({
        type: 'failed',
        id: request.id,
        message: String(message ?? error),
        ...(typeof code === 'string' ? { code } : {}),
        ...(typeof constraint === 'string' ? { constraint } : {}),
      } satisfies PgliteReply);
    }
    if (request.type === 'close') port.close();
  });
});
