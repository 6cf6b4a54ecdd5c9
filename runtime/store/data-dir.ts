// The folder of the embedded database: whose it is, who holds it, and how the first start gets its data.
// Layout: troupe.lock, troupe.json (the mark that it is ours), database/ (PGlite). Other files of the runtime may live beside them.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { RuntimeError } from '../contracts/errors.ts';
import { takeLock } from './lock-file.ts';
import { openPglite } from './pglite.ts';
import { preparedData } from './prepare.ts';
import type { StoreDb } from './sql.ts';

const MARK = 'troupe.json';
const LOCK = 'troupe.lock';
const DATABASE = 'database';
/** There while the first start fills the database: if it is found later, that start died and the half-filled folder is void. */
const FILLING = 'troupe.filling';
const POSTGRES_MAJOR = '18';
/** What may lie in the folder before its first start: our own files, secrets the operator or the node put there, dot files. */
const MAY_BE_THERE = /^(troupe\..*|database|\..*|.*(secret|token|key|credential).*)$/i;

/** @throws RuntimeError `store_locked`, `store_foreign`, `store_unavailable`. */
export async function openDataDir(dataDir: string): Promise<StoreDb> {
  if (dataDir.startsWith('memory://')) return openPglite({ dataDir: 'memory://', prepared: await preparedData() });
  const folder = resolve(dataDir);
  makeFolder(folder);
  refuseForeign(folder);
  const unlock = takeLock(join(folder, LOCK));
  try {
    const db = await openDatabase(folder);
    return {
      ...db,
      async close() {
        await db.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

async function openDatabase(folder: string) {
  const dataDir = join(folder, DATABASE);
  const filling = join(folder, FILLING);
  if (existsSync(filling)) rmSync(dataDir, { recursive: true, force: true });
  const isNew = !existsSync(join(dataDir, 'PG_VERSION'));
  if (!isNew) return openPglite({ dataDir });
  writeFileSync(filling, '');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const db = await openPglite({ dataDir, prepared: await preparedData() });
  writeFileSync(join(folder, MARK), `${JSON.stringify({ format: 1, postgres: POSTGRES_MAJOR })}\n`);
  rmSync(filling, { force: true });
  return db;
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!statSync(folder).isDirectory()) throw new Error('not a folder');
  } catch (error) {
    if (existsSync(folder) && !statSync(folder).isDirectory()) throw foreign(folder, 'it is a file');
    throw new RuntimeError(
      'store_unavailable',
      `the data folder ${folder} cannot be made: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

/** Touches nothing in a folder that somebody else made. */
function refuseForeign(folder: string): void {
  let names: readonly string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new RuntimeError('store_unavailable', `the data folder ${folder} cannot be read: ${String(error)}`, {
      cause: error,
    });
  }
  const version = join(folder, DATABASE, 'PG_VERSION');
  if (names.includes(MARK) || names.includes(FILLING)) {
    const major = existsSync(version) ? readFileSync(version, 'utf8').trim() : POSTGRES_MAJOR;
    if (major !== POSTGRES_MAJOR)
      throw foreign(folder, `its database is of PostgreSQL ${major}, this build reads ${POSTGRES_MAJOR}`);
    return;
  }
  if (names.includes('PG_VERSION')) throw foreign(folder, 'it holds another PostgreSQL database');
  const stranger = names.find((name) => !MAY_BE_THERE.test(name));
  if (stranger) throw foreign(folder, `it is not empty (${stranger}) and was not made by Troupe`);
  const database = join(folder, DATABASE);
  if (existsSync(database) && readdirSync(database).length > 0)
    throw foreign(folder, `its folder ${DATABASE} was not made by Troupe`);
}

function foreign(folder: string, why: string): RuntimeError {
  return new RuntimeError('store_foreign', `the data folder ${folder} is not used: ${why}`, { details: { folder } });
}
