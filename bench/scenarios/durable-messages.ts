import pg from 'pg';
import { createTroupe } from '../../runtime/index.ts';
import { startPostgres } from '../../test/kit/services.ts';
import { countUntil, submitAll } from '../peers/task-queues.ts';
import type { Scenario, Subject } from '../scenario.ts';

const MESSAGES = 10_000;
const CALLERS = 256;
const AGENTS = 64;
const LOAD = { tasks: MESSAGES, callers: CALLERS };
const BODY = { text: 'x'.repeat(180) };

/** Accepted, handled and acknowledged with the state they left: the counters that are saved with the agents must say so. */
const durable: Subject = {
  name: 'troupe',
  role: 'ours',
  async prepare() {
    const postgres = await startPostgres();
    const troupe = await createTroupe({ databaseUrl: postgres.url, threads: 2, logLevel: 'error' });
    const agents = await Promise.all(Array.from({ length: AGENTS }, () => troupe.agents.spawn('probe')));
    const pool = new pg.Pool({ connectionString: postgres.url, max: 1 });
    pool.on('error', () => undefined);
    let handled = 0;
    let next = 0;
    return {
      async once() {
        const began = performance.now();
        await submitAll(LOAD, () => {
          const to = agents[next++ % AGENTS];
          return to ? to.tell('count', BODY, { durable: true }) : Promise.reject(new Error('no agent'));
        });
        handled += MESSAGES;
        await countUntil(
          pool,
          `SELECT coalesce(sum((snapshot #>> '{state,counted}')::int), 0) AS n FROM agent WHERE NOT EXISTS (SELECT 1 FROM inbox)`,
          handled,
        );
        return { count: MESSAGES, ms: performance.now() - began };
      },
      async close() {
        await troupe.stop();
        await pool.end();
        await postgres.stop();
      },
    };
  },
};

interface Rows {
  insert(): Promise<void>;
  remove(): Promise<void>;
}

/** As many rows put in and taken out again, by nothing but the database. */
const rows = (name: string, role: Subject['role'], make: (pool: pg.Pool) => Rows): Subject => ({
  name,
  role,
  async prepare() {
    const postgres = await startPostgres();
    const pool = new pg.Pool({ connectionString: postgres.url, max: 10 });
    pool.on('error', () => undefined);
    await pool.query('CREATE TABLE letter (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body jsonb)');
    return {
      async once() {
        const { insert, remove } = make(pool);
        const began = performance.now();
        await submitAll(LOAD, async () => {
          await insert();
          await remove();
        });
        const { rows: left } = await pool.query<{ n: string }>('SELECT count(*) AS n FROM letter');
        if (Number(left[0]?.n) !== 0) throw new Error('rows are left');
        return { count: MESSAGES, ms: performance.now() - began };
      },
      async close() {
        await pool.end();
        await postgres.stop();
      },
    };
  },
});

/** One commit for each. */
const single = rows('rows one by one', 'peer', (pool) => ({
  insert: async () =>
    void (await pool.query({ name: 'in', text: 'INSERT INTO letter (body) VALUES ($1)', values: [BODY] })),
  remove: async () =>
    void (await pool.query({
      name: 'out',
      text: 'DELETE FROM letter WHERE id = (SELECT id FROM letter ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)',
    })),
}));

/** All that are asked for while one commit is under way share the next. */
const together = rows('rows together', 'limit', (pool) => ({
  insert: shared((count) =>
    pool.query({
      name: 'ins',
      text: 'INSERT INTO letter (body) SELECT value FROM jsonb_array_elements($1::jsonb)',
      values: [JSON.stringify(Array.from({ length: count }, () => BODY))],
    }),
  ),
  remove: shared((count) =>
    pool.query({
      name: 'outs',
      text: 'DELETE FROM letter WHERE id = ANY (ARRAY(SELECT id FROM letter ORDER BY id LIMIT $1))',
      values: [count],
    }),
  ),
}));

function shared(work: (count: number) => Promise<unknown>): () => Promise<void> {
  let waiting: (() => void)[] = [];
  let busy = false;
  async function flush(): Promise<void> {
    busy = true;
    while (waiting.length > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      const those = waiting;
      waiting = [];
      await work(those.length);
      for (const done of those) done();
    }
    busy = false;
  }
  return () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      if (!busy) void flush();
    });
}

export const scenario: Scenario = {
  name: 'durable-messages',
  about: `durable messages told by ${CALLERS} callers one at a time to ${AGENTS} agents, handled, acknowledged with the state they left, on PostgreSQL; messages a second`,
  subjects: [durable, together, single],
};
