// Durable messages in the database: inboxes as their owners read them, and replies as askers do.

import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Db, InboxMessage, InboxRead, MessageStore, ReplyState } from '../contracts/store.ts';
import { gather } from './gather.ts';
import type { GroupCommit } from './group-commit.ts';
import { createAccept } from './message-accept.ts';
import { type InboxRow, inboxMessage } from './message-rows.ts';
import { createMessageSettling } from './message-settle.ts';
import { few, sql } from './sql.ts';

const READS_AT_ONCE = 64;
const FORGET_AT_ONCE = 1_000;

/** Statement of {@link MessageStore.waiting}; the probe of the pulse uses the same index. */
const WAITING = `WITH RECURSIVE t AS (
  (SELECT receiver, 1 AS n FROM inbox WHERE receiver > $2 ORDER BY receiver LIMIT 1)
  UNION ALL
  SELECT (SELECT m.receiver FROM inbox m WHERE m.receiver > t.receiver ORDER BY m.receiver LIMIT 1), t.n + 1
  FROM t WHERE t.receiver IS NOT NULL AND t.n < $3)
SELECT t.receiver, coalesce(a.owner_node = $1, false) AS mine, a.id IS NULL OR a.desired = 'terminated' AS gone
FROM t LEFT JOIN agent a ON a.id = t.receiver WHERE t.receiver IS NOT NULL ORDER BY t.receiver`;

const LOWEST = '00000000-0000-0000-0000-000000000000';

export function createMessageStore(db: Db, commit: GroupCommit, node: string): MessageStore {
  return {
    accept: createAccept(db, commit),
    ...createMessageSettling(db, commit, node),
    read: gather<InboxRead, readonly InboxMessage[]>((reads) => readInboxes(db, reads), READS_AT_ONCE),

    async waiting(after, limit) {
      const { rows } = await db.query<{ receiver: string; mine: boolean; gone: boolean }>(
        sql('message_waiting', WAITING, node, after === null ? LOWEST : toUuid(after), limit),
      );
      const last = rows.at(-1);
      return {
        inboxes: rows
          .filter(({ mine, gone }) => mine && !gone)
          .map(({ receiver }) => ({ to: fromUuid('agent', receiver) })),
        orphaned: rows.some(({ gone }) => gone),
        next: rows.length === limit && last ? fromUuid('agent', last.receiver) : null,
      };
    },

    async replies(tenant, correlationIds) {
      const { rows } = await db.query<{ correlation: string; state: ReplyState['state']; reply: unknown }>(
        sql(
          'message_replies',
          `SELECT correlation, state, reply FROM message_reply
           WHERE tenant = $1 AND correlation = ANY ($2::text[]) AND kept_until > clock_timestamp()`,
          tenant,
          [...correlationIds],
        ),
      );
      return new Map(rows.map(({ correlation, state, reply }) => [correlation, replyState(state, reply)]));
    },

    async forgetReplies() {
      const { rows } = await db.query(
        sql(
          'message_forget_replies',
          `DELETE FROM message_reply WHERE (tenant, correlation) IN (SELECT tenant, correlation FROM message_reply
             WHERE kept_until <= clock_timestamp() ORDER BY kept_until LIMIT ${FORGET_AT_ONCE}) RETURNING 1`,
        ),
      );
      return rows.length;
    },

    async backlog() {
      const { rows } = await db.query<{ messages: number; oldest_ms: number }>(
        sql(
          'message_backlog',
          `SELECT count(*) AS messages, coalesce(extract(epoch FROM clock_timestamp() - min(accepted_at)) * 1000, 0)::float8 AS oldest_ms
           FROM inbox`,
        ),
      );
      return { messages: rows[0]?.messages ?? 0, oldestMs: Math.max(0, rows[0]?.oldest_ms ?? 0) };
    },
  };
}

async function readInboxes(db: Db, reads: readonly InboxRead[]) {
  const asked = reads.map(({ to, after, most }, i) => ({ i, receiver: toUuid(to), after, most }));
  const { rows } = await db.query<InboxRow & { readonly i: number }>(
    sql(
      'message_read',
      `SELECT q.i, m.receiver, m.seq, m.id, m.sender, m.lane, m.type, m.body, m.protocol, m.traceparent, m.via, m.correlation, m.attempts,
         m.max_attempts, m.crashes, greatest(0, coalesce(extract(epoch FROM m.due_at - clock_timestamp()) * 1000, 0))::float8 AS wait_ms
       FROM jsonb_to_recordset($1::jsonb) AS q(i int, receiver uuid, after bigint, most int)
       CROSS JOIN LATERAL (SELECT * FROM inbox m WHERE m.receiver = q.receiver AND m.seq > q.after ORDER BY m.seq LIMIT q.most) m
       WHERE ${few('q.i')} ORDER BY q.i, m.seq`,
      JSON.stringify(asked),
    ),
  );
  const byRead = reads.map((): InboxMessage[] => []);
  for (const row of rows) byRead[row.i]?.push(inboxMessage(row));
  const at = new Map(reads.map((read, i) => [read, i]));
  return (read: InboxRead): readonly InboxMessage[] => byRead[at.get(read) ?? -1] ?? [];
}

function replyState(state: ReplyState['state'], reply: unknown): ReplyState {
  switch (state) {
    case 'pending':
      return { state };
    case 'replied':
      return { state, reply };
    case 'failed':
      return { state, error: reply as Extract<ReplyState, { state: 'failed' }>['error'] };
  }
}
