// What is thrown away and when: history by whole weekly partitions, finished work in bounded batches, and how large everything is.

import type { Db, Store } from '../contracts/store.ts';
import { sql } from './sql.ts';
import { foldTally, SHARED_SLOT, tally } from './task-tally.ts';

const DELETE_BATCH = 1_000;
/** Batches of one table in one call; the rest waits for the next call. */
const MAX_BATCHES = 100;
/** Weeks ahead for which partitions exist. */
const WEEKS_AHEAD = 2;

const OLD = `clock_timestamp() - $1 * interval '1 day'`;

/** Rows without a partition of their own, and the condition that makes them old. */
const OLD_ROWS: readonly {
  readonly table: string;
  readonly key: string;
  readonly when: string;
  readonly returning?: string;
  /** What else changes with them, as a data-modifying CTE over `gone`. */
  readonly also?: string;
}[] = [
  {
    table: 'workflow_inbox',
    key: 'ctid',
    when: `workflow_id IN (SELECT id FROM workflow WHERE ended_at < ${OLD} ORDER BY ended_at LIMIT ${DELETE_BATCH})`,
  },
  {
    table: 'workflow_input',
    key: 'ctid',
    when: `workflow_id IN (SELECT id FROM workflow WHERE ended_at < ${OLD} ORDER BY ended_at LIMIT ${DELETE_BATCH})`,
  },
  {
    table: 'workflow_snapshot',
    key: 'ctid',
    when: `workflow_id IN (SELECT id FROM workflow WHERE ended_at < ${OLD} ORDER BY ended_at LIMIT ${DELETE_BATCH})`,
  },
  {
    table: 'task',
    key: 'id',
    // A run in flight may still ask for the results of its steps.
    when: `ended_at < ${OLD} AND (workflow_id IS NULL OR NOT EXISTS (SELECT 1 FROM workflow w WHERE w.id = task.workflow_id AND w.ended_at IS NULL))`,
    returning: 'tenant, state',
    also: `, counted AS (${tally('gone', SHARED_SLOT, '-')})`,
  },
  {
    table: 'workflow',
    key: 'id',
    when: `ended_at < ${OLD} AND NOT EXISTS (SELECT 1 FROM workflow_inbox i WHERE i.workflow_id = workflow.id)
      AND NOT EXISTS (SELECT 1 FROM workflow_snapshot s WHERE s.workflow_id = workflow.id)`,
  },
  {
    table: 'agent_timer',
    key: 'ctid',
    when: `agent_id IN (SELECT id FROM agent WHERE ended_at < ${OLD})`,
  },
  { table: 'agent', key: 'id', when: `ended_at < ${OLD} AND owner_node IS NULL` },
  {
    table: 'metric_figures',
    key: 'ctid',
    when: `at < ${OLD} OR (step_s = 60 AND at < clock_timestamp() - interval '7 days')`,
  },
  { table: 'idempotency', key: 'ctid', when: `created_at < ${OLD}` },
];

export async function makePartitions(db: Db): Promise<void> {
  await db.query(sql('partitions_make', 'SELECT troupe_make_partitions($1)', WEEKS_AHEAD));
}

export function createRetention(db: Db): Pick<Store, 'retain' | 'sizes'> {
  return {
    async retain({ historyDays }) {
      await makePartitions(db);
      let dropped = 0;
      // The journal of a run that is still open is its state: its partitions stay as long as it does. So is that of an ended run without
      // a snapshot, which took a day at most.
      const { rows } = await db.query<{ dropped: number }>(
        sql(
          'partitions_drop',
          `SELECT coalesce(sum(troupe_drop_partitions(p, CASE WHEN p LIKE 'workflow%'
               THEN least(${OLD} - interval '1 day', (SELECT min(created_at) FROM workflow WHERE ended_at IS NULL)) ELSE ${OLD} END)), 0)::int AS dropped
           FROM unnest(troupe_history_tables()) p`,
          historyDays,
        ),
      );
      dropped += rows[0]?.dropped ?? 0;
      for (const { table, key, when, returning = '1', also = '' } of OLD_ROWS) {
        for (let batch = 0; batch < MAX_BATCHES; batch++) {
          const gone = await db.query<{ n: number }>(
            sql(
              `retain_${table}`,
              `WITH gone AS (DELETE FROM ${table} WHERE ${key} = ANY (ARRAY(SELECT ${key} FROM ${table} WHERE ${when} LIMIT ${DELETE_BATCH}))
               RETURNING ${returning})${also} SELECT count(*)::int AS n FROM gone`,
              historyDays,
            ),
          );
          dropped += gone.rows[0]?.n ?? 0;
          if ((gone.rows[0]?.n ?? 0) < DELETE_BATCH) break;
        }
      }
      await db.query(foldTally());
      // Nobody else vacuums an embedded database.
      if (db.kind === 'pglite') await db.script('VACUUM (ANALYZE)');
      return { dropped };
    },

    async sizes() {
      const { rows } = await db.query<{ name: string; rows: number; bytes: number }>(
        sql(
          'table_sizes',
          `SELECT coalesce(p.relname, c.relname) AS name, sum(greatest(0, coalesce(nullif(s.n_live_tup, 0), c.reltuples, 0)))::bigint AS rows,
             sum(pg_total_relation_size(c.oid))::bigint AS bytes
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
           LEFT JOIN pg_inherits i ON i.inhrelid = c.oid LEFT JOIN pg_class p ON p.oid = i.inhparent
           LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
           WHERE c.relkind = 'r' GROUP BY 1 ORDER BY 1`,
        ),
      );
      return rows.map(({ name, rows: count, bytes }) => ({ table: name, rows: count, bytes }));
    },
  };
}
