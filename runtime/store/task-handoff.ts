// A task handed on by its handler: back into the queue of its new addressee, under the fence of the attempt that gave it away.
// A statement of its own, so that the one that settles everything else carries nothing for it.

import type { RuntimeEvent } from '../contracts/event.ts';
import { toUuid } from '../contracts/ids.ts';
import type { Db, TaskStore } from '../contracts/store.ts';
import type { HandoffTarget, SettleTask, TaskSettlement } from '../contracts/task.ts';
import { sql } from './sql.ts';
import { usageWith } from './task-rows.ts';

// The guard of the settling statement: see there. The attempt is given back, and its row in the history says whose it was.
const HAND_OFF = `WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
me AS MATERIALIZED (SELECT id FROM node WHERE id = $2 AND swept_at IS NULL FOR KEY SHARE),
ok AS (UPDATE task t SET state = 'queued', owner_node = NULL, queue = $4, agent_id = $5::uuid, capability = $6, version = $7::int,
    input = CASE WHEN $8::boolean THEN $9::jsonb ELSE t.input END, attempt = t.attempt - 1, error = NULL, run_at = now.at,
    last_agent = coalesce($10::uuid, t.last_agent), event_seq = t.event_seq + 1,
    usage = ${usageWith('$15::jsonb')}
  FROM now, me WHERE t.id = $1 AND t.fence = $3 AND t.owner_node IS NOT DISTINCT FROM me.id
  RETURNING t.id, t.fence, t.tenant, t.event_seq, t.claimed_at, now.at),
history AS (INSERT INTO attempt (task_id, fence, attempt, node, agent_id, thread, started_at, ended_at, outcome, run_ms)
  SELECT id, fence, $11::int, $2, $10::uuid, $12::int, claimed_at, at, 'handed_off', $13::float8 FROM ok),
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'task', tenant, 'task.handed_off', at, $14::jsonb FROM ok)
SELECT tenant, event_seq, at FROM ok`;

export type HandedOff = Extract<TaskSettlement, { type: 'handed_off' }>;

/** What the task's stream says of it. */
export function handoffData(op: SettleTask, { target, reason }: HandedOff): Record<string, unknown> {
  return {
    attempt: op.attempt,
    agentId: op.agentId,
    runMs: op.runMs,
    from: op.agentId,
    to: addresseeOf(target),
    ...(reason === undefined ? {} : { reason }),
    ...(op.usage ? { usage: op.usage } : {}),
  };
}

function addresseeOf({ agentId, capability, version }: HandoffTarget) {
  return { ...(agentId === null ? {} : { agentId }), capability: `${capability}@${version}` };
}

export async function handOff(
  db: Db,
  node: string,
  op: SettleTask,
  settlement: HandedOff,
): ReturnType<TaskStore['settle']> {
  const { target, input } = settlement;
  const data = handoffData(op, settlement);
  const { rows } = await db.query<{ tenant: string; event_seq: number; at: string }>(
    sql(
      'task_hand_off',
      HAND_OFF,
      toUuid(op.taskId),
      node,
      op.fence,
      target.queue,
      target.agentId && toUuid(target.agentId),
      target.capability,
      target.version,
      input !== undefined,
      input === undefined ? null : JSON.stringify(input.value ?? null),
      op.agentId && toUuid(op.agentId),
      op.attempt,
      op.thread,
      op.runMs,
      JSON.stringify(data),
      op.usage ? JSON.stringify(op.usage) : null,
    ),
  );
  const [row] = rows;
  if (!row) return { outcome: 'fenced' };
  const event: RuntimeEvent = {
    stream: op.taskId,
    seq: row.event_seq,
    type: 'task.handed_off',
    tenant: row.tenant,
    at: row.at,
    data,
  };
  return { outcome: 'committed', state: 'queued', events: [event] };
}
