// Workflows in the database: one row owned by one node, an inbox of what happened, a journal of what was decided upon.

import type { CoordinationEvent, Decision } from '../contracts/coordination.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Advance, Db, Recorded, WorkflowStore } from '../contracts/store.ts';
import type { DatabaseClock } from './database-clock.ts';
import { gather } from './gather.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { clampLimit, few, page, readCursor, sql, uuidOf } from './sql.ts';
import type { Settling } from './task-settle.ts';
import { type AdvanceOp, advanceKind, isWhole } from './workflow-advance.ts';
import { createWorkflowFigures } from './workflow-figures.ts';
import { createWorkflowInputs } from './workflow-inputs.ts';
import {
  BRIEF_COLUMNS,
  type DbWorkflow,
  mailOf,
  type StoredMail,
  WORKFLOW_COLUMNS,
  workflowOf,
} from './workflow-rows.ts';
import { createWorkflowStarts } from './workflow-start.ts';

const TIMER_BATCH = 500;
/** Longest history that is read at once. */
const MAX_HISTORY = 1_000_000;

interface PostOp {
  readonly uuid: string;
  readonly tenant: string;
  readonly eventId: string;
  readonly event: CoordinationEvent;
}

const POSTS: OpKind<PostOp, { readonly i: number }, boolean> = {
  name: 'workflow.post',
  encode: ({ uuid, tenant, eventId, event }) => ({ wid: uuid, tenant_name: tenant, event_id: eventId, event }),
  statement: (json) =>
    sql(
      'workflow_post',
      `WITH a AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS a(i int, wid uuid, tenant_name text, event_id text, event jsonb)
         WHERE ${few('a.i')}),
       w AS MATERIALIZED (SELECT w.id FROM workflow w WHERE w.id IN (SELECT wid FROM a) AND w.ended_at IS NULL ORDER BY w.id FOR KEY SHARE),
       mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
         SELECT a.wid, a.event_id, a.event FROM a JOIN workflow x ON x.id = a.wid AND x.tenant = a.tenant_name JOIN w ON w.id = a.wid
         ORDER BY a.i ON CONFLICT DO NOTHING)
       SELECT a.i FROM a JOIN workflow x ON x.id = a.wid AND x.tenant = a.tenant_name JOIN w ON w.id = a.wid`,
      json,
    ),
  decode: (_op, rows) => rows.length > 0,
};

