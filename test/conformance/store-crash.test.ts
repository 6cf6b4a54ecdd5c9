// What survives when processes and servers die: acknowledged rows, the lock of a folder, connections to a server that went away.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import type { TaskId } from '../../runtime/contracts/ids.ts';
import { openDatabase, openStore } from '../../runtime/store/open-store.ts';
import { sql } from '../../runtime/store/sql.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase, startPostgres } from '../kit/services.ts';
import { ambient, newId, newTask, openNode, settling } from '../kit/store.ts';

/** What the store gives a new connection. */
const CONNECT_TIMEOUT_MS = 3_000;

const folders: string[] = [];
const children: ChildProcess[] = [];
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-crash-'));
  folders.push(folder);
  return folder;
}
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** The writer in a process of its own; `acked` fills with what it was told to be safe. */
function startWriter(folder: string) {
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
  const entry = fileURLToPath(new URL('./store-writer.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', tsx, entry, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const acked = { accepted: new Set<string>(), completed: new Set<string>() };
  let rest = '';
  child.stdout?.on('data', (data) => {
    const lines = (rest + data).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const [what, id] = line.split(' ');
      if (id && (what === 'accepted' || what === 'completed')) acked[what].add(id);
    }
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  return {
    acked,
    async acks(count: number) {
      await eventually(() => acked.completed.size >= count || child.exitCode !== null);
      expect(child.exitCode).toBeNull();
    },
    async kill9() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

describe('the folder of the embedded database', () => {
  test('kill -9 loses nothing that was acknowledged; the next start takes over', async () => {
    const folder = newFolder();
    const sum = { accepted: new Set<string>(), completed: new Set<string>() };
    for (let round = 0; round < 2; round++) {
      const writer = startWriter(folder);
      await writer.acks(100);
      await writer.kill9();
      for (const what of ['accepted', 'completed'] as const) for (const id of writer.acked[what]) sum[what].add(id);
    }
    const db = await openDatabase({ dataDir: folder }, ambient);
    const store = await openNode(db);
    const states = new Map(
      await Promise.all(
        [...sum.accepted].map(async (id) => [id, (await store.tasks.get(id as TaskId, 'acme'))?.status] as const),
      ),
    );
    expect([...states].filter(([, status]) => status === undefined)).toEqual([]);
    expect([...sum.completed].filter((id) => states.get(id) !== 'completed')).toEqual([]);
    expect(sum.completed.size).toBeGreaterThan(200);
    await store.close();
    expect(readdirSync(folder)).not.toContain('troupe.lock');
  });

  test('a second process, and a second opener in one process, are told who holds it', async () => {
    const folder = newFolder();
    const writer = startWriter(folder);
    await writer.acks(1);
    const refused = await openDatabase({ dataDir: folder }, ambient).catch((error: Error) => error);
    expect(refused).toMatchObject({ code: 'store_locked' });
    expect((refused as Error).message).toMatch(/^the data folder is in use by process \d+ \(lock file .*\)$/);
    await writer.kill9();
    const db = await openDatabase({ dataDir: folder }, ambient);
    await expect(openDatabase({ dataDir: folder }, ambient)).rejects.toMatchObject({ code: 'store_locked' });
    await db.close();
    await (await openDatabase({ dataDir: folder }, ambient)).close();
  });

  test('a lock whose pid has a new owner is no lock', async () => {
    const folder = newFolder();
    await (await openDatabase({ dataDir: folder }, ambient)).close();
    writeFileSync(join(folder, 'troupe.lock'), JSON.stringify({ pid: process.pid, startedAt: '1', boot: null }));
    await (await openDatabase({ dataDir: folder }, ambient)).close();
  });

  test.each([
    ['somebody else’s files', (folder: string) => writeFileSync(join(folder, 'thesis.txt'), 'dear')],
    ['another PostgreSQL', (folder: string) => writeFileSync(join(folder, 'PG_VERSION'), '15\n')],
    [
      'a folder named database with other data',
      (folder: string) => {
        mkdirSync(join(folder, 'database'));
        writeFileSync(join(folder, 'database', 'PG_VERSION'), '15\n');
      },
    ],
  ])('a folder with %s is left alone', async (_name, fill) => {
    const folder = newFolder();
    fill(folder);
    const before = readdirSync(folder, { recursive: true });
    await expect(openDatabase({ dataDir: folder }, ambient)).rejects.toMatchObject({ code: 'store_foreign' });
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
  });

  test('a file is no folder, a folder that cannot be made is unavailable', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, 'content');
    await expect(openDatabase({ dataDir: file }, ambient)).rejects.toMatchObject({ code: 'store_foreign' });
    await expect(openDatabase({ dataDir: join(file, 'below') }, ambient)).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    expect(readFileSync(file, 'utf8')).toBe('content');
  });

  test('a first start that died half-way is begun again', async () => {
    const folder = newFolder();
    mkdirSync(join(folder, 'database'));
    writeFileSync(join(folder, 'troupe.filling'), '');
    writeFileSync(join(folder, 'database', 'PG_VERSION'), '18\n');
    const db = await openDatabase({ dataDir: folder }, ambient);
    expect((await openNode(db)).kind).toBe('pglite');
    await db.close();
  });

  test('a newer schema is refused in one line', async () => {
    const folder = newFolder();
    const db = await openDatabase({ dataDir: folder }, ambient);
    await db.script(`INSERT INTO schema_migration (version, name) VALUES (9999, 'from the future')`);
    await db.close();
    await expect(openDatabase({ dataDir: folder }, ambient)).rejects.toMatchObject({
      code: 'schema_version',
      details: { database: 9999 },
    });
  });
});

describe('a PostgreSQL that goes away', () => {
  test('two nodes migrate one empty database at once', async () => {
    const databaseUrl = await freshDatabase();
    const stores = await Promise.all(
      [0, 1, 2].map(() => openStore({ databaseUrl, dataDir: '', node: newId('node'), leaseMs: 1_000 }, ambient)),
    );
    await Promise.all(stores.map((store) => store.ping()));
    await Promise.all(stores.map((store) => store.close()));
  });

  test('an unreachable server is store_unavailable', async () => {
    const open = openStore(
      { databaseUrl: 'postgres://troupe@127.0.0.1:9/none', dataDir: '', node: newId('node'), leaseMs: 1_000 },
      ambient,
    );
    await expect(open).rejects.toMatchObject({ code: 'store_unavailable' });
  });

  test('kill -9 of the server: calls fail, nothing acknowledged is lost, the store comes back and living nodes keep their work', async () => {
    const server = await startPostgres();
    try {
      const db = await openDatabase({ databaseUrl: server.url, dataDir: '' }, ambient);
      const store = await openNode(db, { leaseMs: 15_000 });
      const health: boolean[] = [];
      store.onHealth((up) => health.push(up));
      const held = newTask({ queue: 'held' });
      const { claimed } = { claimed: undefined, ...(await store.tasks.submit(held, { claim: true })) };
      if (!claimed) throw new Error('not claimed');

      const acked: TaskId[] = [];
      let stop = false;
      const write = async () => {
        while (!stop) {
          const task = newTask({ queue: 'load' });
          try {
            await store.tasks.submit(task);
            acked.push(task.id);
          } catch (error) {
            expect(error).toMatchObject({ code: 'store_unavailable' });
            await sleep(20);
          }
        }
      };
      const load = Promise.all(Array.from({ length: 16 }, write));
      await eventually(() => acked.length > 200);
      await server.kill9();
      await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
      const before = acked.length;
      await server.restart();
      await eventually(() => acked.length > before + 50);
      stop = true;
      await load;

      expect(health[0]).toBe(false);
      expect(health.at(-1)).toBe(true);
      const states = await Promise.all(acked.map((id) => store.tasks.get(id, 'acme')));
      expect(states.filter((task) => task === null)).toEqual([]);
      // The lease may have run out during the outage, but nobody had the chance to renew: no sweep takes the work away.
      await db.script(`UPDATE node SET lease_until = clock_timestamp() - interval '1 minute'`);
      const other = await openNode(db, { leaseMs: 15_000 });
      expect(await other.leases.sweep({ poisonAfter: 3 })).toMatchObject({ nodes: [], tasks: 0 });
      expect(await store.leases.renew()).toBe(true);
      expect((await store.tasks.settle(settling(claimed))).outcome).toBe('committed');
      await store.close();
    } finally {
      await server.stop();
    }
  });

  test('a frozen server: after the first time limit everybody is refused at once, until it answers again', async () => {
    const server = await startPostgres();
    try {
      const db = await openDatabase({ databaseUrl: server.url, dataDir: '' }, ambient);
      const store = await openNode(db);
      const health: boolean[] = [];
      const down = new Promise<void>((resolve) => {
        store.onHealth((up) => {
          health.push(up);
          if (!up) resolve();
        });
      });
      server.freeze();
      await expect(store.ping()).rejects.toMatchObject({ code: 'store_unavailable' });
      await down;
      // Without the refusal each of these would wait for a connection first, and the pool for each other.
      const from = performance.now();
      const refused = await Promise.allSettled(Array.from({ length: 200 }, () => store.tasks.submit(newTask())));
      expect(refused.every(({ status }) => status === 'rejected')).toBe(true);
      expect(performance.now() - from).toBeLessThan(CONNECT_TIMEOUT_MS);
      server.thaw();
      await eventually(() => health.at(-1) === true);
      await store.ping();
      expect(health).toEqual([false, true]);
      await store.close();
    } finally {
      server.thaw();
      await server.stop();
    }
  });

  test('a statement that ran into its time limit is no outage', async () => {
    const db = await openDatabase({ databaseUrl: await freshDatabase(), dataDir: '' }, ambient);
    const health: boolean[] = [];
    db.onHealth((up) => health.push(up));
    await expect(db.query(sql('test_slow', 'SELECT pg_sleep(60)'))).rejects.toMatchObject({
      code: 'store_unavailable',
    });
    await db.query(sql('test_quick', 'SELECT 1'));
    expect(health).toEqual([]);
    await db.close();
  });
});
