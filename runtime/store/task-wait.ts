// Tasks that wait for a person: put aside under the fence of the attempt that asks, and back in their queue with the answer, or when
// nobody gave one in time.

import { fromUuid } from '../contracts/ids.ts';
import type { Db, TaskStore } from '../contracts/store.ts';
import type { SettleTask, TaskSettlement } from '../contracts/task.ts';
import { sql, uuidOf } from './sql.ts';
import { giveBack, giveBackStatement } from './task-give-back.ts';
import { type OpenInputRow, openInputOf } from './task-rows.ts';

// `run_at` is when the question expires.
const WAIT = giveBackStatement({
  name: 'task_put_aside',
  how: 'waiting',
  state: 'waiting',
  set: `run_at = now.at + $10::float8 * interval '1 millisecond',
    inputs = coalesce(t.inputs, '[]'::jsonb) || jsonb_build_array($11::jsonb || jsonb_build_object('askedAt', now.at))`,
});

// The question that was read is the one that is answered: their number tells.
const ANSWER = `WITH open AS MATERIALIZED (SELECT id, jsonb_array_length(inputs) - 1 AS last, clock_timestamp() AS at FROM task
  WHERE id = $1 AND tenant = $2 AND state = 'waiting' AND run_at > clock_timestamp() AND jsonb_array_length(inputs) = $3::int + 1 FOR UPDATE),
back AS (UPDATE task t SET state = 'queued', run_at = o.at, event_seq = t.event_seq + 1,
    inputs = jsonb_set(t.inputs, ARRAY[o.last::text], (t.inputs->o.last) || jsonb_build_object('value', $4::jsonb, 'by', $5::text, 'endedAt', o.at))
  FROM open o WHERE t.id = o.id RETURNING t.id, t.event_seq, t.tenant, t.queue, o.at),
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'task', tenant, 'task.answered', at, $6::jsonb FROM back)
SELECT queue, tenant, event_seq, at FROM back`;

/** Those nobody answered in time go on, and are told so. */
export const EXPIRE_INPUTS = `WITH due AS MATERIALIZED (SELECT id FROM task WHERE state = 'waiting' AND run_at <= clock_timestamp()
  ORDER BY run_at LIMIT 500 FOR UPDATE SKIP LOCKED)
UPDATE task t SET state = 'queued', inputs = jsonb_set(t.inputs, '{-1}', (t.inputs->-1) || '{"expired": true}') FROM due WHERE t.id = due.id
RETURNING t.queue`;

export type Waiting = Extract<TaskSettlement, { type: 'waiting' }>;

/** What the task's stream says of it. */
export function waitingData(op: SettleTask, { question }: Waiting): Record<string, unknown> {
  return {
    attempt: op.attempt,
    agentId: op.agentId,
    runMs: op.runMs,
    prompt: question.prompt,
    expiresMs: question.expiresMs,
    ...(op.usage ? { usage: op.usage } : {}),
  };
}

export function putAside(db: Db, node: string, op: SettleTask, settlement: Waiting): ReturnType<TaskStore['settle']> {
  const { expiresMs, ...asked } = settlement.question;
  const values = [expiresMs, JSON.stringify(asked)];
  return giveBack(db, WAIT, { node, op, data: waitingData(op, settlement), values });
}

/** What nobody answered in time is closed, also while the task is not yet back in its queue. */
const open = (
  which: string,
): string => `SELECT t.id, t.inputs, t.run_at, t.workflow_id, t.step_key, t.round, coalesce(w.root_id, w.id) AS root_id
  FROM task t LEFT JOIN workflow w ON w.id = t.workflow_id
  WHERE t.state = 'waiting' AND t.run_at > clock_timestamp() AND t.tenant = $1 ${which} ORDER BY t.id DESC LIMIT $2`;

const OPEN = open('AND ($3::boolean IS NULL OR (t.workflow_id IS NOT NULL) = $3)');
const OPEN_BELOW = `WITH RECURSIVE below AS (SELECT id FROM workflow WHERE id = $3
  UNION ALL SELECT w.id FROM workflow w JOIN below b ON w.parent_id = b.id WHERE $4::text IS NULL)
${open('AND t.workflow_id IN (SELECT id FROM below) AND ($4::text IS NULL OR t.step_key = $4)')}`;

export function createTaskInputs(db: Db): Pick<TaskStore, 'answer' | 'openInputs'> {
  return {
    async answer(id, tenant, { question, value, by }) {
      const uuid = uuidOf('task', id);
      if (!uuid) return null;
      const data = { question, by };
      const { rows } = await db.query<{ queue: string; tenant: string; event_seq: number; at: string }>(
        sql('task_answer', ANSWER, uuid, tenant, question, JSON.stringify(value ?? null), by, JSON.stringify(data)),
      );
      const [row] = rows;
      if (!row) return null;
      const { queue, event_seq: seq, at } = row;
      return { queue, events: [{ stream: id, seq, type: 'task.answered', tenant: row.tenant, at, data }] };
    },

    async openInputs(tenant, { workflowId, ofSteps, step, limit }) {
      const uuid = workflowId ? uuidOf('workflow', workflowId) : null;
      if (workflowId && uuid === null) return [];
      const { rows } = await db.query<OpenInputRow>(
        uuid !== null
          ? sql('task_open_inputs_below', OPEN_BELOW, tenant, limit, uuid, step ?? null)
          : sql('task_open_inputs', OPEN, tenant, limit, ofSteps ?? null),
      );
      return rows.flatMap((row) => openInputOf(fromUuid('task', row.id), row) ?? []);
    },
  };
}
