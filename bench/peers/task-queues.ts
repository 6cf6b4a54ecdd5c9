// Peers of the durable-task benchmark, each on a PostgreSQL of its own: every task is submitted, run by a handler that does nothing, and its
// completion is confirmed by the rows in the peer's own table.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../../test/kit/services.ts';
import type { Subject } from '../scenario.ts';

/** The peers are installed beside the sources (`npm run bench:peers`); benchmarks run compiled, from the root of the project. */
const require = createRequire(join(process.cwd(), 'bench/peers/package.json'));
const PAYLOAD = { text: 'x'.repeat(180) };

export interface TaskLoad {
  readonly tasks: number;
  /** Callers that each submit one task after the other. */
  readonly callers: number;
}

/** `callers` loops share `tasks` submits. */
export async function submitAll({ tasks, callers }: TaskLoad, submit: () => Promise<unknown>): Promise<void> {
  let left = tasks;
  const loop = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await submit();
    }
  };
  await Promise.all(Array.from({ length: callers }, loop));
}

export interface PgPool {
  query(text: string): Promise<{ rows: { n: string }[] }>;
  end(): Promise<void>;
  on(event: 'error', listener: () => void): void;
}

/** Waits until the count of the query's only row is reached. */
export async function countUntil(pool: PgPool, query: string, expected: number): Promise<void> {
  for (;;) {
    const { rows } = await pool.query(query);
    if (Number(rows[0]?.n) >= expected) return;
    await sleep(50);
  }
}

interface PgBoss {
  start(): Promise<void>;
  stop(options: object): Promise<void>;
  createQueue(name: string): Promise<void>;
  send(name: string, data: object): Promise<string>;
  work(name: string, options: object, handler: (jobs: unknown[]) => Promise<object>): Promise<string>;
  on(event: 'error', listener: (error: Error) => void): void;
}

/** pg-boss 10 with eight workers of batches of 100, its shortest polling interval. */
export const pgBossTasks = (load: TaskLoad): Subject => ({
  name: 'pg-boss',
  role: 'peer',
  async prepare() {
    const postgres = await startPostgres();
    const PgBoss = require('pg-boss') as new (options: object) => PgBoss;
    const { Pool } = require('pg') as { Pool: new (options: object) => PgPool };
    const pool = new Pool({ connectionString: postgres.url, max: 1 });
    // The server is stopped while idle connections may still be open; that is the end of the benchmark, not a fault.
    pool.on('error', () => undefined);
    const boss = new PgBoss({ connectionString: postgres.url, max: 16, supervise: false, schedule: false });
    boss.on('error', () => undefined);
    await boss.start();
    await boss.createQueue('bench');
    for (let worker = 0; worker < 8; worker++) {
      await boss.work('bench', { batchSize: 100, pollingIntervalSeconds: 0.5 }, async () => ({ done: true }));
    }
    let completed = 0;
    return {
      async once() {
        const began = performance.now();
        await submitAll(load, () => boss.send('bench', PAYLOAD));
        completed += load.tasks;
        await countUntil(pool, `SELECT count(*) AS n FROM pgboss.job WHERE state = 'completed'`, completed);
        return { count: load.tasks, ms: performance.now() - began };
      },
      async close() {
        await boss.stop({ graceful: false });
        await pool.end();
        await postgres.stop();
      },
    };
  },
});

interface Graphile {
  run(options: object): Promise<{ addJob(name: string, payload: object): Promise<unknown>; stop(): Promise<void> }>;
  Logger: new (factory: () => () => void) => object;
}

/** graphile-worker with concurrency 16; it deletes finished jobs, so done is: none left, and every handler call counted. */
export const graphileTasks = (load: TaskLoad): Subject => ({
  name: 'graphile-worker',
  role: 'peer',
  async prepare() {
    const postgres = await startPostgres();
    const { run, Logger } = require('graphile-worker') as Graphile;
    const { Pool } = require('pg') as { Pool: new (options: object) => PgPool };
    const pool = new Pool({ connectionString: postgres.url, max: 1 });
    // The server is stopped while idle connections may still be open; that is the end of the benchmark, not a fault.
    pool.on('error', () => undefined);
    let handled = 0;
    const runner = await run({
      connectionString: postgres.url,
      concurrency: 16,
      maxPoolSize: 20,
      pollInterval: 100,
      noHandleSignals: true,
      logger: new Logger(() => () => {}),
      taskList: {
        bench: async () => {
          handled += 1;
        },
      },
    });
    return {
      async once() {
        const before = handled;
        const began = performance.now();
        await submitAll(load, () => runner.addJob('bench', PAYLOAD));
        while (handled - before < load.tasks) await sleep(50);
        for (;;) {
          const { rows } = await pool.query('SELECT count(*) AS n FROM graphile_worker.jobs');
          if (Number(rows[0]?.n) === 0) break;
          await sleep(50);
        }
        return { count: load.tasks, ms: performance.now() - began };
      },
      async close() {
        await runner.stop();
        await pool.end();
        await postgres.stop();
      },
    };
  },
});
