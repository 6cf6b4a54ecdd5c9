// Looking back over many rows: the log of all streams by time, what was open at a moment, journals, tries of a run. Reads only.

import { RuntimeError, toWireError, type WireError } from '../contracts/errors.ts';
import type { EventType } from '../contracts/event.ts';
import type { HistoryKind, JournalEntry, StepAttempts } from '../contracts/history.ts';
import { fromUuid, isUuid, toUuid, type WorkflowId } from '../contracts/ids.ts';
import type { Db } from '../contracts/store.ts';
import type { HistoryStore } from '../contracts/store-history.ts';
import type { AttemptView, TaskState } from '../contracts/task.ts';
import { clampLimit, idOrNull, page, readCursor, sql, withTypeIds } from './sql.ts';

/** The first id that a time could have (UUIDv7): ids sort by the time they were made. */
const FIRST_ID = (at: string): string =>
  `(rpad(lpad(to_hex(greatest(0, floor(extract(epoch FROM ${at}) * 1000)::bigint - 1000)), 12, '0'), 32, '0'))::uuid`;
const MICROS = (at: string): string => `(extract(epoch FROM ${at}) * 1000000)::bigint`;

interface EventRow {
  readonly stream: string;
  readonly seq: number;
  readonly kind: HistoryKind;
  readonly tenant: string;
  readonly type: EventType;
  readonly at: string;
  readonly data: Record<string, unknown>;
  readonly us: number;
}

/**
 * The first event of a task, an agent or a run is its row, found by id, which tells when it was made by the clock of its node: a second of
 * difference is allowed for at the beginning, none is needed at the end, where only later ids are left out.
 */
const LOG = `SELECT stream, seq, kind, tenant, type, at, data, ${MICROS('at')} AS us FROM event_log
    WHERE tenant = $1 AND at >= $2 AND at < $3 AND (seq > 1 OR kind = 'node' OR stream >= ${FIRST_ID('$2::timestamptz')})`;

const EVENTS = `SELECT * FROM (${LOG}) log
  WHERE ($4::text IS NULL OR kind = $4) AND ($5::text IS NULL OR type = $5)
    AND ($6::bigint IS NULL OR (us, stream, seq) < ($6::bigint, $7::uuid, $8::int))
  ORDER BY us DESC, stream DESC, seq DESC LIMIT $9`;

const COUNTS = `SELECT floor((us - ${MICROS('$2::timestamptz')})::float8 / 1000 / $4::float8)::int AS bucket, type, count(*)::int AS count
  FROM (${LOG}) log GROUP BY 1, 2 ORDER BY 1, 2`;

// A row that came later has a later id, so that the newest are not looked at; what ended before is known by its index.
const OPEN_AT = `SELECT
  (SELECT count(*) FROM task WHERE tenant = $1 AND created_at <= $2 AND (ended_at IS NULL OR ended_at > $2)
    AND (started_at IS NULL OR started_at > $2))::int AS queued,
  (SELECT count(*) FROM task WHERE tenant = $1 AND started_at <= $2 AND (ended_at IS NULL OR ended_at > $2))::int AS started,
  (SELECT count(*) FROM workflow WHERE tenant = $1 AND created_at <= $2 AND (ended_at IS NULL OR ended_at > $2)
    AND (started_at IS NULL OR started_at > $2))::int AS created,
  (SELECT count(*) FROM workflow WHERE tenant = $1 AND started_at <= $2 AND (ended_at IS NULL OR ended_at > $2))::int AS running,
  (SELECT count(*) FROM agent WHERE tenant = $1 AND created_at <= $2 AND (ended_at IS NULL OR ended_at > $2))::int AS present`;

const JOURNAL = `SELECT seq, at, event, (SELECT journal_seq FROM workflow WHERE id = $1) AS total FROM workflow_journal
  WHERE workflow_id = $1 AND seq > $2 ORDER BY seq LIMIT $3`;

// Tries that have ended, and of a task that runs the one under way.
const ATTEMPTS = `WITH t AS MATERIALIZED (SELECT * FROM task WHERE workflow_id = $1 AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3),
tries AS (SELECT a.task_id, a.fence, a.attempt, a.node, a.agent_id, a.thread, a.started_at, a.ended_at, a.outcome, a.error
    FROM t JOIN attempt_log a ON a.task_id = t.id
  UNION ALL SELECT id, fence, attempt, owner_node, agent_id, NULL, claimed_at, NULL, 'running', NULL FROM t WHERE state = 'running')
SELECT t.id, t.step_key, t.round, t.capability, t.state, t.created_at, t.ended_at,
  (SELECT jsonb_agg(jsonb_build_object('attempt', attempt, 'node', node, 'agent', agent_id, 'thread', thread, 'outcome', outcome,
      'error', error, 'startedUs', ${MICROS('coalesce(started_at, ended_at)')}, 'endedUs', ${MICROS('ended_at')}) ORDER BY fence)
    FROM tries WHERE tries.task_id = t.id) AS tries
FROM t ORDER BY t.id`;

