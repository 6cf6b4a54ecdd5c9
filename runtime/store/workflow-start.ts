// How a workflow comes into being and how its first coordinator gets it. Group commits, as everything that many callers do at once.

import { RuntimeError } from '../contracts/errors.ts';
import type { RuntimeEvent } from '../contracts/event.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type {
  Advance,
  AdvanceAnswer,
  CreateAnswer,
  Db,
  NewWorkflow,
  WorkflowRow,
  WorkflowStore,
} from '../contracts/store.ts';
import type { WorkflowState } from '../contracts/workflow.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { few, MS, sql, uuidOf } from './sql.ts';
import { type DbWorkflow, WORKFLOW_COLUMNS, workflowOf } from './workflow-rows.ts';

const LIVE_NODE =
  'SELECT id FROM node WHERE id = $2 AND lease_until > clock_timestamp() AND swept_at IS NULL FOR KEY SHARE';
/** The first mail and the deadline of the started runs of relation `source`. */
const BEGIN = (
  source: string,
  mailed = 'true',
): string => `mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
  SELECT id, 'started', jsonb_build_object('type', 'started', 'atMs', ${MS('started_at')}, 'seed', seed) FROM ${source} WHERE started_at IS NOT NULL AND ${mailed}
  ON CONFLICT DO NOTHING),
deadline AS (INSERT INTO workflow_timer (workflow_id, key, due_at, deadline)
  SELECT id, '$deadline', started_at + (spec->>'deadlineMs')::float8 * interval '1 millisecond', true FROM ${source}
  WHERE started_at IS NOT NULL AND spec ? 'deadlineMs' ON CONFLICT DO NOTHING)`;

const CREATE = `WITH me AS MATERIALIZED (${LIVE_NODE}),
a AS MATERIALIZED (SELECT a.*, clock_timestamp() AS at FROM jsonb_to_recordset($1::jsonb) AS a(i int, id uuid, tenant text, spec jsonb, hash text,
  total int, key text, body text, start boolean, decided boolean, fork uuid, fork_step text, recorded jsonb) WHERE ${few('a.i')} AND (NOT start OR EXISTS (SELECT 1 FROM me))),
keyed AS (INSERT INTO idempotency (tenant, kind, key, body_hash, target)
  SELECT tenant, 'workflow', key, body, id FROM a WHERE key IS NOT NULL ON CONFLICT DO NOTHING RETURNING target),
ins AS (INSERT INTO workflow (id, tenant, name, pattern, spec, def_hash, total, created_at, fork_of, fork_step, recorded,
    status, owner_node, version, event_seq, started_at)
  SELECT id, tenant, spec->>'name', spec->>'pattern', spec, hash, total, at, fork, fork_step, recorded,
    CASE WHEN start THEN 'running' ELSE 'created' END, CASE WHEN start THEN $2::uuid END, 1, CASE WHEN start THEN 2 ELSE 1 END,
    CASE WHEN start THEN at END
  FROM a WHERE key IS NULL OR EXISTS (SELECT 1 FROM keyed WHERE target = a.id)
  ON CONFLICT DO NOTHING RETURNING id, spec, created_at, started_at, (spec->>'seed')::bigint AS seed),
${BEGIN('ins', 'id NOT IN (SELECT id FROM a WHERE decided)')}
SELECT a.i, ins.created_at, ins.started_at FROM ins JOIN a ON a.id = ins.id`;

const START = `WITH me AS MATERIALIZED (${LIVE_NODE}),
a AS MATERIALIZED (SELECT a.* FROM jsonb_to_recordset($1::jsonb) AS a(i int, wid uuid, tenant_name text, seed bigint) WHERE ${few('a.i')} ORDER BY wid),
up AS (UPDATE workflow w SET status = 'running', owner_node = me.id, version = version + 1, event_seq = event_seq + 1,
    started_at = clock_timestamp() FROM me, a WHERE w.id = a.wid AND tenant = a.tenant_name AND status = 'created'
  RETURNING ${WORKFLOW_COLUMNS.replace('id,', 'w.id,')}, event_seq, a.i, a.seed),
${BEGIN('up')},
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'workflow', tenant, 'workflow.started', started_at, jsonb_build_object('seed', seed) FROM up)
SELECT * FROM up`;

/** `decided`: its first decision is in the same commit, so it gets no mail of its start. */
type CreateOp = NewWorkflow & { readonly decided?: true };
interface StartOp {
  readonly uuid: string;
  readonly tenant: string;
  readonly seed: number;
}
type Created = { readonly i: number; readonly created_at: string; readonly started_at: string | null };
type Started = DbWorkflow & { readonly i: number; readonly event_seq: number };

