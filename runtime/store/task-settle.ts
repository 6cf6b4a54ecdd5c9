// Settling: the verdict on an attempt, written under its fence together with everything that follows from it.

import type { WireError } from '../contracts/errors.ts';
import type { EventType, RuntimeEvent } from '../contracts/event.ts';
import { toUuid } from '../contracts/ids.ts';
import type { Committed, Db, SettleAnswer } from '../contracts/store.ts';
import type { SettleTask, TaskState } from '../contracts/task.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { few, sql, withTypeIds } from './sql.ts';
import { handOff, handoffData } from './task-handoff.ts';
import { usageWith } from './task-rows.ts';
import { tally } from './task-tally.ts';
import { putAside, waitingData } from './task-wait.ts';
import { mailOf, type StoredMail } from './workflow-rows.ts';

/** Read by `mailOf`, which takes it off the event. */
const PLACED = ` || CASE WHEN s.placed IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('placed', s.placed) END`;

/** The inbox row of a step's end; `s` carries the settled task, `usage` all that it used. The event id makes it unique per end. */
export const INBOX_OF_STEPS = (
  source: string,
  placed = '',
): string => `INSERT INTO workflow_inbox (workflow_id, event_id, event)
  SELECT s.workflow_id, s.id::text || '/' || s.fence, CASE WHEN s.state = 'completed'
    THEN jsonb_build_object('type', 'step.completed', 'output', s.result)
    ELSE jsonb_build_object('type', 'step.failed', 'state', s.state, 'error', s.error) END
    || jsonb_build_object('atMs', floor(extract(epoch FROM s.at) * 1000)::bigint, 'step', s.step_key, 'round', s.round, 'taskId', s.id,
      'agentId', s.agent_id, 'attempts', s.attempts, 'startedAtMs', floor(extract(epoch FROM s.started_at) * 1000)::bigint,
      'createdAtMs', floor(extract(epoch FROM s.created_at) * 1000)::bigint,
      'lastStartedAtMs', floor(extract(epoch FROM s.claimed_at) * 1000)::bigint)
    || CASE WHEN s.usage IS NULL THEN '{}'::jsonb ELSE jsonb_build_object('usage', s.usage) END${placed}
  FROM ${source} s WHERE s.workflow_id IS NOT NULL AND s.state IN ('completed', 'failed', 'dead', 'cancelled', 'timed_out')
  ON CONFLICT DO NOTHING`;

/** The first attempt completed it: the row of the task says all there is to say of the attempt and of the end (views attempt_log, event_log). */
const CLEAN = (row: string): string => `(${row}.state = 'completed' AND ${row}.fence = 1)`;

// Only a running task has an owner (a CHECK says so). Neither the state nor `=` on the owner is asked for: both would let the planner
// walk an index of all that this node runs, for each row, instead of the key.
// An own node row that was not swept proves that nothing of ours was given away, even when the lease has run out meanwhile:
// the sweeper takes the row FOR UPDATE first, and whoever comes second sees what the first one did.
const SETTLE = `WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
me AS MATERIALIZED (SELECT id FROM node WHERE id = $2 AND swept_at IS NULL FOR KEY SHARE),
r AS MATERIALIZED (SELECT r.*, now.at FROM jsonb_to_recordset($1::jsonb) AS r(i int, id uuid, fence bigint, attempt int, state text,
  result jsonb, error jsonb, delay_ms bigint, uncharge int, crash int, outcome text, agent_id uuid, thread int, run_ms float8,
  snap_agent uuid, snap_epoch bigint, snap jsonb, event text, data jsonb, used jsonb, placed jsonb, decided boolean) CROSS JOIN now WHERE ${few('r.i')} ORDER BY r.id),
ok AS (UPDATE task t SET state = r.state, owner_node = NULL, result = r.result,
    error = CASE WHEN r.state = 'completed' THEN NULL ELSE coalesce(r.error, t.error) END,
    attempt = t.attempt - r.uncharge, crash_count = t.crash_count + r.crash,
    run_at = CASE WHEN r.delay_ms IS NULL THEN t.run_at ELSE r.at + r.delay_ms * interval '1 millisecond' END,
    last_agent = coalesce(r.agent_id, t.last_agent),
    ran_on = CASE WHEN ${CLEAN('r')} THEN $2::uuid END, ran_thread = CASE WHEN ${CLEAN('r')} THEN r.thread END,
    run_ms = CASE WHEN ${CLEAN('r')} THEN r.run_ms END,
    ended_at = CASE WHEN r.delay_ms IS NULL THEN r.at END,
    event_seq = t.event_seq + (r.event IS NOT NULL)::int, usage = ${usageWith('r.used')}
  FROM r, me WHERE t.id = r.id AND t.fence = r.fence AND t.owner_node IS NOT DISTINCT FROM me.id
  RETURNING r.*, t.event_seq, t.tenant, t.workflow_id, t.step_key, t.round, t.created_at, t.claimed_at, t.started_at, t.attempt AS attempts,
    t.usage),
history AS (INSERT INTO attempt (task_id, fence, attempt, node, agent_id, thread, started_at, ended_at, outcome, error, run_ms)
  SELECT id, fence, attempt, $2, agent_id, thread, claimed_at, at, outcome, error, run_ms FROM ok WHERE NOT ${CLEAN('ok')}),
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'task', tenant, event, at, data FROM ok WHERE event IS NOT NULL AND NOT ${CLEAN('ok')}),
inbox AS (${INBOX_OF_STEPS('(SELECT * FROM ok WHERE decided IS NOT TRUE)', PLACED)} RETURNING workflow_id, event_id, event),
counted AS (${tally('ok', '$2::uuid')}),
snap AS (UPDATE agent a SET snapshot = s.snap
  FROM (SELECT DISTINCT ON (snap_agent, snap_epoch) snap_agent, snap_epoch, snap FROM ok WHERE snap_agent IS NOT NULL
    ORDER BY snap_agent, snap_epoch, i DESC) s
  WHERE a.id = s.snap_agent AND a.epoch = s.snap_epoch AND a.owner_node IS NOT DISTINCT FROM $2)
SELECT ok.i, ok.state, ok.tenant, ok.event_seq, ok.at, inbox.workflow_id, inbox.event_id, inbox.event AS mail
FROM ok LEFT JOIN inbox ON inbox.workflow_id = ok.workflow_id AND inbox.event_id = ok.id::text || '/' || ok.fence`;

