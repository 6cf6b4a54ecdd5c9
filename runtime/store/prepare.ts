// A data directory that was initialised and migrated beforehand: loading it takes a second, initdb five and 800 MB.
// Made at build time (`node dist/runtime/store/prepare.js`); in TypeScript runs made on demand and kept under node_modules/.cache.

import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { migrate, migrations } from './migrate.ts';
import { openPglite } from './pglite.ts';

const HERE = dirname(fileURLToPath(import.meta.url));
const BUILT = import.meta.url.endsWith('.js');

/** The name says what is inside: a changed migration or another PGlite gives another file. */
function fileName(): string {
  const pglite = join(dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')), '..', 'package.json');
  const hash = createHash('sha256').update(String(JSON.parse(readFileSync(pglite, 'utf8')).version));
  for (const { name, text } of migrations()) hash.update(name).update(text);
  return `prepared-${hash.digest('hex').slice(0, 16)}.tgz`;
}

/** The prepared directory as tar and gzip. Without one that fits it is made, which takes some seconds. */
export async function preparedData(): Promise<Uint8Array> {
  const name = fileName();
  const root = join(HERE, '..', '..');
  const folders = BUILT
    ? [HERE]
    : [join(root, 'dist', 'runtime', 'store'), join(root, 'node_modules', '.cache', 'troupe')];
  for (const folder of folders) {
    const path = join(folder, name);
    if (existsSync(path)) return readFileSync(path);
  }
  const data = await make();
  if (!BUILT) save(folders.at(-1) ?? HERE, name, data);
  return data;
}

/** Build step: puts the directory beside the compiled store unless it is there already. */
export async function prepare(folder: string = HERE): Promise<'made' | 'current'> {
  const name = fileName();
  if (existsSync(join(folder, name))) return 'current';
  for (const old of readdirSync(folder)) if (/^prepared.*\.tgz$/.test(old)) rmSync(join(folder, old));
  save(folder, name, await make());
  return 'made';
}

async function make(): Promise<Uint8Array> {
  const db = await openPglite({ dataDir: 'memory://' });
  try {
    await migrate(db);
    return await db.dump();
  } finally {
    await db.close();
  }
}

function save(folder: string, name: string, data: Uint8Array): void {
  mkdirSync(folder, { recursive: true });
  const partial = join(folder, `${name}.${process.pid}`);
  writeFileSync(partial, data);
  renameSync(partial, join(folder, name));
}

if (BUILT && process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await prepare();