export function createWorkflowStore(
  db: Db,
  commit: GroupCommit,
  settling: Settling,
  clock: DatabaseClock,
  node: string,
): WorkflowStore {
  const [goesOn, whole] = [advanceKind(node, false), advanceKind(node, true)];
  const kindOf = (advance: Advance) => (isWhole(advance) ? whole : goesOn);
  const rowOf = gather<string, DbWorkflow | undefined>(async (uuids) => {
    const { rows } = await db.query<DbWorkflow>(
      sql('workflow_get', `SELECT ${WORKFLOW_COLUMNS} FROM workflow WHERE id = ANY($1::uuid[])`, uuids),
    );
    const byId = new Map(rows.map((row) => [row.id, row]));
    return (uuid) => byId.get(uuid);
  });

  return {
    nowMs: () => clock.nowMs(),
    ...createWorkflowStarts(db, commit, kindOf, node),
    ...createWorkflowInputs(db),
    ...createWorkflowFigures(db),
    advance: (advance) => commit.run(kindOf(advance), advance),

    async settleDecided(ends, advance) {
      const op: AdvanceOp = { ...advance, settles: ends };
      const settles = ends.map(({ settle }) => settle);
      const [settled, advanced] = await settling.settleWith(settles, { kind: kindOf(advance), op });
      return { settled, advanced };
    },

    async post(id, tenant, eventId, event) {
      const uuid = uuidOf('workflow', id);
      return uuid !== null && commit.run(POSTS, { uuid, tenant, eventId, event });
    },

    async inbox(ids, limit) {
      const { rows } = await db.query<{ workflow_id: string; event_id: string; event: StoredMail }>(
        sql(
          'workflow_inbox',
          `SELECT m.* FROM unnest($1::uuid[]) AS w(id) CROSS JOIN LATERAL (
             SELECT workflow_id, event_id, event, seq FROM workflow_inbox WHERE workflow_id = w.id AND NOT consumed ORDER BY seq LIMIT $2) m
           ORDER BY m.seq`,
          ids.map(toUuid),
          limit,
        ),
      );
      return rows.map((row) => mailOf(row.workflow_id, row.event_id, row.event));
    },

    async withMail(limit) {
      const { rows } = await db.query<{ id: string }>(
        sql(
          'workflow_with_mail',
          `SELECT id FROM workflow w WHERE owner_node = $1 AND status IN ('running', 'paused')
             AND EXISTS (SELECT 1 FROM workflow_inbox i WHERE i.workflow_id = w.id AND NOT consumed)
           ORDER BY id LIMIT $2`,
          node,
          limit,
        ),
      );
      return rows.map(({ id }) => fromUuid('workflow', id));
    },

    async adopt(limit) {
      const { rows } = await db.query<DbWorkflow>(
        sql(
          'workflow_adopt',
          `WITH me AS MATERIALIZED (SELECT id FROM node WHERE id = $1 AND lease_until > clock_timestamp() AND swept_at IS NULL
             AND NOT draining FOR KEY SHARE),
           pick AS MATERIALIZED (SELECT w.id AS wid FROM workflow w CROSS JOIN me WHERE w.status IN ('running', 'paused') AND w.owner_node IS NULL
             ORDER BY w.id LIMIT $2 FOR UPDATE OF w SKIP LOCKED)
           UPDATE workflow w SET owner_node = $1, version = version + 1 FROM pick WHERE w.id = pick.wid RETURNING ${WORKFLOW_COLUMNS}`,
          node,
          limit,
        ),
      );
      return rows.map(workflowOf);
    },

    async owned() {
      const { rows } = await db.query<DbWorkflow>(
        sql('workflow_owned', `SELECT ${WORKFLOW_COLUMNS} FROM workflow WHERE owner_node = $1 ORDER BY id`, node),
      );
      return rows.map(workflowOf);
    },

    async load(id) {
      const uuid = toUuid(id);
      // One transaction, so that the journal is the one that belongs to the row.
      const [rows, snapshots, journal] = await db.batch([
        sql('workflow_load', `SELECT ${WORKFLOW_COLUMNS}, recorded FROM workflow WHERE id = $1 FOR SHARE`, uuid),
        sql('workflow_load_snapshot', 'SELECT journal_seq, state FROM workflow_snapshot WHERE workflow_id = $1', uuid),
        sql(
          'workflow_load_journal',
          `SELECT event FROM workflow_journal WHERE workflow_id = $1
             AND seq > coalesce((SELECT journal_seq FROM workflow_snapshot WHERE workflow_id = $1), 0) ORDER BY seq`,
          uuid,
        ),
      ]);
      const row = rows?.rows[0] as (DbWorkflow & { recorded: Recorded | null }) | undefined;
      if (!row) return null;
      return {
        row: workflowOf(row),
        recorded: row.recorded,
        snapshot: (snapshots?.rows[0] as { state: unknown } | undefined)?.state ?? null,
        journal: ((journal?.rows ?? []) as { event: CoordinationEvent }[]).map(({ event }) => event),
      };
    },

    async get(id, tenant) {
      const uuid = uuidOf('workflow', id);
      if (!uuid) return null;
      const row = await rowOf(uuid);
      return row?.tenant === tenant ? { ...workflowOf(row), metrics: row.metrics } : null;
    },

    async brief(id, tenant) {
      const uuid = uuidOf('workflow', id);
      if (!uuid) return null;
      const { rows } = await db.query<DbWorkflow>(
        sql('workflow_brief', `SELECT ${BRIEF_COLUMNS} FROM workflow WHERE id = $1 AND tenant = $2`, uuid, tenant),
      );
      return rows[0] ? workflowOf(rows[0]) : null;
    },

    async list(filter) {
      const limit = clampLimit(filter.limit);
      const { rows } = await db.query<DbWorkflow>(
        sql(
          'workflow_list',
          `SELECT ${WORKFLOW_COLUMNS} FROM workflow WHERE tenant = $1 AND ($3::text IS NULL OR status = $3)
             AND ($4::text IS NULL OR pattern = $4) AND ($5::uuid IS NULL OR id < $5) AND parent_id IS NOT DISTINCT FROM $6 ORDER BY id DESC LIMIT $2`,
          filter.tenant,
          limit + 1,
          filter.status ?? null,
          filter.pattern ?? null,
          readCursor(filter.cursor),
          filter.parent === undefined ? null : toUuid(filter.parent),
        ),
      );
      return page(rows, limit, workflowOf);
    },

    async decisions(id, limit, after) {
      const { rows } = await db.query<{ seq: number; at: string; decision: Decision }>(
        sql(
          'workflow_decisions',
          `SELECT j.decision_seq - jsonb_array_length(j.decisions) + d.n::int AS seq, j.at, d.decision FROM workflow_journal j
           CROSS JOIN LATERAL jsonb_array_elements(j.decisions) WITH ORDINALITY AS d(decision, n)
           WHERE j.workflow_id = $1 AND j.decisions IS NOT NULL AND j.decision_seq > $3
             AND j.decision_seq - jsonb_array_length(j.decisions) + d.n > $3 ORDER BY j.seq, d.n LIMIT $2`,
          toUuid(id),
          clampLimit(limit),
          after,
        ),
      );
      return rows.map(({ seq, at, decision }) => ({ ...decision, seq, at }));
    },

    async journal(id) {
      const { rows } = await db.query<{ event: CoordinationEvent }>(
        sql(
          'workflow_journal',
          `SELECT event FROM workflow_journal WHERE workflow_id = $1 ORDER BY seq LIMIT ${MAX_HISTORY}`,
          toUuid(id),
        ),
      );
      return rows.map(({ event }) => event);
    },

    async fireTimers() {
      // The due time is part of the event id: a key may be set again after it has fired.
      const { rows } = await db.query<{ id: string }>(
        sql(
          'workflow_fire_timers',
          `WITH due AS MATERIALIZED (SELECT workflow_id, key FROM workflow_timer WHERE due_at <= clock_timestamp()
             ORDER BY due_at LIMIT ${TIMER_BATCH} FOR UPDATE SKIP LOCKED),
           fired AS (DELETE FROM workflow_timer t USING due WHERE t.workflow_id = due.workflow_id AND t.key = due.key
             RETURNING t.workflow_id, t.key, t.due_at, t.deadline),
           mail AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
             SELECT workflow_id, 'timer/' || key || '/' || extract(epoch FROM due_at), CASE WHEN deadline THEN '{"type": "deadline"}'::jsonb
               ELSE jsonb_build_object('type', 'timer', 'key', key) END
               || jsonb_build_object('atMs', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint)
             FROM fired f WHERE EXISTS (SELECT 1 FROM workflow w WHERE w.id = f.workflow_id AND w.ended_at IS NULL)
             ORDER BY due_at ON CONFLICT DO NOTHING RETURNING workflow_id)
           SELECT DISTINCT workflow_id AS id FROM mail`,
        ),
      );
      return rows.map(({ id }) => fromUuid('workflow', id));
    },
  };
}
