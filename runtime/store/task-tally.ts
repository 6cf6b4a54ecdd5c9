// Counts of ended tasks: kept by every statement that changes them, in its own transaction, so that reading them is a handful of rows.

import { sql } from './sql.ts';

/** The slot of everything that is not the flush of a node. */
export const SHARED_SLOT = `'00000000-0000-0000-0000-000000000000'::uuid`;

/**
 * Adds the ended tasks of relation `source` (tenant, state) to the tally, or takes them off. Sorted, so that two statements never wait
 * for each other's rows.
 */
export const tally = (
  source: string,
  slot: string,
  sign: '+' | '-' = '+',
): string => `INSERT INTO task_tally AS y (tenant, state, slot, n)
  SELECT tenant, state, ${slot}, ${sign}count(*) FROM ${source}
  WHERE state IN ('completed', 'failed', 'dead', 'cancelled', 'timed_out') GROUP BY tenant, state ORDER BY tenant, state
  ON CONFLICT (tenant, state, slot) DO UPDATE SET n = y.n + excluded.n`;

/** Moves what the flushes of gone nodes counted into the shared slot. */
export const foldTally = () =>
  sql(
    'task_tally_fold',
    `WITH gone AS (DELETE FROM task_tally t WHERE slot <> ${SHARED_SLOT} AND NOT EXISTS (SELECT 1 FROM node WHERE id = t.slot)
       RETURNING tenant, state, n)
     INSERT INTO task_tally AS y (tenant, state, slot, n)
       SELECT tenant, state, ${SHARED_SLOT}, sum(n) FROM gone GROUP BY tenant, state ORDER BY tenant, state
     ON CONFLICT (tenant, state, slot) DO UPDATE SET n = y.n + excluded.n`,
  );

/** Tasks by state: open ones from the indexes of open work, ended ones from the tally. */
export function countStates(tenant: string | undefined) {
  const of = tenant === undefined ? '' : ' AND tenant = $1';
  const open = ['scheduled', 'queued', 'running', 'waiting'].map(
    (state) => `SELECT '${state}' AS state, count(*) AS count FROM task WHERE state = '${state}'${of}`,
  );
  return sql(
    tenant === undefined ? 'task_count_states' : 'task_count_states_tenant',
    `SELECT state, sum(n)::bigint AS count FROM task_tally WHERE true${of} GROUP BY state UNION ALL ${open.join(' UNION ALL ')}`,
    ...(tenant === undefined ? [] : [tenant]),
  );
}
