// What a decision writes outside its own run: runs that begin inside it, the mail of its parent and of children it no longer needs,
// questions to people. Parts of the statement of `advance`; relation `ok` has the admitted decisions.

import { fromUuid } from '../contracts/ids.ts';
import type { Advance, NewChild, WorkflowRow } from '../contracts/store.ts';
import { few } from './sql.ts';

const MS = (at: string): string => `floor(extract(epoch FROM ${at}) * 1000)::bigint`;

/** Rounds this decision is done with: all of them when it ends the run. */
const OVER = (step: string, round: string): string =>
  `(ok.ending IS NOT NULL OR EXISTS (SELECT 1 FROM jsonb_to_recordset(ok.cancel) AS x(step text, round int)
    WHERE x.step = ${step} AND x.round = ${round}))`;

export const WORKFLOW_FAMILY = `kids AS MATERIALIZED (SELECT ok.wid AS parent, coalesce(ok.root_id, ok.wid) AS root, ok.depth + 1 AS level, ok.tenant, ok.at, k.*
  FROM ok CROSS JOIN LATERAL jsonb_to_recordset(ok.children) AS k(id uuid, step text, round int, spec jsonb, "defHash" text, total int)
  WHERE ok.ending IS NULL AND ok.children IS NOT NULL AND ${few('ok.i')}),
born AS (INSERT INTO workflow (id, tenant, name, pattern, spec, def_hash, total, status, owner_node, version, event_seq, created_at, started_at,
    parent_id, parent_step, parent_round, root_id, depth)
  SELECT id, tenant, spec->>'name', spec->>'pattern', spec, "defHash", total, 'running', $2, 1, 2, at, at, parent, step, round, root, level FROM kids),
born_mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
  SELECT id, 'started', jsonb_build_object('type', 'started', 'atMs', ${MS('at')}, 'seed', (spec->>'seed')::bigint) FROM kids),
born_deadlines AS (INSERT INTO workflow_timer (workflow_id, key, due_at, deadline)
  SELECT id, '$deadline', at + (spec->>'deadlineMs')::float8 * interval '1 millisecond', true FROM kids WHERE spec ? 'deadlineMs'),
parent_mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
  SELECT parent_id, 'run/' || wid, CASE WHEN ending->>'status' IN ('completed', 'partial')
    THEN jsonb_build_object('type', 'step.completed', 'output', ending->'output')
    ELSE jsonb_build_object('type', 'step.failed', 'state', CASE WHEN ending->>'status' = 'cancelled' THEN 'cancelled' ELSE 'failed' END,
      'error', jsonb_build_object('code', 'child_failed', 'message', 'the run inside ended ' || (ending->>'status') || ' (' || (ending->>'stopReason') || ')',
        'retryable', false, 'details', jsonb_build_object('workflowId', wid, 'stopReason', ending->'stopReason', 'error', ending->'error'))) END
    || jsonb_build_object('step', parent_step, 'round', parent_round, 'atMs', ${MS('at')}, 'taskId', '', 'agentId', NULL, 'attempts', 1,
      'startedAtMs', NULL)
    || CASE WHEN ending ? 'usage' THEN jsonb_build_object('usage', ending->'usage') ELSE '{}'::jsonb END
  FROM ok WHERE ending IS NOT NULL AND parent_id IS NOT NULL ON CONFLICT DO NOTHING),
orphans AS MATERIALIZED (SELECT ok.i, ok.at, c.id FROM ok CROSS JOIN LATERAL (SELECT id, parent_step, parent_round FROM workflow
    WHERE parent_id = ok.wid AND ended_at IS NULL) c
  WHERE (ok.ending IS NOT NULL OR jsonb_array_length(ok.cancel) > 0) AND ${OVER('c.parent_step', 'c.parent_round')}),
orphan_mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
  SELECT id, 'cancel/parent', jsonb_build_object('type', 'cancel', 'atMs', ${MS('at')}, 'reason', 'parent') FROM orphans ON CONFLICT DO NOTHING),
asked AS (INSERT INTO workflow_input (workflow_id, step, round, tenant, root_id, request, asked_at, expires_at)
  SELECT ok.wid, q.step, q.round, ok.tenant, coalesce(ok.root_id, ok.wid), q.request, ok.at, ok.at + q."expiresMs" * interval '1 millisecond'
  FROM ok CROSS JOIN LATERAL jsonb_to_recordset(ok.asks) AS q(step text, round int, request jsonb, "expiresMs" float8)
  WHERE ok.ending IS NULL AND ok.asks IS NOT NULL ON CONFLICT DO NOTHING),
unasked AS (UPDATE workflow_input q SET state = 'closed', ended_at = ok.at FROM ok
  WHERE (ok.ending IS NOT NULL OR jsonb_array_length(ok.cancel) > 0) AND q.workflow_id = ok.wid AND q.state = 'open' AND ${OVER('q.step', 'q.round')})`;

/** A run that began with a decision, as its row says. */
export function childRow(
  op: Advance,
  child: NewChild,
  node: string,
  ok: { readonly at: string; readonly row: unknown },
): WorkflowRow {
  const { root, depth } = ok.row as { readonly root: string | null; readonly depth: number };
  return {
    id: child.id,
    tenant: op.tenant,
    name: child.spec.name,
    pattern: child.spec.pattern,
    spec: child.spec,
    defHash: child.defHash,
    status: 'running',
    stopReason: null,
    output: null,
    error: null,
    owner: fromUuid('node', node),
    version: 1,
    createdAt: ok.at,
    startedAt: ok.at,
    endedAt: null,
    progress: { done: 0, total: child.total },
    parent: { workflowId: op.workflowId, step: child.step, round: child.round },
    rootId: root ? fromUuid('workflow', root) : op.workflowId,
    depth: depth + 1,
    forkOf: null,
  };
}
