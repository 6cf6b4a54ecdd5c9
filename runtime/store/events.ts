// Stored events. Each stream has one writer; its sequence lives in the row of the stream's subject, so the guard of that row guards it too.

import { RuntimeError } from '../contracts/errors.ts';
import type { EventType, NewEvent, RuntimeEvent } from '../contracts/event.ts';
import { fromUuid, type IdKind, toUuid } from '../contracts/ids.ts';
import type { Db, EventStore } from '../contracts/store.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { clampLimit, kindOf, sql, withTypeIds } from './sql.ts';

/** Streams that may be appended to: their subject's table and the proof that this node ($2) is its writer. */
const SUBJECTS = {
  task: `state = 'running' AND owner_node = $2`,
  agent: 'owner_node = $2',
  workflow: 'owner_node = $2',
  node: 'id = $2 AND swept_at IS NULL',
} as const satisfies Partial<Record<IdKind, string>>;
type Subject = keyof typeof SUBJECTS;

/** Several events of one stream in a flush are numbered in the order in which they came. */
const append = (subject: Subject) => `WITH r AS MATERIALIZED (
  SELECT r.*, row_number() OVER (PARTITION BY stream ORDER BY i) AS n FROM jsonb_to_recordset($1::jsonb)
    AS r(i int, stream uuid, tenant text, type text, data jsonb)),
len AS MATERIALIZED (SELECT stream, count(*)::int AS n FROM r GROUP BY stream ORDER BY stream),
head AS MATERIALIZED (SELECT u.id, u.event_seq FROM len CROSS JOIN LATERAL (
  SELECT id, event_seq FROM ${subject} WHERE id = len.stream AND ${SUBJECTS[subject]} FOR UPDATE) u),
grown AS (UPDATE ${subject} s SET event_seq = s.event_seq + len.n FROM len, head WHERE s.id = len.stream AND head.id = s.id),
ins AS (INSERT INTO event (stream, seq, kind, tenant, type, at, data)
  SELECT r.stream, head.event_seq + r.n, '${subject}', r.tenant, r.type, clock_timestamp(), r.data FROM r JOIN head ON head.id = r.stream
  RETURNING stream, seq, at)
SELECT r.i, ins.seq, ins.at FROM ins JOIN head ON head.id = ins.stream JOIN r ON r.stream = ins.stream AND r.n = ins.seq - head.event_seq`;

interface Row {
  readonly stream: string;
  readonly seq: number;
  readonly kind: Subject;
  readonly tenant: string;
  readonly type: EventType;
  readonly at: string;
  readonly data: Record<string, unknown>;
}

interface AppendOp {
  readonly uuid: string;
  readonly event: NewEvent;
}

function appendKind(
  subject: Subject,
  node: string,
): OpKind<AppendOp, Row & { readonly i: number }, RuntimeEvent | null> {
  const text = append(subject);
  return {
    name: `event.${subject}`,
    encode: ({ uuid, event }) => ({ stream: uuid, tenant: event.tenant, type: event.type, data: event.data }),
    statement: (json) => sql(`event_append_${subject}`, text, json, node),
    decode: ({ event }, [row]) => (row ? { ...event, seq: row.seq, at: row.at } : null),
  };
}

export const EVENT_KINDS = (Object.keys(SUBJECTS) as Subject[]).map((subject) => `event.${subject}`);

export function createEventStore(db: Db, commit: GroupCommit, node: string): EventStore {
  const kinds = Object.fromEntries(
    (Object.keys(SUBJECTS) as Subject[]).map((subject) => [subject, appendKind(subject, node)]),
  ) as Record<Subject, ReturnType<typeof appendKind>>;
  return {
    async read(stream, tenant, afterSeq, limit) {
      if (!kindOf(stream)) return [];
      const { rows } = await db.query<Row>(
        sql(
          'event_read',
          `SELECT stream, seq, kind, tenant, type, at, data FROM event_log
           WHERE stream = $1 AND tenant = $2 AND seq > $3 ORDER BY seq LIMIT $4`,
          toUuid(stream),
          tenant,
          afterSeq,
          clampLimit(limit),
        ),
      );
      return rows.map((row) => ({
        stream: fromUuid(row.kind, row.stream),
        seq: row.seq,
        type: row.type,
        tenant: row.tenant,
        at: row.at,
        data: withTypeIds(row.data),
      }));
    },

    async append(events) {
      const stored = await Promise.all(
        events.map((event) => {
          const kind = kindOf(event.stream);
          if (!kind || !(kind in kinds))
            throw new RuntimeError('invalid_input', `${event.stream} is no stream of a task, agent, workflow or node`);
          return commit.run(kinds[kind as Subject], { uuid: toUuid(event.stream), event });
        }),
      );
      return stored.filter((event) => event !== null);
    },
  };
}
