// Letters nobody took, kept as history. A body that the database cannot hold is replaced by a note, never the cause of a loss.

import type { DeadLetter } from '../contracts/envelope.ts';
import { fromUuid, toUuid } from '../contracts/ids.ts';
import type { Ambient } from '../contracts/ports.ts';
import type { Db, DeadLetterRow, DeadLetterStore } from '../contracts/store.ts';
import type { GroupCommit, OpKind } from './group-commit.ts';
import { clampLimit, page, readCursor, sql, uuidOf } from './sql.ts';

interface LetterOp {
  readonly id: string;
  readonly tenant: string;
  readonly letter: DeadLetter;
}

const ADD: OpKind<LetterOp, { readonly i: number }, void> = {
  name: 'dead-letter',
  encode: ({ id, tenant, letter }) => ({
    id,
    tenant,
    reason: letter.reason,
    receiver: letter.to,
    sender: letter.from,
    type: letter.type,
    body: letter.body,
    message_id: letter.messageId,
    at_ms: letter.atMs,
  }),
  statement: (json) =>
    sql(
      'dead_letter_add',
      `INSERT INTO dead_letter (id, tenant, reason, receiver, sender, type, body, message_id, at_ms)
       SELECT id, tenant, reason, receiver, sender, type, body, message_id, at_ms FROM jsonb_to_recordset($1::jsonb)
         AS r(id uuid, tenant text, reason text, receiver text, sender text, type text, body jsonb, message_id text, at_ms float8)`,
      json,
    ),
  decode: () => undefined,
};

interface Row {
  readonly id: string;
  readonly tenant: string;
  readonly reason: DeadLetter['reason'];
  readonly receiver: string;
  readonly sender: string | null;
  readonly type: string;
  readonly body: unknown;
  readonly message_id: string;
  readonly at_ms: number;
  readonly replays: number;
}

const COLUMNS = 'id, tenant, reason, receiver, sender, type, body, message_id, at_ms, replays';

export function createDeadLetterStore(db: Db, commit: GroupCommit, { newId }: Ambient): DeadLetterStore {
  async function addOne(tenant: string, letter: DeadLetter): Promise<void> {
    const id = toUuid(newId('deadLetter'));
    try {
      await commit.run(ADD, { id, tenant, letter });
    } catch (error) {
      if ((error as { code?: unknown }).code === 'store_unavailable') throw error;
      const note = `(body not kept: ${error instanceof Error ? error.message : String(error)})`;
      await commit.run(ADD, { id, tenant, letter: { ...letter, body: note } });
    }
  }
  return {
    async add(tenant, letters) {
      await Promise.all(letters.map((letter) => addOne(tenant, letter)));
    },
    async list(filter) {
      const limit = clampLimit(filter.limit);
      const { rows } = await db.query<Row>(
        sql(
          'dead_letter_list',
          `SELECT ${COLUMNS} FROM dead_letter
           WHERE tenant = $1 AND ($3::text IS NULL OR receiver = $3) AND ($4::text IS NULL OR reason = $4)
             AND ($5::uuid IS NULL OR id < $5)
           ORDER BY id DESC LIMIT $2`,
          filter.tenant,
          limit + 1,
          filter.to ?? null,
          filter.reason ?? null,
          readCursor(filter.cursor),
        ),
      );
      return page(rows, limit, letterOf);
    },
    async get(id, tenant) {
      const uuid = uuidOf('deadLetter', id);
      if (!uuid) return null;
      const { rows } = await db.query<Row>(
        sql('dead_letter_get', `SELECT ${COLUMNS} FROM dead_letter WHERE tenant = $1 AND id = $2`, tenant, uuid),
      );
      return rows[0] ? letterOf(rows[0]) : null;
    },
    async takeReplay(id, tenant, most) {
      const uuid = uuidOf('deadLetter', id);
      if (!uuid) return null;
      const { rows } = await db.query<Row>(
        sql(
          'dead_letter_replay',
          `UPDATE dead_letter SET replays = replays + 1 WHERE tenant = $1 AND id = $2 AND replays < $3 RETURNING ${COLUMNS}`,
          tenant,
          uuid,
          most,
        ),
      );
      return rows[0] ? letterOf(rows[0]) : null;
    },
  };
}

function letterOf(row: Row): DeadLetterRow {
  return {
    id: fromUuid('deadLetter', row.id),
    tenant: row.tenant,
    reason: row.reason,
    to: row.receiver,
    ...(row.sender === null ? {} : { from: row.sender }),
    type: row.type,
    body: row.body,
    messageId: row.message_id,
    atMs: row.at_ms,
    replays: row.replays,
  };
}
