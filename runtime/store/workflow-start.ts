// How a workflow comes into being and how its first coordinator gets it.

import { RuntimeError } from '../contracts/errors.ts';
import type { RuntimeEvent } from '../contracts/event.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Db, WorkflowStore } from '../contracts/store.ts';
import type { WorkflowState } from '../contracts/workflow.ts';
import { sql, uuidOf } from './sql.ts';
import { type DbWorkflow, WORKFLOW_COLUMNS, workflowOf } from './workflow-rows.ts';

const CREATE = `WITH keyed AS (INSERT INTO idempotency (tenant, kind, key, body_hash, target)
  SELECT $2, 'workflow', $8, $9, $1 WHERE $8::text IS NOT NULL ON CONFLICT DO NOTHING RETURNING target),
ins AS (INSERT INTO workflow (id, tenant, name, pattern, spec, def_hash, total, created_at)
  SELECT $1, $2, $3, $4, $5::jsonb, $6, $7::int, clock_timestamp() WHERE $8::text IS NULL OR EXISTS (SELECT 1 FROM keyed)
  ON CONFLICT DO NOTHING RETURNING ${WORKFLOW_COLUMNS}),
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, 1, 'workflow', tenant, 'workflow.created', created_at, jsonb_build_object('name', name, 'pattern', pattern, 'total', total) FROM ins)
SELECT * FROM ins`;

const START = `WITH me AS MATERIALIZED (SELECT id FROM node WHERE id = $3 AND lease_until > clock_timestamp() AND swept_at IS NULL FOR KEY SHARE),
up AS (UPDATE workflow w SET status = 'running', owner_node = me.id, version = version + 1, event_seq = event_seq + 1,
    started_at = clock_timestamp() FROM me WHERE w.id = $1 AND tenant = $2 AND status = 'created'
  RETURNING ${WORKFLOW_COLUMNS.replace('id,', 'w.id,')}, event_seq),
mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
  SELECT id, 'started', jsonb_build_object('type', 'started', 'atMs', floor(extract(epoch FROM started_at) * 1000)::bigint, 'seed', $4::bigint)
  FROM up ON CONFLICT DO NOTHING),
deadline AS (INSERT INTO workflow_timer (workflow_id, key, due_at, deadline)
  SELECT id, '$deadline', started_at + (spec->>'deadlineMs')::float8 * interval '1 millisecond', true FROM up WHERE spec ? 'deadlineMs'
  ON CONFLICT DO NOTHING),
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'workflow', tenant, 'workflow.started', started_at, jsonb_build_object('seed', $4::bigint) FROM up)
SELECT * FROM up`;

export function createWorkflowStarts(db: Db, node: string): Pick<WorkflowStore, 'create' | 'start'> {
  return {
    async create(workflow) {
      const { id, tenant, spec, idempotency } = workflow;
      const { rows } = await db.query<DbWorkflow>(
        sql(
          'workflow_create',
          CREATE,
          toUuid(id),
          tenant,
          spec.name,
          spec.pattern,
          JSON.stringify(spec),
          workflow.defHash,
          workflow.total,
          idempotency?.key ?? null,
          idempotency?.bodyHash ?? null,
        ),
      );
      const [row] = rows;
      if (row) {
        const data = { name: spec.name, pattern: spec.pattern, total: workflow.total };
        const event: RuntimeEvent = { stream: id, seq: 1, type: 'workflow.created', tenant, at: row.created_at, data };
        return { outcome: 'created', row: workflowOf(row), events: [event] };
      }
      return findEarlier(db, workflow);
    },

    async start(id, tenant, seed) {
      const uuid = uuidOf('workflow', id);
      if (!uuid) return { outcome: 'not_found' };
      const { rows } = await db.query<DbWorkflow & { event_seq: number }>(
        sql('workflow_start', START, uuid, tenant, node, seed),
      );
      const [row] = rows;
      if (!row) {
        const found = await db.query<{ status: WorkflowState }>(
          sql('workflow_status', 'SELECT status FROM workflow WHERE id = $1 AND tenant = $2', uuid, tenant),
        );
        const status = found.rows[0]?.status;
        if (status === 'created')
          throw new RuntimeError('lease_lost', 'the lease of this node has run out, it may own nothing new');
        return status ? { outcome: 'wrong_state', status } : { outcome: 'not_found' };
      }
      const event: RuntimeEvent = {
        stream: id,
        seq: row.event_seq,
        type: 'workflow.started',
        tenant,
        at: row.started_at ?? row.created_at,
        data: { seed },
      };
      return { outcome: 'started', row: workflowOf(row), events: [event] };
    },
  };
}

async function findEarlier(db: Db, workflow: Parameters<WorkflowStore['create']>[0]) {
  const { rows } = await db.query<DbWorkflow & { body_hash: string | null }>(
    sql(
      'workflow_find_earlier',
      `SELECT k.body_hash, w.* FROM (SELECT 1) one
       LEFT JOIN idempotency k ON k.tenant = $1 AND k.kind = 'workflow' AND k.key = $2
       LEFT JOIN LATERAL (SELECT ${WORKFLOW_COLUMNS} FROM workflow WHERE tenant = $1 AND id = coalesce(k.target, $3)) w ON true`,
      workflow.tenant,
      workflow.idempotency?.key ?? null,
      toUuid(workflow.id),
    ),
  );
  const [row] = rows;
  if (row && row.body_hash !== null && row.body_hash !== workflow.idempotency?.bodyHash)
    return { outcome: 'mismatch' } as const;
  if (!row?.id) throw new RuntimeError('internal', `workflow ${workflow.id} was neither made nor found`);
  return { outcome: 'duplicate', row: { ...workflowOf(row), id: fromUuid('workflow', row.id) } } as const;
}
