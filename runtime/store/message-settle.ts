// What becomes of durable messages: acknowledged in one commit with the state they left, tried again, or given up. Always under the
// epoch of the receiver, whose row is locked first: an owner that has lost it is refused and nothing is done.

import { fromUuid, type NodeId, toUuid } from '../contracts/ids.ts';
import type { Acknowledgement, Db, FailedMessage, MessageStore } from '../contracts/store.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { buryMessages, encodeMessage, insertMessages, MESSAGE_RECORD, REPLY_KEPT } from './message-rows.ts';
import { few, idOrNull, sql } from './sql.ts';

/** `me`: this node, not given up. */
const ME = (at: number) =>
  `me AS MATERIALIZED (SELECT id FROM node WHERE id = $${at} AND swept_at IS NULL FOR KEY SHARE)`;

// A row that changes needs the lock of an update anyway; the others are held against a change of owner.
const ACKNOWLEDGE = `WITH ${ME(2)},
r AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS r(i int, receiver uuid, tenant text, epoch bigint, seqs bigint[],
  saves boolean, snapshot jsonb, out jsonb, replies jsonb) WHERE ${few('r.i')} ORDER BY receiver),
saved AS (UPDATE agent a SET snapshot = r.snapshot FROM r, me WHERE r.saves AND a.id = r.receiver AND a.epoch = r.epoch
  AND a.owner_node IS NOT DISTINCT FROM me.id RETURNING r.i),
held AS (SELECT r.i FROM r CROSS JOIN me JOIN agent a ON a.id = r.receiver AND a.epoch = r.epoch AND a.owner_node IS NOT DISTINCT FROM me.id
  WHERE NOT r.saves ORDER BY a.id FOR SHARE OF a),
ok AS MATERIALIZED (SELECT r.* FROM r WHERE r.i IN (SELECT i FROM saved UNION ALL SELECT i FROM held)),
gone AS (DELETE FROM inbox m USING (SELECT receiver, unnest(seqs) AS seq FROM ok) d WHERE m.receiver = d.receiver AND m.seq = d.seq),
answered AS (UPDATE message_reply q SET state = CASE WHEN p.error IS NULL THEN 'replied' ELSE 'failed' END,
    reply = coalesce(p.error, p.reply), kept_until = clock_timestamp() + ${REPLY_KEPT}
  FROM ok CROSS JOIN LATERAL jsonb_to_recordset(ok.replies) AS p(correlation text, reply jsonb, error jsonb)
  WHERE q.tenant = ok.tenant AND q.correlation = p.correlation AND q.state = 'pending'),
sent AS MATERIALIZED (SELECT ok.i, p.*, row_number() OVER (ORDER BY ok.i, p.n_at) AS n FROM ok
  CROSS JOIN LATERAL jsonb_to_recordset(ok.out) AS p(n_at int, ${MESSAGE_RECORD})),
${insertMessages('sent')},
nowhere AS MATERIALIZED (SELECT *, 'actor_not_found' AS reason, NULL::jsonb AS error FROM sent WHERE id NOT IN (SELECT id FROM known)),
${buryMessages('nowhere')}
SELECT ok.i, coalesce((SELECT jsonb_agg(jsonb_build_array(known.receiver, known.owner_node)) FROM known WHERE known.i = ok.i), '[]') AS accepted
FROM ok`;

interface AcknowledgedRow {
  readonly i: number;
  readonly accepted: readonly (readonly [string, string | null])[];
}

type Acknowledged = Awaited<ReturnType<MessageStore['acknowledge']>>;

function acknowledgeKind(node: string): OpKind<Acknowledgement, AcknowledgedRow, Acknowledged> {
  return {
    name: 'message.ack',
    encode: ({ to, tenant, epoch, seqs, snapshot, out, replies }) => ({
      receiver: toUuid(to),
      tenant,
      epoch,
      seqs,
      saves: snapshot !== undefined,
      snapshot,
      out: out.map((message, at) => ({ n_at: at, ...encodeMessage(message) })),
      replies: replies.map(({ correlationId, reply, error }) => ({ correlation: correlationId, reply, error })),
    }),
    statement: (json) => sql('message_ack', ACKNOWLEDGE, json, node),
    decode: (_op, [row]) =>
      row
        ? {
            outcome: 'committed',
            accepted: row.accepted.map(([to, owner]) => ({
              to: fromUuid('agent', to),
              owner: idOrNull('node', owner) as NodeId | null,
            })),
          }
        : { outcome: 'fenced' },
  };
}

