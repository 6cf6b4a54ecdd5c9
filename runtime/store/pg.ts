// A Db over node-postgres: a pool for reads and single writes, one connection of its own for the group commit. Every wait ends:
// connect, statement and query have limits, and a connection that showed any sign of trouble is destroyed, never reused.

import pg from 'pg';
import { RuntimeError } from '../contracts/errors.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { Rows, Statement } from '../contracts/store.ts';
import { isTransient, SqlError, type StoreDb } from './sql.ts';

const STATEMENT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 7_000;
const CONNECT_TIMEOUT_MS = 3_000;
const TRANSIENT_RETRIES = 5;
const PROBE_MIN_MS = 250;
const PROBE_MAX_MS = 1_000;

/** OIDs whose text form is not what a {@link Rows} promises. */
const INT8 = 20;
const TIMESTAMPTZ = 1184;
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary') {
    if (oid === INT8) return Number;
    const parse = pg.types.getTypeParser(oid, format as 'text');
    if (oid !== TIMESTAMPTZ) return parse;
    return (text: string) => {
      const at: unknown = parse(text);
      return at instanceof Date ? at.toISOString() : text;
    };
  },
};

/** Never connects by itself: the first statement does. */
export function openPg(url: string, ambient: Ambient, options: { readonly maxConnections?: number } = {}): StoreDb {
  const common = {
    connectionString: url,
    types: types as pg.CustomTypesConfig,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: 10_000,
    keepAlive: true,
    application_name: 'troupe',
    // The statements of a transaction travel together: one round trip instead of one each.
    pipeline: true,
  };
  // No statement here runs long enough for compiling it to pay; PostgreSQL guesses otherwise and spends up to a second on one.
  const pool = new pg.Pool({ ...common, max: options.maxConnections ?? 10, options: '-c jit=off' } as pg.PoolConfig);
  // Keyed statements only: their plans must not flip to scans because the tables were small when they were made.
  const lane = new pg.Pool({
    ...common,
    max: 1,
    idleTimeoutMillis: 0,
    options: '-c enable_hashjoin=off -c enable_mergejoin=off -c enable_seqscan=off -c jit=off',
  } as pg.PoolConfig);
  const health = createHealth(ambient, () => answers(common));
  for (const each of [pool, lane])
    each.on('error', (error) => ambient.log.debug('an idle database connection broke', { error: error.message }));

  async function withClient<T>(from: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    health.refuseWhileCut();
    let client: pg.PoolClient;
    try {
      client = await from.connect();
    } catch (error) {
      throw health.failed(error);
    }
    // A connection may break between two statements; its error must not become an uncaught one.
    const onError = () => {};
    client.on('error', onError);
    let broken: Error | undefined;
    try {
      const result = await work(client);
      health.worked();
      return result;
    } catch (error) {
      const sqlError = asSqlError(error);
      if (sqlError) throw sqlError;
      broken = error instanceof Error ? error : new Error(String(error));
      throw health.failed(error);
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }

  async function retrying<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isTransient(error) || attempt >= TRANSIENT_RETRIES) throw error;
        await sleep(ambient, ambient.random() * 20 * 2 ** attempt);
      }
    }
  }

  const one = (client: pg.PoolClient, { name, text, params }: Statement): Promise<Rows> =>
    client.query({ name, text, values: [...params] }).then(toRows);

  /** All statements of the transaction are handed over at once: nothing in JavaScript is awaited while it is open. */
  async function transaction(client: pg.PoolClient, statements: readonly Statement[]): Promise<readonly Rows[]> {
    const [only] = statements;
    if (!only) return [];
    if (statements.length === 1) return [await one(client, only)];
    const sent = [
      client.query('BEGIN'),
      ...statements.map((statement) => one(client, statement)),
      client.query('COMMIT'),
    ];
    const settled = await Promise.allSettled(sent);
    const failed = settled.find((result) => result.status === 'rejected');
    if (failed) {
      // COMMIT of a failed transaction is a rollback; the cause is the first error, the rest only say "aborted".
      throw failed.reason;
    }
    return settled.slice(1, -1).map((result) => (result as PromiseFulfilledResult<Rows>).value);
  }

  return {
    kind: 'postgres',
    query: <Row>(statement: Statement) =>
      retrying(() => withClient(pool, (client) => one(client, statement))) as Promise<Rows<Row>>,
    batch: (statements) => retrying(() => withClient(pool, (client) => transaction(client, statements))),
    flush: (statements) => retrying(() => withClient(lane, (client) => transaction(client, statements))),
    async script(text) {
      await withClient(pool, (client) => client.query(text));
    },
    onHealth: health.listen,
    connections: () => ({
      connections: pool.totalCount + lane.totalCount,
      idle: pool.idleCount + lane.idleCount,
      waiting: pool.waitingCount + lane.waitingCount,
    }),
    async close() {
      health.close();
      await Promise.allSettled([pool.end(), lane.end()]);
    },
  };
}