interface SettledRow {
  readonly i: number;
  readonly state: TaskState;
  readonly tenant: string;
  readonly event_seq: number;
  readonly at: string;
  /** What this end put into the inbox of its run, if it is a step. */
  readonly workflow_id: string | null;
  readonly event_id: string | null;
  readonly mail: StoredMail | null;
}

/** `decided`: the decision on it is in the same commit, so its run gets no mail. */
type SettleOp = SettleTask & { readonly decided?: true };

function plan(op: SettleTask): {
  readonly state: TaskState;
  readonly error: WireError | null;
  readonly event: EventType | null;
  readonly data: Record<string, unknown>;
} {
  const { settlement } = op;
  const base = { attempt: op.attempt, agentId: op.agentId, runMs: op.runMs, ...(op.usage ? { usage: op.usage } : {}) };
  switch (settlement.type) {
    case 'completed':
      return { state: 'completed', error: null, event: 'task.completed', data: base };
    case 'retry':
      return {
        state: settlement.delayMs > 0 ? 'scheduled' : 'queued',
        error: settlement.error,
        // A task that never started is only handed on: no news for its stream.
        event: settlement.charge ? 'task.retrying' : null,
        data: { ...base, delayMs: settlement.delayMs, ...(settlement.error ? { error: settlement.error } : {}) },
      };
    case 'waiting':
      return { state: 'waiting', error: null, event: 'task.waiting', data: waitingData(op, settlement) };
    case 'handed_off':
      return { state: 'queued', error: null, event: 'task.handed_off', data: handoffData(op, settlement) };
    case 'failed':
    case 'dead':
    case 'timed_out':
    case 'cancelled':
      return {
        state: settlement.type,
        error: settlement.error,
        event: `task.${settlement.type}`,
        data: { ...base, error: settlement.error },
      };
  }
}

