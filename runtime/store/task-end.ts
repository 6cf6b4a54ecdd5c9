// Ends of tasks that no attempt decides: cancel, queue timeout and deadline, promotion of what waited for its time, redrive.

import type { WireError } from '../contracts/errors.ts';
import { wireError } from '../contracts/errors.ts';
import type { EventType, RuntimeEvent } from '../contracts/event.ts';
import { fromUuid, type NodeId, type TaskId, toUuid } from '../contracts/ids.ts';
import type { CancelOutcome, Db, TaskStore } from '../contracts/store.ts';
import { type CancelReport, isTerminalTask, type TaskState } from '../contracts/task.ts';
import { few, sql, uuidOf } from './sql.ts';
import { OPEN_TASK } from './task-rows.ts';
import { INBOX_OF_STEPS } from './task-settle.ts';
import { SHARED_SLOT, tally } from './task-tally.ts';
import { EXPIRE_INPUTS } from './task-wait.ts';

const PROMOTE_LIMIT = 2_000;
const EXPIRE_LIMIT = 500;

/**
 * Ends the open tasks that relation `target` (id, state, error, at, and what they were: was, was_node, was_fence) names:
 * the fence grows, the attempt in flight gets its history row, the stream its event, the workflow its mail.
 */
export const END_TASKS = `ended AS (UPDATE task t SET state = g.state, fence = t.fence + 1, owner_node = NULL, ended_at = g.at,
    error = g.error, event_seq = t.event_seq + 1,
    cancel_report = CASE WHEN g.state = 'cancelled' AND g.was <> 'running'
      THEN jsonb_build_object('outcome', 'before_start', 'afterMs', 0, 'collateral', '[]'::jsonb) END
  FROM target g WHERE t.id = g.id AND ${few('g.was_fence')}
  RETURNING g.*, t.fence, t.event_seq, t.tenant, t.workflow_id, t.step_key, t.round, t.created_at, t.claimed_at, t.started_at,
    t.attempt AS attempts, t.last_agent AS agent_id, NULL::jsonb AS result, t.usage),
ended_attempts AS (INSERT INTO attempt (task_id, fence, attempt, node, agent_id, started_at, ended_at, outcome, error, run_ms)
  SELECT id, was_fence, attempts, was_node, agent_id, claimed_at, at, state, error, extract(epoch FROM at - claimed_at) * 1000
  FROM ended WHERE was = 'running'),
ended_events AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'task', tenant, 'task.' || state, at, jsonb_build_object('attempt', attempts, 'error', error) FROM ended),
ended_tally AS (${tally('ended', SHARED_SLOT)}),
ended_mail AS (${INBOX_OF_STEPS('ended')})`;

export const ENDED_COLUMNS = 'id, state, was, was_node, was_fence, tenant, event_seq, attempts, error, at';

export interface EndedRow {
  readonly id: string;
  readonly state: TaskState;
  readonly was: TaskState;
  readonly was_node: string | null;
  readonly was_fence: number;
  readonly tenant: string;
  readonly event_seq: number;
  readonly attempts: number;
  readonly error: WireError;
  readonly at: string;
}

export function endedEvent(row: EndedRow): RuntimeEvent {
  return {
    stream: fromUuid('task', row.id),
    seq: row.event_seq,
    type: `task.${row.state}` as EventType,
    tenant: row.tenant,
    at: row.at,
    data: { attempt: row.attempts, error: row.error },
  };
}

/** The claims among ended tasks whose code still has to be stopped. */
export function runningOf(rows: readonly EndedRow[]): { taskId: TaskId; fence: number; node: NodeId }[] {
  return rows.flatMap((row) =>
    row.was_node
      ? [{ taskId: fromUuid('task', row.id), fence: row.was_fence, node: fromUuid('node', row.was_node) }]
      : [],
  );
}

const WAS = 'state AS was, owner_node AS was_node, fence AS was_fence';

const CANCEL = `WITH target AS MATERIALIZED (
  SELECT id, 'cancelled' AS state, $3::jsonb AS error, clock_timestamp() AS at, ${WAS}
  FROM task WHERE id = $1 AND tenant = $2 AND state IN ${OPEN_TASK} FOR UPDATE), ${END_TASKS}
SELECT ${ENDED_COLUMNS} FROM ended`;

const EXPIRE = `WITH due AS MATERIALIZED (
  SELECT c.id, clock_timestamp() AS at, l.* FROM (
    (SELECT id FROM task WHERE deadline_at IS NOT NULL AND deadline_at <= clock_timestamp() AND state IN ${OPEN_TASK}
      ORDER BY deadline_at LIMIT ${EXPIRE_LIMIT})
    UNION
    (SELECT id FROM task WHERE queue_until IS NOT NULL AND started_at IS NULL AND state IN ('scheduled', 'queued')
      AND queue_until <= clock_timestamp() ORDER BY queue_until LIMIT ${EXPIRE_LIMIT})) c
  CROSS JOIN LATERAL (SELECT ${WAS}, coalesce(deadline_at <= clock_timestamp(), false) AS late FROM task
    WHERE id = c.id AND state IN ${OPEN_TASK} FOR UPDATE SKIP LOCKED) l),
target AS MATERIALIZED (SELECT id, 'timed_out' AS state, CASE WHEN late THEN $1::jsonb ELSE $2::jsonb END AS error, at, was, was_node, was_fence
  FROM due WHERE late OR was IN ('scheduled', 'queued')), ${END_TASKS}
SELECT ${ENDED_COLUMNS} FROM ended`;