const FAIL = `WITH ${ME(2)},
r AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS r(i int, receiver uuid, to_id text, message_id text, epoch bigint,
  seq bigint, error jsonb,
  charge int, delay_ms bigint, reason text) WHERE ${few('r.i')} ORDER BY receiver),
ok AS MATERIALIZED (SELECT r.* FROM r CROSS JOIN me JOIN agent a ON a.id = r.receiver AND a.epoch = r.epoch
  AND a.owner_node IS NOT DISTINCT FROM me.id ORDER BY a.id FOR SHARE OF a),
later AS (UPDATE inbox m SET attempts = m.attempts + ok.charge, crashes = greatest(0, m.crashes - 1),
    due_at = clock_timestamp() + ok.delay_ms * interval '1 millisecond'
  FROM ok WHERE ok.reason IS NULL AND m.receiver = ok.receiver AND m.seq = ok.seq),
gone AS (DELETE FROM inbox m USING ok WHERE ok.reason IS NOT NULL AND m.receiver = ok.receiver AND m.seq = ok.seq
  RETURNING m.*, ok.to_id, ok.message_id, ok.reason, ok.error),
${buryMessages('gone')}
SELECT i FROM ok`;

function failKind(node: string): OpKind<FailedMessage, { readonly i: number }, 'committed' | 'fenced'> {
  return {
    name: 'message.fail',
    encode: ({ to, id, epoch, seq, error, charge, next }) => ({
      receiver: toUuid(to),
      to_id: to,
      message_id: id,
      epoch,
      seq,
      error,
      charge: charge ? 1 : 0,
      ...('dead' in next ? { reason: next.dead } : { delay_ms: Math.max(0, Math.round(next.delayMs)) }),
    }),
    statement: (json) => sql('message_fail', FAIL, json, node),
    decode: (_op, [row]) => (row ? 'committed' : 'fenced'),
  };
}

/** What died under suspicion waits, so that one message does not use up the restarts of its agent (3 within 10 s by default). */
const SUSPECT_WAIT = '4 seconds';
/** Mail of agents that are gone, oldest first. */
const BURY_AT_ONCE = 500;

export function createMessageSettling(
  db: Db,
  commit: GroupCommit,
  node: string,
): Pick<MessageStore, 'acknowledge' | 'fail' | 'suspect' | 'bury'> {
  const acknowledging = acknowledgeKind(node);
  const failing = failKind(node);
  return {
    acknowledge: (done) => commit.run(acknowledging, done),
    fail: (failed) => commit.run(failing, failed),

    async suspect(to, epoch, seqs) {
      const { rows } = await db.query(
        sql(
          'message_suspect',
          `WITH ${ME(1)},
           ok AS MATERIALIZED (SELECT a.id FROM agent a CROSS JOIN me WHERE a.id = $2 AND a.epoch = $3
             AND a.owner_node IS NOT DISTINCT FROM me.id FOR SHARE OF a),
           up AS (UPDATE inbox m SET crashes = crashes + 1,
               due_at = clock_timestamp() + (crashes + 1) * interval '${SUSPECT_WAIT}' FROM ok WHERE m.receiver = ok.id AND m.seq = ANY ($4::bigint[]))
           SELECT id FROM ok`,
          node,
          toUuid(to),
          epoch,
          [...seqs],
        ),
      );
      return rows.length > 0 ? 'committed' : 'fenced';
    },

    async bury() {
      const { rows } = await db.query<{ receiver: string; seq: number; id: string }>(
        sql(
          'message_orphans',
          `SELECT m.receiver, m.seq, m.id FROM inbox m LEFT JOIN agent a ON a.id = m.receiver
           WHERE a.id IS NULL OR a.desired = 'terminated' ORDER BY m.receiver, m.seq LIMIT ${BURY_AT_ONCE}`,
        ),
      );
      if (rows.length === 0) return 0;
      const orphans = rows.map(({ receiver, seq, id }) => ({
        receiver,
        seq,
        to_id: fromUuid('agent', receiver),
        message_id: fromUuid('message', id),
      }));
      await db.query(
        sql(
          'message_bury',
          `WITH r AS MATERIALIZED (SELECT * FROM jsonb_to_recordset($1::jsonb) AS r(receiver uuid, seq bigint, to_id text, message_id text)
             WHERE ${few('r.seq')}),
           gone AS (DELETE FROM inbox m USING r WHERE m.receiver = r.receiver AND m.seq = r.seq
             RETURNING m.*, r.to_id, r.message_id, 'actor_stopped' AS reason, $2::jsonb AS error),
           ${buryMessages('gone')}
           SELECT count(*) FROM gone`,
          JSON.stringify(orphans),
          JSON.stringify({
            code: 'actor_not_found',
            message: 'the agent was removed before it took the message',
            retryable: false,
          }),
        ),
      );
      return rows.length;
    },
  };
}
