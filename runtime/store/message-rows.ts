// What a durable message is in the database, and the statement parts that put messages into inboxes.

import type { MessageWay } from '../contracts/envelope.ts';
import { type AgentId, fromUuid, toUuid } from '../contracts/ids.ts';
import type { InboxMessage, NewDurableMessage } from '../contracts/store.ts';

/** Columns of a message as `jsonb_to_recordset` reads them: see {@link encodeMessage}. */
export const MESSAGE_RECORD = `id uuid, tenant text, receiver uuid, to_id text, message_id text, sender text, lane text, type text, body jsonb, protocol text,
  traceparent text, via jsonb, max_attempts int, idem_key text, idem_hash text, correlation text`;

export function encodeMessage(message: NewDurableMessage) {
  const { idempotency } = message;
  return {
    id: toUuid(message.id),
    tenant: message.tenant,
    receiver: toUuid(message.to),
    to_id: message.to,
    message_id: message.id,
    sender: message.from,
    lane: message.lane,
    type: message.type,
    body: message.body,
    protocol: message.protocol === 'direct' ? undefined : message.protocol,
    traceparent: message.traceparent,
    via: message.via,
    max_attempts: message.maxAttempts,
    idem_key: idempotency?.key,
    idem_hash: idempotency?.bodyHash,
    correlation: message.correlationId,
  };
}

/** How long the reply to a durable request is kept, and how long a request without one keeps its correlation. */
export const REPLY_KEPT = `interval '10 minutes'`;
const REQUEST_KEPT = `interval '1 day'`;

/**
 * CTEs that insert the messages of `source` (with a column `n` that orders them) whose receiver is there: `known` are those, with the
 * node that owns the receiver, `ins` those that are new. A key or a correlation that is taken holds an insert back. The agent is found by
 * its id alone: by an index that begins with the tenant every message would read all agents of it.
 */
export const insertMessages = (source: string) => `known AS MATERIALIZED (SELECT s.*, a.owner_node FROM ${source} s
  JOIN agent a ON a.id = s.receiver AND (a.tenant = s.tenant) IS TRUE AND a.desired <> 'terminated'),
keyed AS (INSERT INTO idempotency (tenant, kind, key, body_hash, target)
  SELECT DISTINCT ON (tenant, idem_key) tenant, 'message', idem_key, idem_hash, id FROM known WHERE idem_key IS NOT NULL
  ORDER BY tenant, idem_key, n ON CONFLICT DO NOTHING RETURNING target),
asked AS (INSERT INTO message_reply AS q (tenant, correlation, message_id, kept_until)
  SELECT DISTINCT ON (tenant, correlation) tenant, correlation, id, clock_timestamp() + ${REQUEST_KEPT} FROM known
  WHERE correlation IS NOT NULL AND (idem_key IS NULL OR id IN (SELECT target FROM keyed)) ORDER BY tenant, correlation, n
  ON CONFLICT (tenant, correlation) DO UPDATE SET message_id = excluded.message_id, kept_until = excluded.kept_until, state = 'pending',
    reply = NULL WHERE q.kept_until <= clock_timestamp() RETURNING message_id),
ins AS (INSERT INTO inbox (receiver, id, tenant, sender, lane, type, body, protocol, traceparent, via, correlation, max_attempts)
  SELECT receiver, id, tenant, sender, lane, type, body, protocol, traceparent, via, correlation, max_attempts FROM known
  WHERE (idem_key IS NULL OR id IN (SELECT target FROM keyed)) AND (correlation IS NULL OR id IN (SELECT message_id FROM asked))
  ORDER BY n RETURNING id)`;

/**
 * CTEs for what was taken out of inboxes and given up: dead letters, and errors as replies. `gone` has the columns of the inbox, and
 * `to_id`, `message_id` (ids as texts), `reason`, `error`.
 */
export const buryMessages = (
  gone: string,
) => `letters AS (INSERT INTO dead_letter (id, tenant, reason, receiver, sender, type, body,
    message_id, at_ms)
  SELECT id, tenant, reason, to_id, sender, type, body, message_id, extract(epoch FROM clock_timestamp()) * 1000 FROM ${gone}),
unanswered AS (UPDATE message_reply q SET state = 'failed', reply = g.error, kept_until = clock_timestamp() + ${REPLY_KEPT}
  FROM ${gone} g WHERE q.tenant = g.tenant AND q.correlation = g.correlation AND q.message_id = g.id)`;

export interface InboxRow {
  readonly receiver: string;
  readonly seq: number;
  readonly id: string;
  readonly sender: AgentId | null;
  readonly lane: string;
  readonly type: string;
  readonly body: unknown;
  readonly protocol: InboxMessage['protocol'] | null;
  readonly traceparent: string | null;
  readonly via: MessageWay | null;
  readonly correlation: string | null;
  readonly attempts: number;
  readonly max_attempts: number;
  readonly crashes: number;
  readonly wait_ms: number;
}

export function inboxMessage(row: InboxRow): InboxMessage {
  return {
    to: fromUuid('agent', row.receiver),
    seq: row.seq,
    id: fromUuid('message', row.id),
    ...(row.sender === null ? {} : { from: row.sender }),
    lane: row.lane,
    type: row.type,
    body: row.body,
    protocol: row.protocol ?? 'direct',
    ...(row.traceparent === null ? {} : { traceparent: row.traceparent }),
    ...(row.via === null ? {} : { via: row.via }),
    ...(row.correlation === null ? {} : { correlationId: row.correlation }),
    attempts: row.attempts,
    maxAttempts: row.max_attempts,
    crashes: row.crashes,
    waitMs: row.wait_ms,
  };
}
