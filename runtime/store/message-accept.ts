// Accepting durable messages: one insert for all that wait, with idempotency keys and correlations.

import { fromUuid, type NodeId, toUuid } from '../contracts/ids.ts';
import type { AcceptOutcome, Db, NewDurableMessage } from '../contracts/store.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { encodeMessage, insertMessages, MESSAGE_RECORD } from './message-rows.ts';
import { few, idOrNull, sql } from './sql.ts';

// A subquery in the list is hashed; a join of two CTEs is a loop in a loop where hash joins are off, and most of the time of a large batch.
const ACCEPT = `WITH r AS MATERIALIZED (SELECT r.*, r.i AS n FROM jsonb_to_recordset($1::jsonb) AS r(i int, ${MESSAGE_RECORD})
  WHERE ${few('r.i')}),
${insertMessages('r')}
SELECT i, owner_node, id IN (SELECT id FROM ins) AS fresh FROM known`;

interface AcceptedRow {
  readonly i: number;
  readonly owner_node: string | null;
  readonly fresh: boolean;
}

const KIND: OpKind<NewDurableMessage, AcceptedRow, AcceptedRow | null> = {
  name: 'message.accept',
  encode: encodeMessage,
  statement: (json) => sql('message_accept', ACCEPT, json),
  decode: (_op, rows) => rows[0] ?? null,
};

export function createAccept(db: Db, commit: GroupCommit) {
  return async function accept(message: NewDurableMessage): Promise<AcceptOutcome> {
    const row = await commit.run(KIND, message);
    if (!row) return { outcome: 'not_found' };
    if (row.fresh)
      return { outcome: 'accepted', id: message.id, owner: idOrNull('node', row.owner_node) as NodeId | null };
    return findEarlier(db, message);
  };
}

/** Why an insert did nothing: the same key, or the same correlation. */
async function findEarlier(
  db: Db,
  { tenant, idempotency, correlationId, id }: NewDurableMessage,
): Promise<AcceptOutcome> {
  const { rows } = await db.query<{ target: string | null; body_hash: string | null; asked: string | null }>(
    sql(
      'message_find_earlier',
      `SELECT k.target, k.body_hash, q.message_id AS asked FROM (SELECT 1) one
       LEFT JOIN idempotency k ON k.tenant = $1 AND k.kind = 'message' AND k.key = $2
       LEFT JOIN message_reply q ON q.tenant = $1 AND q.correlation = $3`,
      tenant,
      idempotency?.key ?? null,
      correlationId ?? null,
    ),
  );
  const [row] = rows;
  if (row?.body_hash && row.body_hash !== idempotency?.bodyHash) return { outcome: 'mismatch' };
  const earlier = row?.target && row.target !== toUuid(id) ? row.target : (row?.asked ?? row?.target);
  return { outcome: 'duplicate', id: earlier ? fromUuid('message', earlier) : id };
}