const createKind = (node: string): OpKind<CreateOp, Created, Created | undefined> => ({
  name: 'workflow.create',
  encode: ({ id, tenant, spec, defHash, total, idempotency, start = false, decided, fork }) => ({
    id: toUuid(id),
    tenant,
    spec,
    hash: defHash,
    total,
    key: idempotency?.key,
    body: idempotency?.bodyHash,
    start,
    ...(decided ? { decided } : {}),
    ...(fork ? { fork: toUuid(fork.of), fork_step: fork.fromStep, recorded: fork.recorded } : {}),
  }),
  statement: (json) => sql('workflow_create', CREATE, json, node),
  decode: (_op, rows) => rows[0],
});

const startKind = (node: string): OpKind<StartOp, Started, Started | undefined> => ({
  name: 'workflow.start',
  encode: ({ uuid, tenant, seed }) => ({ wid: uuid, tenant_name: tenant, seed }),
  statement: (json) => sql('workflow_start', START, json, node),
  decode: (_op, rows) => rows[0],
});

export function createWorkflowStarts<Row extends object>(
  db: Db,
  commit: GroupCommit,
  kindOf: (first: Advance) => OpKind<Advance, Row, AdvanceAnswer>,
  node: string,
): Pick<WorkflowStore, 'create' | 'createDecided' | 'start'> {
  const creates = createKind(node);
  const starts = startKind(node);
  const answer = (workflow: NewWorkflow, made: Created | undefined): CreateAnswer | Promise<CreateAnswer> =>
    made
      ? { outcome: 'created', row: rowOf(workflow, made, node), events: eventsOf(workflow, made) }
      : findEarlier(db, workflow);
  return {
    create: async (workflow) => answer(workflow, await commit.run(creates, workflow)),

    async createDecided(workflow, first) {
      const op: CreateOp = { ...workflow, start: true, decided: true };
      const [[made], advanced] = await commit.runWith(creates, [op], kindOf(first), first);
      return { created: await answer(op, made), advanced };
    },

    async start(id, tenant, seed) {
      const uuid = uuidOf('workflow', id);
      if (!uuid) return { outcome: 'not_found' };
      const row = await commit.run(starts, { uuid, tenant, seed });
      if (!row) {
        const found = await db.query<{ status: WorkflowState }>(
          sql('workflow_status', 'SELECT status FROM workflow WHERE id = $1 AND tenant = $2', uuid, tenant),
        );
        const status = found.rows[0]?.status;
        if (status === 'created') throw leaseLost();
        return status ? { outcome: 'wrong_state', status } : { outcome: 'not_found' };
      }
      const event = startedEvent(id, tenant, row.event_seq, row.started_at ?? row.created_at, seed);
      return { outcome: 'started', row: workflowOf(row), events: [event] };
    },
  };
}

const leaseLost = (): RuntimeError =>
  new RuntimeError('lease_lost', 'the lease of this node has run out, it may own nothing new');

const startedEvent = (id: WorkflowRow['id'], tenant: string, seq: number, at: string, seed: number): RuntimeEvent => ({
  stream: id,
  seq,
  type: 'workflow.started',
  tenant,
  at,
  data: { seed },
});

function eventsOf({ id, tenant, spec }: NewWorkflow, made: Created): RuntimeEvent[] {
  const data = { name: spec.name, pattern: spec.pattern };
  const created: RuntimeEvent = { stream: id, seq: 1, type: 'workflow.created', tenant, at: made.created_at, data };
  return made.started_at === null ? [created] : [created, startedEvent(id, tenant, 2, made.started_at, spec.seed)];
}

function rowOf({ id, tenant, spec, defHash, total, fork }: NewWorkflow, made: Created, node: string): WorkflowRow {
  return {
    id,
    tenant,
    name: spec.name,
    pattern: spec.pattern,
    spec,
    defHash,
    status: made.started_at === null ? 'created' : 'running',
    stopReason: null,
    output: null,
    error: null,
    owner: made.started_at === null ? null : fromUuid('node', node),
    version: 1,
    createdAt: made.created_at,
    startedAt: made.started_at,
    endedAt: null,
    progress: { done: 0, total },
    parent: null,
    rootId: null,
    depth: 0,
    forkOf: fork ? { workflowId: fork.of, fromStep: fork.fromStep } : null,
  };
}

async function findEarlier(db: Db, workflow: NewWorkflow) {
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
  if (!row?.id && workflow.start) throw leaseLost();
  if (!row?.id) throw new RuntimeError('internal', `workflow ${workflow.id} was neither made nor found`);
  return { outcome: 'duplicate', row: { ...workflowOf(row), id: fromUuid('workflow', row.id) } } as const;
}