interface Try {
  readonly attempt: number;
  readonly node: string;
  readonly agent: string | null;
  readonly thread: number | null;
  readonly outcome: AttemptView['outcome'];
  readonly error: WireError | null;
  readonly startedUs: number;
  readonly endedUs: number | null;
}

interface TriedRow {
  readonly id: string;
  readonly step_key: string | null;
  readonly round: number | null;
  readonly capability: string;
  readonly state: TaskState;
  readonly created_at: string;
  readonly ended_at: string | null;
  readonly tries: readonly Try[] | null;
}

export function createHistoryStore(db: Db): HistoryStore {
  return {
    async events({ tenant, from, to, kind, type, limit, cursor }) {
      const most = clampLimit(limit);
      const [us, stream, seq] = readPlace(cursor);
      const { rows } = await db.query<EventRow>(
        sql('history_events', EVENTS, tenant, from, to, kind ?? null, type ?? null, us, stream, seq, most + 1),
      );
      const shown = rows.slice(0, most);
      const last = shown.at(-1);
      return {
        items: shown.map((row) => ({
          stream: fromUuid(row.kind, row.stream),
          seq: row.seq,
          type: row.type,
          tenant: row.tenant,
          at: row.at,
          data: withTypeIds(row.data),
        })),
        nextCursor: rows.length > most && last ? placeOf(last) : null,
      };
    },

    async counts({ tenant, from, to, bucketMs }) {
      const { rows } = await db.query<{ bucket: number; type: string; count: number }>(
        sql('history_counts', COUNTS, tenant, from, to, bucketMs),
      );
      return rows;
    },

    async openAt(tenant, at) {
      const { rows } = await db.query<Record<'queued' | 'started' | 'created' | 'running' | 'present', number>>(
        sql('history_open_at', OPEN_AT, tenant, at),
      );
      const { queued = 0, started = 0, created = 0, running = 0, present = 0 } = rows[0] ?? {};
      return { tasks: { queued, started }, workflows: { created, running }, agents: { present } };
    },

    async journal(id: WorkflowId, after, limit) {
      const { rows } = await db.query<JournalEntry & { readonly total: number }>(
        sql('history_journal', JOURNAL, toUuid(id), after, limit),
      );
      const items = rows.map(({ seq, at, event }) => ({ seq, at, event }));
      return { items, total: rows[0]?.total ?? after };
    },

    async attempts(id, { limit, cursor }) {
      const most = clampLimit(limit);
      const { rows } = await db.query<TriedRow>(
        sql('history_attempts', ATTEMPTS, toUuid(id), readCursor(cursor), most + 1),
      );
      return page(rows, most, triedOf);
    },
  };
}

function triedOf(row: TriedRow): StepAttempts {
  return {
    taskId: fromUuid('task', row.id),
    step: row.step_key ?? '',
    round: row.round ?? 0,
    capability: row.capability,
    state: row.state,
    createdAt: row.created_at,
    endedAt: row.ended_at,
    attempts: (row.tries ?? []).map((one) => ({
      attempt: one.attempt,
      node: fromUuid('node', one.node),
      agentId: idOrNull('agent', one.agent),
      thread: one.thread,
      startedAt: new Date(one.startedUs / 1_000).toISOString(),
      endedAt: one.endedUs === null ? null : new Date(one.endedUs / 1_000).toISOString(),
      outcome: one.outcome,
      error: one.error && toWireError(one.error),
    })),
  };
}

/** Opaque place in the log: time in microseconds, stream, sequence. */
const placeOf = ({ us, stream, seq }: EventRow): string => Buffer.from(`${us}:${stream}:${seq}`).toString('base64url');

/** @throws RuntimeError `invalid_input` for a text that {@link placeOf} did not make. */
function readPlace(cursor: string | undefined): [number | null, string | null, number | null] {
  if (cursor === undefined) return [null, null, null];
  const found = /^(\d{1,16}):([0-9a-f-]{36}):(\d{1,9})$/.exec(Buffer.from(cursor, 'base64url').toString());
  if (cursor.length > 100 || !found || !isUuid(found[2] ?? ''))
    throw new RuntimeError('invalid_input', 'the cursor is not one of this log', { details: { field: 'cursor' } });
  return [Number(found[1]), found[2] ?? '', Number(found[3])];
}
