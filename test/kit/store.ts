// Stores for tests: databases of every kind, several nodes over one of them, short ways to make tasks and settle them.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createIdFactory, type NodeId } from '../../runtime/contracts/ids.ts';
import type { Ambient, Logger } from '../../runtime/contracts/ports.ts';
import type { NewTask, Store } from '../../runtime/contracts/store.ts';
import type { ClaimedTask, SettleTask, TaskSettlement } from '../../runtime/contracts/task.ts';
import { createStore, openDatabase } from '../../runtime/store/open-store.ts';
import type { StoreDb } from '../../runtime/store/sql.ts';
import { freshDatabase } from './services.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** Real time and real ids: databases have clocks of their own. */
export function realAmbient(log: Logger = silent): Ambient {
  return {
    clock: {
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      setTimeout(fn, ms) {
        const timer = setTimeout(fn, ms);
        return () => clearTimeout(timer);
      },
      setInterval(fn, ms) {
        const timer = setInterval(fn, ms);
        return () => clearInterval(timer);
      },
    },
    random: () => Math.random(),
    newId: createIdFactory({ nowMs: () => Date.now(), randomBytes: (count) => randomBytes(count) }),
    log,
  };
}

export const ambient = realAmbient();
export const { newId } = ambient;

export interface Backend {
  readonly name: string;
  open(): Promise<{ readonly db: StoreDb; readonly close: () => Promise<void> }>;
}

/** The three databases that one suite runs on. */
export const BACKENDS: readonly Backend[] = [
  {
    name: 'PGlite in memory',
    async open() {
      const db = await openDatabase({ dataDir: 'memory://' }, ambient);
      return { db, close: () => db.close() };
    },
  },
  {
    name: 'PGlite in a folder',
    async open() {
      const folder = mkdtempSync(join(tmpdir(), 'troupe-store-'));
      const db = await openDatabase({ dataDir: folder }, ambient);
      return {
        db,
        async close() {
          await db.close();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  },
  {
    name: 'PostgreSQL',
    async open() {
      const db = await openDatabase({ databaseUrl: await freshDatabase(), dataDir: '' }, ambient);
      return { db, close: () => db.close() };
    },
  },
];

/** The two engines: for suites about statements, to which it is the same where the data are. */
export const ENGINES: readonly Backend[] = BACKENDS.filter(({ name }) => name !== 'PGlite in a folder');

/** A node with a lease over an open database. */
export async function openNode(
  db: StoreDb,
  options: { readonly leaseMs?: number; readonly id?: NodeId; readonly log?: Logger } = {},
): Promise<Store> {
  const id = options.id ?? newId('node');
  const store = createStore(db, id, options.log ? realAmbient(options.log) : ambient);
  await store.leases.open({
    id,
    host: 'test',
    pid: process.pid,
    leaseMs: options.leaseMs ?? 600_000,
    manifest: [{ type: 'worker', defHash: 'hash-1', capabilities: [{ name: 'text.upper', version: 2 }] }],
    reclaimAll: false,
  });
  return store;
}

let made = 0;
/** A name that no other test uses. */
export const unique = (prefix: string): string => `${prefix}-${made++}`;

export function newTask(change: Partial<NewTask> = {}): NewTask {
  return {
    id: newId('task'),
    tenant: 'acme',
    capability: 'text.upper',
    version: 1,
    queue: 'text.upper@1',
    input: { text: 'hello' },
    priority: 5,
    timeoutMs: 60_000,
    retry: { maxAttempts: 3, backoffMs: 0, maxBackoffMs: 0, jitter: 'none', onTimeout: false, nonRetryable: [] },
    ...change,
  };
}

/** The settlement of a claim; completed unless said otherwise. */
export function settling(
  claim: Pick<ClaimedTask, 'taskId' | 'fence' | 'attempt'>,
  settlement: TaskSettlement = { type: 'completed', result: { done: true } },
  change: Partial<SettleTask> = {},
): SettleTask {
  const outcome = settlement.type === 'retry' || settlement.type === 'dead' ? 'failed' : settlement.type;
  return {
    taskId: claim.taskId,
    fence: claim.fence,
    attempt: claim.attempt,
    settlement,
    outcome,
    crashed: false,
    agentId: null,
    thread: 1,
    runMs: 1,
    ...change,
  };
}
