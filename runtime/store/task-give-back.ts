// A task that leaves its attempt without an outcome: handed on, or put aside. Under the fence of that attempt, which is given back and
// stays in the history. Statements of their own, so that the one that settles everything else carries nothing for them.

import type { RuntimeEvent } from '../contracts/event.ts';
import { toUuid } from '../contracts/ids.ts';
import type { Db, TaskStore } from '../contracts/store.ts';
import type { SettleTask, TaskSettlement } from '../contracts/task.ts';
import { sql } from './sql.ts';
import { usageWith } from './task-rows.ts';

type How = Extract<TaskSettlement['type'], 'handed_off' | 'waiting'>;

export interface GiveBack {
  readonly name: string;
  readonly how: How;
  readonly state: 'queued' | 'waiting';
  readonly text: string;
}

/** `set`: further columns of `task t`; its own values begin with `$10`, and `now.at` is the time. The guard is that of the settling statement. */
export function giveBackStatement({ set, ...kind }: Omit<GiveBack, 'text'> & { readonly set: string }): GiveBack {
  const { how, state } = kind;
  const text = `WITH now AS MATERIALIZED (SELECT clock_timestamp() AS at),
me AS MATERIALIZED (SELECT id FROM node WHERE id = $2 AND swept_at IS NULL FOR KEY SHARE),
ok AS (UPDATE task t SET state = '${state}', owner_node = NULL, attempt = t.attempt - 1, error = NULL,
    last_agent = coalesce($4::uuid, t.last_agent), event_seq = t.event_seq + 1, usage = ${usageWith('$9::jsonb')}, ${set}
  FROM now, me WHERE t.id = $1 AND t.fence = $3 AND t.owner_node IS NOT DISTINCT FROM me.id
  RETURNING t.id, t.fence, t.tenant, t.event_seq, t.claimed_at, now.at),
history AS (INSERT INTO attempt (task_id, fence, attempt, node, agent_id, thread, started_at, ended_at, outcome, run_ms)
  SELECT id, fence, $5::int, $2, $4::uuid, $6::int, claimed_at, at, '${how}', $7::float8 FROM ok),
ev AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT id, event_seq, 'task', tenant, 'task.${how}', at, $8::jsonb FROM ok)
SELECT tenant, event_seq, at FROM ok`;
  return { ...kind, text };
}

/** `data`: of the event in the task's stream. `fenced` when the attempt is not the owner of the task any more. */
export async function giveBack(
  db: Db,
  { name, how, state, text }: GiveBack,
  { node, op, data, values }: GiveBackValues,
): ReturnType<TaskStore['settle']> {
  const { rows } = await db.query<{ tenant: string; event_seq: number; at: string }>(
    sql(
      name,
      text,
      toUuid(op.taskId),
      node,
      op.fence,
      op.agentId && toUuid(op.agentId),
      op.attempt,
      op.thread,
      op.runMs,
      JSON.stringify(data),
      op.usage ? JSON.stringify(op.usage) : null,
      ...values,
    ),
  );
  const [row] = rows;
  if (!row) return { outcome: 'fenced' };
  const { event_seq: seq, tenant, at } = row;
  const event: RuntimeEvent = { stream: op.taskId, seq, type: `task.${how}`, tenant, at, data };
  return { outcome: 'committed', state, events: [event] };
}

export interface GiveBackValues {
  readonly node: string;
  readonly op: SettleTask;
  readonly data: Record<string, unknown>;
  /** Those of `set`. */
  readonly values: readonly unknown[];
}
