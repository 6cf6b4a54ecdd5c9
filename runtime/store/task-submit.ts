// Accepting tasks: one insert for all that wait, with idempotency and dedupe keys, and the lease when nothing older waits.

import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Db, NewTask, SubmitOutcome } from '../contracts/store.ts';
import type { TaskView } from '../contracts/task.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { few, sql } from './sql.ts';
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
  TASK_COLUMNS,
  type TaskRow,
  takes,
  taskView,
  viewOfNew,
} from './task-rows.ts';

const SUBMIT = `WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
r AS MATERIALIZED (
  SELECT r.*, now.at, d.due, d.due - r.priority * ${PRIORITY_STEP} + r.i * interval '1 microsecond' AS rank
  FROM jsonb_to_recordset($1::jsonb) AS r(i int, ${NEW_TASK_RECORD}) CROSS JOIN now
  CROSS JOIN LATERAL (SELECT ${DUE} AS due) d WHERE ${few('r.i')}),
keyed AS (INSERT INTO idempotency (tenant, kind, key, body_hash, target)
  SELECT DISTINCT ON (tenant, idem_key) tenant, 'task', idem_key, idem_hash, id FROM r WHERE idem_key IS NOT NULL ORDER BY tenant, idem_key, i
  ON CONFLICT DO NOTHING RETURNING target),
me AS MATERIALIZED (SELECT id FROM node WHERE id = $2 AND lease_until > clock_timestamp() AND swept_at IS NULL AND NOT draining
  AND EXISTS (SELECT 1 FROM r WHERE claim) FOR KEY SHARE),
fresh AS MATERIALIZED (${takes('r', 'EXISTS (SELECT 1 FROM me)', 's.idem_key IS NULL OR s.id IN (SELECT target FROM keyed)')}),
ins AS (${insertTasks('fresh')})
SELECT id, state, run_at, created_at FROM ins`;

interface SubmitOp {
  readonly task: NewTask;
  readonly claim: boolean;
}

export function submitKind(node: string): OpKind<SubmitOp, InsertedRow, InsertedRow | null> {
  return {
    name: 'submit',
    key: ({ task }) => toUuid(task.id),
    encode: ({ task, claim }) => encodeNewTask(task, claim),
    statement: (json) => sql('task_submit', SUBMIT, json, node),
    decode: (_op, rows) => rows[0] ?? null,
  };
}

export function createSubmit(db: Db, commit: GroupCommit, node: string) {
  const kind = submitKind(node);
  return async function submit(task: NewTask, options: { readonly claim?: boolean } = {}): Promise<SubmitOutcome> {
    const claim = options.claim ?? false;
    // A key's holder may end between our insert and our look: then the insert is tried again.
    for (let round = 0; round < 5; round++) {
      const row = await commit.run(kind, { task, claim });
      if (row)
        return {
          outcome: 'accepted',
          task: viewOfNew(task, row),
          ...(row.state === 'running' ? { claimed: claimedAtInsert(task, row) } : {}),
          events: [acceptedEvent(task, row)],
        };
      const earlier = await findEarlier(db, task);
      if (earlier) return earlier;
    }
    return { outcome: 'mismatch' };
  };
}

/** Why an insert did nothing: the same idempotency key, the same dedupe key, the same id, or the same step. */
async function findEarlier(db: Db, task: NewTask): Promise<SubmitOutcome | null> {
  const { rows } = await db.query<TaskRow & { readonly body_hash: string | null; readonly dangling: boolean }>(
    sql(
      'task_find_earlier',
      `SELECT k.body_hash, k.target IS NOT NULL AND t0.id IS NULL AS dangling, e.* FROM (SELECT 1) one
       LEFT JOIN idempotency k ON k.tenant = $1 AND k.kind = 'task' AND k.key = $2
       LEFT JOIN task t0 ON t0.id = k.target
       LEFT JOIN LATERAL (
         SELECT 1 AS rule, ${TASK_COLUMNS} FROM task WHERE id = k.target AND tenant = $1
         UNION ALL SELECT 2, ${TASK_COLUMNS} FROM task WHERE tenant = $1 AND dedupe_key = $3 AND state IN ${OPEN_TASK}
         UNION ALL SELECT 3, ${TASK_COLUMNS} FROM task WHERE id = $4 AND tenant = $1
         UNION ALL SELECT 4, ${TASK_COLUMNS} FROM task WHERE workflow_id = $5 AND step_key = $6 AND round = $7
         ORDER BY rule LIMIT 1) e ON true`,
      task.tenant,
      task.idempotency?.key ?? null,
      task.dedupeKey ?? null,
      toUuid(task.id),
      task.workflow ? toUuid(task.workflow.id) : null,
      task.workflow?.step ?? null,
      task.workflow?.round ?? null,
    ),
  );
  const [row] = rows;
  if (!row) return null;
  if (row.body_hash !== null && row.body_hash !== task.idempotency?.bodyHash) return { outcome: 'mismatch' };
  if (row.dangling) await point(db, task, row.id ?? null);
  if (!row.id) return null;
  const view: TaskView = taskView(row);
  return { outcome: 'duplicate', task: { ...view, id: fromUuid('task', row.id) } };
}

/** The idempotency key was taken but the dedupe key held the insert back: the key stands for that task, or for none. */
async function point(db: Db, task: NewTask, target: string | null): Promise<void> {
  const key = [task.tenant, task.idempotency?.key ?? null];
  await db.query(
    target
      ? sql(
          'idem_point',
          `UPDATE idempotency SET target = $3 WHERE tenant = $1 AND kind = 'task' AND key = $2`,
          ...key,
          target,
        )
      : sql('idem_drop', `DELETE FROM idempotency WHERE tenant = $1 AND kind = 'task' AND key = $2`, ...key),
  );
}
