// Advance: one decision of a coordinator and everything it brings about, for all coordinators of the node in one statement.
// The workflow row's version is the fence; what it does not admit is not written.

import { RuntimeError, wireError } from '../contracts/errors.ts';
import type { RuntimeEvent } from '../contracts/event.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Advance, AdvanceAnswer, SettledStep } from '../contracts/store.ts';
import type { OpKind } from './group-commit.ts';
import { few, sql } from './sql.ts';
import { END_TASKS, type EndedRow, endedEvent, runningOf } from './task-end.ts';
import {
  acceptedEvent,
  claimedAtInsert,
  DUE,
  encodeNewTask,
  type InsertedRow,
  insertTasks,
  NEW_TASK_RECORD,
  OPEN_TASK,
  PRIORITY_STEP,
  takes,
} from './task-rows.ts';

import { childRow, WORKFLOW_FAMILY } from './workflow-family.ts';

const CANCELLED = JSON.stringify(wireError('task_cancelled', 'the workflow no longer needs this step')).replaceAll(
  "'",
  "''",
);

const FAMILY = `${WORKFLOW_FAMILY},
no_timers AS (DELETE FROM workflow_timer t USING ok WHERE ok.ending IS NOT NULL AND t.workflow_id = ok.wid),
`;

const WHO_ELSE = `UNION ALL SELECT i, 'ended', NULL, NULL, at, to_jsonb(ended) FROM ended
UNION ALL SELECT i, 'told', NULL, NULL, at, to_jsonb(id) FROM (SELECT i, at, parent_id AS id FROM ok WHERE ending IS NOT NULL AND parent_id IS NOT NULL
  UNION ALL SELECT i, at, id FROM orphans) told`;

const ENDINGS = `,
gone AS MATERIALIZED (SELECT ok.i, t.id, ok.at, t.was, t.was_node, t.was_fence FROM ok CROSS JOIN LATERAL (
  SELECT id, state AS was, owner_node AS was_node, fence AS was_fence FROM task
  WHERE workflow_id = ok.wid AND state IN ${OPEN_TASK} AND (ok.ending IS NOT NULL
    OR EXISTS (SELECT 1 FROM jsonb_to_recordset(ok.cancel) AS c(step text, round int) WHERE c.step = task.step_key AND c.round = task.round))
  ORDER BY id FOR UPDATE) t WHERE ok.ending IS NOT NULL OR jsonb_array_length(ok.cancel) > 0),
target AS MATERIALIZED (SELECT i, id, at, was, was_node, was_fence, 'cancelled' AS state, '${CANCELLED}'::jsonb AS error FROM gone),
${END_TASKS.replace(/,\s*ended_mail AS[\s\S]*$/, '')}`;

/** The ends that a decision of `a` was made on: each was written by a settlement of the same transaction, or refused there. */
const ENDS =
  'jsonb_to_recordset(a.settles) AS e(id uuid, fence bigint, mail_id text, mail jsonb, at int, beside jsonb)';
const SETTLED = 'SELECT 1 FROM task t WHERE t.id = e.id AND t.fence = e.fence AND t.ended_at IS NOT NULL';

