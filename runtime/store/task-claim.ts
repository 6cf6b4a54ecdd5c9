// Claims: a node asks with free slots per queue and gets at most that many tasks of each, oldest rank first, under its own lease.

import type { Queue } from '../contracts/agent.ts';
import type { ClaimedTask } from '../contracts/task.ts';
import type { OpKind } from './group-commit.ts';
import { few, sql } from './sql.ts';
import { CLAIM_COLUMNS, type ClaimRow, claimedOf } from './task-rows.ts';

export type Ask = readonly { readonly queue: Queue; readonly slots: number }[];

// The rows are locked by the pick, so the update asks for nothing but the key: any further condition would open the way to a worse index.
// The pick is materialized: re-evaluated, its LIMIT would not hold. One ordered probe per queue: `= ANY(queues)` would sort them all.
const CLAIM = `WITH me AS MATERIALIZED (SELECT id FROM node
  WHERE id = $2 AND lease_until > clock_timestamp() AND swept_at IS NULL AND NOT draining FOR KEY SHARE),
ask AS MATERIALIZED (SELECT r.i, a.queue, a.slots
  FROM jsonb_to_recordset($1::jsonb) AS r(i int, asks jsonb) CROSS JOIN me
  CROSS JOIN LATERAL jsonb_to_recordset(r.asks) AS a(queue text, slots int)
  WHERE a.slots > 0 AND ${few('r.i')} AND ${few('a.slots')}),
pick AS MATERIALIZED (SELECT ask.i, p.id FROM ask CROSS JOIN LATERAL (
  SELECT id FROM task WHERE state = 'queued' AND queue = ask.queue AND (deadline_at IS NULL OR deadline_at > clock_timestamp())
  ORDER BY rank, id LIMIT ask.slots FOR UPDATE SKIP LOCKED) p)
UPDATE task t SET state = 'running', attempt = t.attempt + 1, fence = t.fence + 1, owner_node = $2, claimed_at = clock_timestamp(),
  started_at = coalesce(t.started_at, clock_timestamp())
FROM pick WHERE t.id = pick.id AND ${few('pick.i')}
RETURNING pick.i, ${CLAIM_COLUMNS}`;

export function claimKind(node: string): OpKind<Ask, ClaimRow, readonly ClaimedTask[]> {
  return {
    name: 'claim',
    encode: (asks) => ({ asks }),
    statement: (json) => sql('task_claim', CLAIM, json, node),
    decode: (_asks, rows) => rows.map(claimedOf),
  };
}