export function createTaskEnds(
  db: Db,
): Pick<TaskStore, 'cancel' | 'recordCancel' | 'promote' | 'expire' | 'redrive' | 'lostClaims'> {
  return {
    async cancel(id, tenant): Promise<CancelOutcome> {
      const uuid = uuidOf('task', id);
      if (!uuid) return { outcome: 'not_found' };
      const error = wireError('task_cancelled', 'the task was cancelled');
      const { rows } = await db.query<EndedRow>(sql('task_cancel', CANCEL, uuid, tenant, JSON.stringify(error)));
      const [row] = rows;
      if (!row) return explainCancel(db, id, uuid, tenant);
      const events = [endedEvent(row)];
      return row.was === 'running' && row.was_node
        ? {
            outcome: 'cancelled',
            wasRunning: true,
            node: fromUuid('node', row.was_node),
            fence: row.was_fence,
            events,
          }
        : { outcome: 'cancelled', wasRunning: false, events };
    },

    async recordCancel(report) {
      const { id, ...rest } = report;
      await db.query(
        sql(
          'task_record_cancel',
          `UPDATE task SET cancel_report = $2::jsonb WHERE id = $1 AND state = 'cancelled'`,
          toUuid(id),
          JSON.stringify(rest),
        ),
      );
    },

    async promote() {
      const [moved, expired, next] = await db.batch([
        sql(
          'task_promote',
          `WITH due AS MATERIALIZED (SELECT id, 1 AS one FROM task WHERE state = 'scheduled' AND run_at <= clock_timestamp()
             ORDER BY run_at LIMIT ${PROMOTE_LIMIT} FOR UPDATE SKIP LOCKED)
           UPDATE task t SET state = 'queued' FROM due WHERE t.id = due.id AND ${few('due.one')} RETURNING t.queue`,
        ),
        sql('task_expire_inputs', EXPIRE_INPUTS),
        sql(
          'task_next_due',
          `SELECT (extract(epoch FROM least((SELECT min(run_at) FROM task WHERE state = 'scheduled'),
             (SELECT min(run_at) FROM task WHERE state = 'waiting')) - clock_timestamp()) * 1000)::float8 AS next`,
        ),
      ]);
      const queues = [...(moved?.rows ?? []), ...(expired?.rows ?? [])] as { queue: string }[];
      const wait = (next?.rows[0] as { next: number | null } | undefined)?.next ?? null;
      return {
        promoted: queues.length,
        nextInMs: wait === null ? null : Math.max(0, Math.ceil(wait)),
        queues: [...new Set(queues.map(({ queue }) => queue))],
      };
    },

    async expire() {
      const late = wireError('deadline_exceeded', 'the task did not end before its deadline');
      const unstarted = wireError('queue_timeout', 'the task was not started in time');
      const { rows } = await db.query<EndedRow>(
        sql('task_expire', EXPIRE, JSON.stringify(late), JSON.stringify(unstarted)),
      );
      return { aborted: runningOf(rows), events: rows.map(endedEvent) };
    },

    async redrive(id, tenant) {
      const uuid = uuidOf('task', id);
      if (!uuid) return false;
      const { rows } = await db.query(
        sql(
          'task_redrive',
          `WITH back AS (UPDATE task t SET state = 'queued', attempt = 0, crash_count = 0, error = NULL, ended_at = NULL,
               run_at = clock_timestamp(), event_seq = event_seq + 1, queue_until = NULL,
               deadline_at = clock_timestamp() + (deadline_at - created_at)
             WHERE id = $1 AND tenant = $2 AND state = 'dead' AND (workflow_id IS NULL
               OR EXISTS (SELECT 1 FROM workflow w WHERE w.id = t.workflow_id AND w.status = 'running'))
             RETURNING id, event_seq, tenant),
           ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
             SELECT id, event_seq, 'task', tenant, 'task.retrying', clock_timestamp(), '{"redriven": true, "delayMs": 0}' FROM back),
           reopened AS (SELECT tenant, 'dead' AS state FROM back),
           counted AS (${tally('reopened', SHARED_SLOT, '-')})
           SELECT id FROM back`,
          uuid,
          tenant,
        ),
      );
      return rows.length > 0;
    },

    async lostClaims(claims) {
      if (claims.length === 0) return [];
      const asked = claims.map(({ taskId, fence }) => ({ id: toUuid(taskId), fence }));
      const { rows } = await db.query<{ id: string }>(
        sql(
          'task_lost_claims',
          `SELECT r.id FROM jsonb_to_recordset($1::jsonb) AS r(id uuid, fence bigint)
           WHERE NOT EXISTS (SELECT 1 FROM task t WHERE t.id = r.id AND t.fence = r.fence AND t.state = 'running')`,
          JSON.stringify(asked),
        ),
      );
      return rows.map(({ id }) => fromUuid('task', id));
    },
  };
}

async function explainCancel(db: Db, id: TaskId, uuid: string, tenant: string): Promise<CancelOutcome> {
  const { rows } = await db.query<{ state: TaskState; report: Omit<CancelReport, 'id'> | null; ago: number }>(
    sql(
      'task_cancel_state',
      `SELECT state, cancel_report AS report, (extract(epoch FROM clock_timestamp() - ended_at) * 1000)::float8 AS ago
       FROM task WHERE id = $1 AND tenant = $2`,
      uuid,
      tenant,
    ),
  );
  const [row] = rows;
  if (!row) return { outcome: 'not_found' };
  if (row.state !== 'cancelled') {
    // Opened again between the two statements (redrive): as good as not cancelled.
    return isTerminalTask(row.state) ? { outcome: 'terminal', state: row.state } : { outcome: 'not_found' };
  }
  const report = row.report ?? { outcome: 'pending' as const, afterMs: Math.round(row.ago), collateral: [] };
  return { outcome: 'repeated', report: { id, ...report } };
}