/** Two forms: most decisions only go on, and pay nothing for the parts that ending, cancelling, children and questions need. */
const advance = (whole: boolean): string => `WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
me AS MATERIALIZED (SELECT id FROM node WHERE id = $2 AND lease_until > clock_timestamp() AND swept_at IS NULL FOR KEY SHARE),
a AS MATERIALIZED (SELECT a.*, now.at FROM jsonb_to_recordset($1::jsonb) AS a(i int, wid uuid, version bigint, consumed jsonb, journal jsonb,
  snapshot jsonb, schedule jsonb, cancel jsonb, timers jsonb, decisions jsonb, events jsonb, done int, total int, ending jsonb,
  children jsonb, asks jsonb, status text, settles jsonb)
  CROSS JOIN now WHERE ${few('a.i')} ORDER BY a.wid),
ok AS (UPDATE workflow w SET version = w.version + 1, done = a.done, total = a.total,
    journal_seq = w.journal_seq + jsonb_array_length(a.journal),
    decision_seq = w.decision_seq + coalesce(jsonb_array_length(a.decisions), 0), event_seq = w.event_seq + coalesce(jsonb_array_length(a.events), 0),
    status = coalesce(a.ending->>'status', a.status, w.status), stop_reason = a.ending->>'stopReason', output = a.ending->'output',
    error = nullif(a.ending->'error', 'null'), metrics = nullif(a.ending->'metrics', 'null'),
    state_hash = a.ending->>'stateHash',
    ended_at = CASE WHEN a.ending IS NOT NULL THEN a.at END,
    owner_node = CASE WHEN a.ending IS NULL THEN w.owner_node END
  FROM a, me WHERE w.id = a.wid AND w.version = a.version AND w.owner_node IS NOT DISTINCT FROM me.id AND w.status IN ('running', 'paused')
    AND NOT EXISTS (SELECT 1 FROM ${ENDS} WHERE NOT EXISTS (${SETTLED}))
  RETURNING a.*, w.tenant, w.version AS new_version, w.journal_seq, w.decision_seq, w.event_seq, w.root_id, w.depth, w.parent_id,
    w.parent_step, w.parent_round),
missed AS (INSERT INTO workflow_inbox (workflow_id, event_id, event)
  SELECT a.wid, e.mail_id, coalesce(e.mail, a.journal->e.at) || coalesce(e.beside, '{}') FROM a CROSS JOIN LATERAL ${ENDS}
  WHERE NOT EXISTS (SELECT 1 FROM ok WHERE ok.i = a.i) AND EXISTS (${SETTLED}) ON CONFLICT DO NOTHING),
read AS (UPDATE workflow_inbox x SET consumed = true, event = NULL
  FROM (SELECT ok.wid, e.id FROM ok CROSS JOIN LATERAL jsonb_array_elements_text(ok.consumed) AS e(id) WHERE ${few('ok.i')}) c
  WHERE x.workflow_id = c.wid AND x.event_id = c.id),
journal AS (INSERT INTO workflow_journal (workflow_id, seq, at, event, decision_seq, decisions, event_seq, events)
  SELECT ok.wid, ok.journal_seq - jsonb_array_length(ok.journal) + e.n, ok.at, e.event,
    CASE WHEN e.n = 1 THEN ok.decision_seq END, CASE WHEN e.n = 1 THEN ok.decisions END,
    CASE WHEN e.n = 1 THEN ok.event_seq END, CASE WHEN e.n = 1 THEN ok.events END
  FROM ok CROSS JOIN LATERAL jsonb_array_elements(ok.journal) WITH ORDINALITY AS e(event, n)),
snapshot AS (INSERT INTO workflow_snapshot (workflow_id, journal_seq, state)
  SELECT wid, journal_seq, snapshot->'state' FROM ok WHERE snapshot IS NOT NULL
  ON CONFLICT (workflow_id) DO UPDATE SET journal_seq = excluded.journal_seq, state = excluded.state),
timers AS (INSERT INTO workflow_timer (workflow_id, key, due_at)
  SELECT DISTINCT ON (ok.wid, t.key) ok.wid, t.key, ok.at + t."afterMs" * interval '1 millisecond'
  FROM ok CROSS JOIN LATERAL jsonb_to_recordset(ok.timers) AS t(key text, "afterMs" float8) WHERE ok.ending IS NULL
  ON CONFLICT (workflow_id, key) DO UPDATE SET due_at = excluded.due_at),
${whole ? FAMILY : ''}plan AS MATERIALIZED (SELECT ok.i, ok.wid, ok.at, s.task, s.n FROM ok CROSS JOIN LATERAL jsonb_array_elements(ok.schedule) WITH ORDINALITY AS s(task, n)
  WHERE ok.ending IS NULL),
r AS MATERIALIZED (SELECT r.*, plan.i, plan.n, d.due, d.due - r.priority * ${PRIORITY_STEP} + (plan.i + plan.n) * interval '1 microsecond' AS rank, now.at
  FROM plan CROSS JOIN now CROSS JOIN LATERAL jsonb_to_record(plan.task) AS r(${NEW_TASK_RECORD})
  CROSS JOIN LATERAL (SELECT ${DUE} AS due) d WHERE ${few('plan.i')}),
able AS MATERIALIZED (SELECT EXISTS (SELECT 1 FROM r JOIN node ON node.id = $2 AND NOT node.draining WHERE r.claim) AS takes),
due AS MATERIALIZED (${takes('r', 'able.takes')} CROSS JOIN able),
ins AS (${insertTasks('due')})${whole ? ENDINGS : ''}
SELECT i, 'ok' AS what, new_version AS version, event_seq, at, jsonb_build_object('root', root_id, 'depth', depth) AS row FROM ok
${whole ? WHO_ELSE : ''}
UNION ALL SELECT NULL, 'task', NULL, NULL, created_at, jsonb_build_object('id', id, 'state', state, 'run_at', run_at, 'created_at', created_at)
  FROM ins`;

interface AdvanceRow {
  /** Null for inserted tasks: every operation looks for its own among them. */
  readonly i: number | null;
  readonly what: 'ok' | 'ended' | 'task' | 'told';
  readonly version: number;
  readonly event_seq: number;
  readonly at: string;
  readonly row: unknown;
}

