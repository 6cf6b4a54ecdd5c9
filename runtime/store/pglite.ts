// A Db over PGlite, which runs in a thread of its own because a heavy statement blocks its event loop. Knows no folders and no locks:
// see data-dir.ts.

import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';
import { RuntimeError } from '../contracts/errors.ts';
import type { Rows, Statement } from '../contracts/store.ts';
import type { PgliteReply, PgliteRequest, PgliteStart } from './pglite-wire.ts';
import { SqlError, type StoreDb } from './sql.ts';

const OPEN_TIMEOUT_MS = 120_000;
/** Statements that overtake reads, as the flush does: late, they would cost the node its lease or its wake-up. */
const URGENT: ReadonlySet<string> = new Set(['node_renew', 'pulse']);

export interface PgliteDb extends StoreDb {
  /** The whole data directory as tar and gzip. */
  dump(): Promise<Uint8Array>;
}

type Body = PgliteRequest extends infer Request ? (Request extends unknown ? Omit<Request, 'id'> : never) : never;
interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** @throws RuntimeError `store_unavailable` when it cannot be opened. */
export async function openPglite(start: PgliteStart): Promise<PgliteDb> {
  const ts = import.meta.url.endsWith('.ts');
  const entry = new URL(`./pglite-thread.${ts ? 'ts' : 'js'}`, import.meta.url);
  const worker = new Worker(ts ? throughTsx(entry) : entry, {
    eval: ts,
    workerData: start,
    // Set in any case: the flags of a test runner or of the main process are not for this thread.
    execArgv: [],
    env: {},
    name: 'troupe-pglite',
  });
  const waiters = new Map<number, Waiter>();
  const listeners = new Set<(up: boolean) => void>();
  let nextId = 1;
  let changes = 0;
  let gone: RuntimeError | undefined;
  let closing = false;

  function lose(why: string): void {
    if (gone) return;
    gone = new RuntimeError('store_unavailable', `the embedded database is gone: ${why}`);
    for (const { reject } of waiters.values()) reject(gone);
    waiters.clear();
    if (!closing) for (const listener of listeners) listener(false);
  }

  await new Promise<void>((resolve, reject) => {
    const fail = (why: string) => {
      lose(why);
      void worker.terminate();
      reject(new RuntimeError('store_unavailable', `the embedded database does not open: ${why}`));
    };
    const timer = setTimeout(() => fail(`not open after ${OPEN_TIMEOUT_MS} ms`), OPEN_TIMEOUT_MS);
    worker.on('message', (reply: PgliteReply) => {
      switch (reply.type) {
        case 'up':
          clearTimeout(timer);
          return resolve();
        case 'open-failed':
          clearTimeout(timer);
          return fail(reply.message);
        case 'done':
          waiters.get(reply.id)?.resolve(reply.value);
          return void waiters.delete(reply.id);
        case 'failed':
          waiters.get(reply.id)?.reject(errorOf(reply));
          return void waiters.delete(reply.id);
      }
    });
    worker.on('error', (error) => {
      clearTimeout(timer);
      fail(error.message);
    });
    worker.on('exit', (code) => {
      clearTimeout(timer);
      fail(`its thread ended with code ${code}`);
    });
  });

  function request<T>(body: Body): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (gone) return reject(gone);
      const id = nextId++;
      waiters.set(id, { resolve: resolve as (value: unknown) => void, reject });
      worker.postMessage({ ...body, id });
    });
  }

  const send = (statements: readonly Statement[], urgent: boolean): Promise<readonly Rows[]> => {
    if (statements.length === 0) return Promise.resolve([]);
    const rows = request<readonly Rows[]>({
      type: 'batch',
      statements: statements.map(({ name, text, params }) => ({ name, text, params })),
      urgent,
    });
    return statements.every(({ name }) => URGENT.has(name)) ? rows : counted(rows);
  };
  /** Both ends count: a pulse overtakes what was sent before it. */
  const counted = <T>(answer: Promise<T>): Promise<T> => {
    changes++;
    return answer.finally(() => changes++);
  };
  const batch = (statements: readonly Statement[]) => send(statements, false);

  return {
    kind: 'pglite',
    async query<Row>(statement: Statement) {
      const [rows] = await send([statement], URGENT.has(statement.name));
      return (rows ?? { rows: [], rowCount: 0 }) as Rows<Row>;
    },
    batch,
    flush: (statements) => send(statements, true),
    script: (text) => counted(request({ type: 'script', sql: text })),
    changes: () => changes,
    dump: () => request({ type: 'dump' }),
    onHealth(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      if (closing) return;
      closing = true;
      if (!gone) await request({ type: 'close' }).catch(() => {});
      await worker.terminate();
    },
  };
}

/** A thread cannot start with TypeScript (Node 20), but it can import it once the loader is registered. Development and tests only. */
function throughTsx(entry: URL): string {
  const loader = pathToFileURL(
    createRequire(import.meta.url)
      .resolve('tsx/esm/api')
      .replace(/\.cjs$/, '.mjs'),
  ).href;
  return `import(${JSON.stringify(loader)}).then((tsx) => {
    tsx.register();
    return import(${JSON.stringify(entry.href)});
  });`;
}

function errorOf({ code, message, constraint }: Extract<PgliteReply, { type: 'failed' }>): Error {
  return code ? new SqlError(message, code, constraint) : new RuntimeError('store_unavailable', message);
}