function toRows(result: pg.QueryResult): Rows {
  return { rows: result.rows as Record<string, unknown>[], rowCount: result.rowCount ?? 0 };
}

/** Whether a new connection gets an answer: those of the pool may be busy with waiting for nothing. */
async function answers(config: pg.ClientConfig): Promise<void> {
  const client = new pg.Client(config);
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query('SELECT 1');
  } finally {
    void client.end().catch(() => {});
  }
}

/** An answer of a living server. Shutdown, crash, too many connections and cancelled statements count as the server being away. */
function asSqlError(error: unknown): SqlError | undefined {
  if (!(error instanceof pg.DatabaseError) || !error.code) return undefined;
  if (/^(08|53|57|58|25006|F0|XX)/.test(error.code)) return undefined;
  return new SqlError(error.message, error.code, error.constraint);
}

function sleep(ambient: Ambient, ms: number): Promise<void> {
  return new Promise((resolve) => {
    ambient.clock.setTimeout(resolve, ms);
  });
}

/** The server answered, if only that it gave up on this one statement (timeout, cancelled by hand). */
const QUERY_CANCELED = '57014';
/** What pg-pool says when all its connections are in use: no word about the server. */
const POOL_BUSY = 'timeout exceeded when trying to connect';

/**
 * Up or down, told on change. While down it probes with growing waits, so that recovery needs no traffic. After a connection was lost or
 * timed out the way is cut: callers are refused at once until a probe is answered, instead of queueing for the next time limit.
 */
function createHealth(ambient: Ambient, ping: () => Promise<unknown>) {
  const listeners = new Set<(up: boolean) => void>();
  let up = true;
  let cut: RuntimeError | undefined;
  let closed = false;
  let probe: Dispose | undefined;

  function set(now: boolean): void {
    if (now) cut = undefined;
    if (up === now || closed) return;
    up = now;
    for (const listener of listeners) listener(up);
  }
  function schedule(waitMs: number): void {
    if (closed || probe) return;
    probe = ambient.clock.setTimeout(
      () => {
        ping().then(
          () => {
            probe = undefined;
            set(true);
          },
          () => {
            probe = undefined;
            schedule(Math.max(PROBE_MIN_MS, Math.min(PROBE_MAX_MS, waitMs * 2)));
          },
        );
      },
      waitMs * (0.5 + ambient.random() / 2),
    );
  }
  return {
    worked: () => set(true),
    failed(error: unknown): RuntimeError {
      const { code, message } = error as { code?: unknown; message?: string };
      const away = new RuntimeError('store_unavailable', `the database does not answer: ${message || code || error}`, {
        cause: error,
      });
      if (code === QUERY_CANCELED) return away;
      if (message !== POOL_BUSY && (!(error instanceof pg.DatabaseError) || /^(08|57P)/.test(error.code ?? '')))
        cut = away;
      set(false);
      // At once: it may have been this one connection.
      schedule(0);
      return away;
    },
    /** @throws RuntimeError `store_unavailable` */
    refuseWhileCut(): void {
      if (cut) throw new RuntimeError('store_unavailable', cut.message, { cause: cut.cause });
    },
    listen(listener: (up: boolean) => void): Dispose {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close() {
      closed = true;
      probe?.();
    },
  };
}