/** `settles`: ends of steps that the same transaction settles before, and on which it was decided. */
export type AdvanceOp = Advance & { readonly settles?: readonly SettledStep[] };

/** Timestamps inside jsonb come as PostgreSQL writes them there. */
const iso = (text: string): string => new Date(text).toISOString();

/** Whether a decision needs the whole statement. */
export const isWhole = (op: Advance): boolean =>
  op.end !== undefined || op.cancel.length > 0 || op.children !== undefined || op.asks !== undefined;

export function advanceKind(node: string, whole: boolean): OpKind<AdvanceOp, AdvanceRow, AdvanceAnswer> {
  const name = whole ? 'workflow.advance' : 'workflow.step';
  const text = advance(whole);
  return {
    name,
    encode: (op) => ({
      wid: toUuid(op.workflowId),
      version: op.version,
      consumed: op.consumed,
      journal: op.journal,
      snapshot: op.snapshot === undefined ? undefined : { state: op.snapshot },
      schedule: op.schedule.map((task, at) => encodeNewTask(task, op.claim?.[at])),
      cancel: op.cancel.map(({ step, round }) => ({ step, round })),
      timers: op.timers.map(({ key, afterMs }) => ({ key, afterMs })),
      ...inJournal(op),
      done: op.progress.done,
      total: op.progress.total,
      ending: op.end,
      children: op.children?.map((child) => ({ ...child, id: toUuid(child.id), spec: child.spec })),
      asks: op.asks,
      status: op.status,
      ...(op.settles ? { settles: op.settles.map((end) => endOf(op, end)) } : {}),
    }),
    statement: (json) => sql(whole ? 'workflow_advance' : 'workflow_step', text, json, node),
    decode(op, rows, tasks) {
      const ok = rows.find(({ what }) => what === 'ok');
      if (!ok) return { outcome: 'conflict' };
      const ended = rows.filter(({ what }) => what === 'ended').map(({ row, at }) => ({ ...(row as EndedRow), at }));
      const inserted = insertedOf(tasks);
      const accepted = op.schedule.flatMap((task) => {
        const row = inserted.get(toUuid(task.id));
        return row ? [acceptedEvent(task, { ...row, run_at: iso(row.run_at), created_at: iso(row.created_at) })] : [];
      });
      const first = ok.event_seq - op.events.length + 1;
      const own = op.events.map(
        ({ type, data }, at): RuntimeEvent => ({
          stream: op.workflowId,
          seq: first + at,
          type,
          tenant: op.tenant,
          at: ok.at,
          data,
        }),
      );
      return {
        outcome: 'committed',
        version: ok.version,
        cancelledRunning: runningOf(ended),
        claimed: op.schedule.flatMap((task) => {
          const row = inserted.get(toUuid(task.id));
          return row?.state === 'running' ? [claimedAtInsert(task, row)] : [];
        }),
        began: (op.children ?? []).map((child) => childRow(op, child, node, ok)),
        told: rows.filter(({ what }) => what === 'told').map(({ row }) => fromUuid('workflow', String(row))),
        events: [...accepted, ...ended.map(endedEvent), ...own],
      };
    },
  };
}

/** Decisions and events stand in the journal, beside the event that caused them. */
function inJournal({ workflowId, journal, decisions, events }: Advance): object {
  if (journal.length === 0 && decisions.length + events.length > 0)
    throw new RuntimeError('internal', `${workflowId} decides or tells something, but nothing caused it`);
  return {
    ...(decisions.length > 0 ? { decisions } : {}),
    ...(events.length > 0 ? { events: events.map(({ type, data }) => ({ type, data })) } : {}),
  };
}

/** Mail that is in the journal is told by its place there: it may be large. */
function endOf({ journal }: Advance, { settle, mail: { eventId, event, placed } }: SettledStep): object {
  const at = journal.indexOf(event);
  return {
    id: toUuid(settle.taskId),
    fence: settle.fence,
    mail_id: eventId,
    ...(at < 0 ? { mail: event } : { at }),
    ...(placed ? { beside: { placed } } : {}),
  };
}

const indexes = new WeakMap<readonly AdvanceRow[], ReadonlyMap<string, InsertedRow>>();

/** The inserted tasks of a statement by their uuid; one index for all its operations. */
function insertedOf(rows: readonly AdvanceRow[]): ReadonlyMap<string, InsertedRow> {
  const known = indexes.get(rows);
  if (known) return known;
  const index = new Map(rows.map(({ row }) => [(row as InsertedRow).id, row as InsertedRow]));
  indexes.set(rows, index);
  return index;
}
