// Forward-only migrations: numbered .sql files, each in one transaction, one migrator at a time.

import { readdirSync, readFileSync } from 'node:fs';
import { RuntimeError } from '../contracts/errors.ts';
import type { Db } from '../contracts/store.ts';
import { SqlError, sql } from './sql.ts';

const FOLDER = new URL('./migrations/', import.meta.url);
/** Key of the advisory lock under which migrators of all nodes queue. */
const LOCK = 7_206_840_553;
const TABLE = `CREATE TABLE IF NOT EXISTS schema_migration (version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT clock_timestamp());`;

export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly text: string;
}

/** The migrations of this build, in order. */
export function migrations(): readonly Migration[] {
  return readdirSync(FOLDER)
    .filter((name) => /^\d{4}-[a-z0-9-]+\.sql$/.test(name))
    .sort()
    .map((name) => ({
      version: Number(name.slice(0, 4)),
      name,
      text: readFileSync(new URL(name, FOLDER), 'utf8'),
    }));
}

/** Brings the database to this build's schema. @throws RuntimeError `schema_version` when it is newer. */
export async function migrate(db: Db, known: readonly Migration[] = migrations()): Promise<void> {
  // Several statements in one script are one transaction, so the lock ends with it.
  const locked = `SELECT pg_advisory_xact_lock(${LOCK});`;
  await db.script(`${locked} ${TABLE}`);
  const newest = known.at(-1)?.version ?? 0;
  for (;;) {
    const { rows } = await db.query<{ version: number }>(
      sql('schema_version', 'SELECT coalesce(max(version), 0)::int AS version FROM schema_migration'),
    );
    const at = rows[0]?.version ?? 0;
    if (at > newest)
      throw new RuntimeError(
        'schema_version',
        `the database has schema version ${at}, this build knows ${newest}: run a newer build`,
        { details: { database: at, build: newest } },
      );
    const next = known.find(({ version }) => version > at);
    if (!next) return;
    const note = `INSERT INTO schema_migration (version, name) VALUES (${next.version}, '${next.name}');`;
    try {
      await db.script(`${locked} ${note}\n${next.text}`);
    } catch (error) {
      // Another node was quicker with this one.
      if (!(error instanceof SqlError && error.constraint === 'schema_migration_pkey')) throw error;
    }
  }
}
