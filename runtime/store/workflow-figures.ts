// Questions about many runs at once: families, runs that stand still, what patterns achieved.

import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Db, PatternFigures, WorkflowStore } from '../contracts/store.ts';
import type { WorkflowState } from '../contracts/workflow.ts';
import { clampLimit, sql } from './sql.ts';
import { OPEN_TASK } from './task-rows.ts';
import { type DbWorkflow, WORKFLOW_COLUMNS, workflowOf } from './workflow-rows.ts';

/** A deadline, and the wall time of a budget, end a run that stands still: they do not move it. */
const STUCK = `SELECT ${WORKFLOW_COLUMNS} FROM workflow w WHERE tenant = $1 AND ended_at IS NULL AND status = 'running'
  AND started_at < clock_timestamp() - $2 * interval '1 millisecond'
  AND NOT EXISTS (SELECT 1 FROM workflow_journal j WHERE j.workflow_id = w.id AND j.at > clock_timestamp() - $2 * interval '1 millisecond')
  AND NOT EXISTS (SELECT 1 FROM task t WHERE t.workflow_id = w.id AND t.state IN ${OPEN_TASK})
  AND NOT EXISTS (SELECT 1 FROM workflow c WHERE c.parent_id = w.id AND c.ended_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM workflow_input q WHERE q.workflow_id = w.id AND q.state = 'open')
  AND NOT EXISTS (SELECT 1 FROM workflow_timer m WHERE m.workflow_id = w.id AND NOT m.deadline AND m.key <> '$wall')
  AND NOT EXISTS (SELECT 1 FROM workflow_inbox i WHERE i.workflow_id = w.id AND NOT i.consumed)
ORDER BY started_at LIMIT $3`;

const FIGURES = `WITH ended AS MATERIALIZED (SELECT pattern, status, stop_reason, error->>'code' AS code,
    extract(epoch FROM ended_at - started_at) * 1000 AS wall, (metrics->>'speedup')::float8 AS speedup, status IN ('completed', 'partial') AS good
  FROM workflow WHERE tenant = $1 AND ended_at > clock_timestamp() - $2 * interval '1 millisecond' AND started_at IS NOT NULL)
SELECT pattern, count(*)::int AS runs,
  (SELECT jsonb_object_agg(status, n) FROM (SELECT status, count(*) AS n FROM ended x WHERE x.pattern = e.pattern GROUP BY 1) s) AS by_status,
  (SELECT jsonb_object_agg(stop_reason, n) FROM (SELECT stop_reason, count(*) AS n FROM ended x WHERE x.pattern = e.pattern
    AND stop_reason IS NOT NULL GROUP BY 1) s) AS by_reason,
  (SELECT jsonb_object_agg(code, n) FROM (SELECT code, count(*) AS n FROM ended x WHERE x.pattern = e.pattern AND code IS NOT NULL GROUP BY 1) s) AS failures,
  (percentile_cont(0.5) WITHIN GROUP (ORDER BY wall) FILTER (WHERE good))::float8 AS wall_p50,
  (percentile_cont(0.95) WITHIN GROUP (ORDER BY wall) FILTER (WHERE good))::float8 AS wall_p95,
  (avg(wall) FILTER (WHERE good))::float8 AS wall_mean,
  (percentile_cont(0.5) WITHIN GROUP (ORDER BY speedup) FILTER (WHERE good AND speedup IS NOT NULL))::float8 AS speedup_p50,
  (avg(speedup) FILTER (WHERE good))::float8 AS speedup_mean
FROM ended e GROUP BY pattern ORDER BY pattern`;

interface DbFigures {
  readonly pattern: string;
  readonly runs: number;
  readonly by_status: Record<string, number> | null;
  readonly by_reason: Record<string, number> | null;
  readonly failures: Record<string, number> | null;
  readonly wall_p50: number | null;
  readonly wall_p95: number | null;
  readonly wall_mean: number | null;
  readonly speedup_p50: number | null;
  readonly speedup_mean: number | null;
}

export function createWorkflowFigures(
  db: Db,
): Pick<WorkflowStore, 'openDescendants' | 'children' | 'stuck' | 'statistics'> {
  return {
    async openDescendants(id) {
      const { rows } = await db.query<{ id: string }>(
        sql(
          'workflow_descendants',
          `WITH RECURSIVE below AS (SELECT id, ended_at FROM workflow WHERE parent_id = $1
             UNION ALL SELECT w.id, w.ended_at FROM workflow w JOIN below b ON w.parent_id = b.id)
           SELECT id FROM below WHERE ended_at IS NULL`,
          toUuid(id),
        ),
      );
      return rows.map((row) => fromUuid('workflow', row.id));
    },

    async children(id) {
      const { rows } = await db.query<{
        id: string;
        parent_step: string;
        parent_round: number;
        status: WorkflowState;
        started_at: string | null;
        ended_at: string | null;
      }>(
        sql(
          'workflow_children',
          `SELECT id, parent_step, parent_round, status, started_at, ended_at FROM workflow WHERE parent_id = $1 ORDER BY parent_step, parent_round`,
          toUuid(id),
        ),
      );
      return rows.map((row) => ({
        id: fromUuid('workflow', row.id),
        parent: { workflowId: id, step: row.parent_step, round: row.parent_round },
        status: row.status,
        startedAt: row.started_at,
        endedAt: row.ended_at,
      }));
    },

    async stuck(tenant, idleMs, limit) {
      const { rows } = await db.query<DbWorkflow>(sql('workflow_stuck', STUCK, tenant, idleMs, clampLimit(limit)));
      return rows.map(workflowOf);
    },

    async statistics(tenant, withinMs) {
      const { rows } = await db.query<DbFigures>(sql('workflow_figures', FIGURES, tenant, withinMs));
      return rows.map(figuresOf);
    },
  };
}

const figuresOf = (row: DbFigures): PatternFigures => ({
  pattern: row.pattern,
  runs: row.runs,
  byStatus: row.by_status ?? {},
  byStopReason: row.by_reason ?? {},
  wallMs:
    row.wall_p50 === null
      ? null
      : { p50: row.wall_p50, p95: row.wall_p95 ?? row.wall_p50, mean: row.wall_mean ?? row.wall_p50 },
  speedup: row.speedup_p50 === null ? null : { p50: row.speedup_p50, mean: row.speedup_mean ?? row.speedup_p50 },
  failures: row.failures ?? {},
});