function settleKind(node: string): OpKind<SettleOp, SettledRow, SettleAnswer> {
  return {
    name: 'settle',
    encode(op) {
      const { state, error, event, data } = plan(op);
      const { settlement, agentSnapshot } = op;
      return {
        id: toUuid(op.taskId),
        fence: op.fence,
        attempt: op.attempt,
        state,
        result: settlement.type === 'completed' ? settlement.result : null,
        error,
        delay_ms: settlement.type === 'retry' ? Math.max(0, Math.round(settlement.delayMs)) : null,
        uncharge: settlement.type === 'retry' && !settlement.charge ? 1 : 0,
        crash: op.crashed ? 1 : 0,
        outcome: op.outcome,
        agent_id: op.agentId && toUuid(op.agentId),
        thread: op.thread,
        run_ms: op.runMs,
        ...(agentSnapshot
          ? { snap_agent: toUuid(agentSnapshot.id), snap_epoch: agentSnapshot.epoch, snap: agentSnapshot.snapshot }
          : {}),
        event,
        // The row of a clean end says it all.
        ...(state === 'completed' && op.fence === 1 ? {} : { data }),
        ...(op.usage ? { used: op.usage } : {}),
        ...(op.decided ? { decided: true } : op.placed ? { placed: op.placed } : {}),
      };
    },
    statement: (json) => sql('task_settle', SETTLE, json, node),
    decode(op, [row]) {
      if (!row) return { outcome: 'fenced' };
      const { event, data } = plan(op);
      const events: RuntimeEvent[] = event
        ? [{ stream: op.taskId, seq: row.event_seq, type: event, tenant: row.tenant, at: row.at, data }]
        : [];
      const { workflow_id: run, event_id: eventId, mail } = row;
      return {
        outcome: 'committed',
        state: row.state,
        events,
        ...(run && eventId && mail ? { mail: mailOf(run, eventId, mail) } : {}),
      };
    },
  };
}

/** How many settlements of unknown outcome are remembered; more than ever run at once on a node. */
const MAX_UNKNOWN = 10_000;

/** Another operation that the transaction of a settlement carries, or none of both. */
export interface Companion<Op, Row extends object, Out> {
  readonly kind: OpKind<Op, Row, Out>;
  readonly op: Op;
}

export interface Settling {
  settle(op: SettleTask): Promise<SettleAnswer>;
  /** The first try of settlements on which one decision is made that goes with them; after a failure each is settled alone. */
  settleWith<Op, Row extends object, Out>(
    ops: readonly SettleTask[],
    companion: Companion<Op, Row, Out>,
  ): Promise<readonly [readonly SettleAnswer[], Out]>;
}

/**
 * Settles; when the connection was lost during an earlier try of the same settlement, a refusal may be our own success:
 * then the row itself is asked.
 */
export function createSettling(db: Db, commit: GroupCommit, node: string): Settling {
  const kind = settleKind(node);
  const unknown = new Set<string>();
  const keyOf = ({ taskId, fence }: SettleTask): string => `${taskId}/${fence}`;

  async function remembered<T>(ops: readonly SettleTask[], settling: Promise<T>): Promise<T> {
    try {
      return await settling;
    } catch (error) {
      const away = (error as { code?: unknown }).code === 'store_unavailable';
      if (away) for (const op of ops) if (unknown.size < MAX_UNKNOWN) unknown.add(keyOf(op));
      throw error;
    }
  }

  async function settle(op: SettleTask): Promise<SettleAnswer> {
    const { settlement } = op;
    const result = await (settlement.type === 'handed_off'
      ? handOff(db, node, op, settlement)
      : settlement.type === 'waiting'
        ? putAside(db, node, op, settlement)
        : commit.run(kind, op));
    const recorded = result.outcome === 'fenced' && unknown.has(keyOf(op)) ? await readSettled(db, node, op) : null;
    unknown.delete(keyOf(op));
    return recorded ?? result;
  }

  return {
    settle: (op) => remembered([op], settle(op)),
    settleWith(ops, companion) {
      const decided = ops.map((op) => ({ ...op, decided: true as const }));
      return remembered(ops, commit.runWith(kind, decided, companion.kind, companion.op));
    },
  };
}

async function readSettled(db: Db, node: string, op: SettleTask): Promise<(SettleAnswer & Committed) | null> {
  const { rows } = await db.query<{
    state: TaskState;
    tenant: string;
    seq: number | null;
    type: EventType | null;
    at: string | null;
    data: Record<string, unknown>;
  }>(
    sql(
      'task_read_settled',
      `SELECT t.state, t.tenant, e.seq, e.type, e.at, e.data FROM task t
       LEFT JOIN event_log e ON e.stream = t.id AND e.seq = t.event_seq AND e.seq > 1
       WHERE t.id = $1 AND t.fence = $2 AND t.state <> 'running'
         AND EXISTS (SELECT 1 FROM attempt_log a WHERE a.task_id = t.id AND a.fence = $2 AND a.node = $3 AND a.outcome = $4)`,
      toUuid(op.taskId),
      op.fence,
      node,
      op.outcome,
    ),
  );
  const [row] = rows;
  if (!row) return null;
  const events =
    row.type && row.seq !== null && row.at
      ? [
          {
            stream: op.taskId,
            seq: row.seq,
            type: row.type,
            tenant: row.tenant,
            at: row.at,
            data: withTypeIds(row.data),
          },
        ]
      : [];
  return { outcome: 'committed', state: row.state, events };
}
