// Opens the store: PostgreSQL when there is a URL, the embedded PGlite otherwise. The SQL above is the same for both.

import { RuntimeError } from '../contracts/errors.ts';
import { type NodeId, toUuid } from '../contracts/ids.ts';
import type { Ambient } from '../contracts/ports.ts';
import type { OpenStoreOptions, Store } from '../contracts/store.ts';
import { createAgentTimerStore } from './agent-timers.ts';
import { createAgentStore } from './agents.ts';
import { createChannelStore } from './channels.ts';
import { createClusterStore } from './cluster.ts';
import { openDataDir } from './data-dir.ts';
import { createDatabaseClock } from './database-clock.ts';
import { createDeadLetterStore } from './dead-letters.ts';
import { createEventStore, EVENT_KINDS } from './events.ts';
import { createFigureStore } from './figures.ts';
import { createFlushMeter } from './flush-meter.ts';
import { createGroupCommit } from './group-commit.ts';
import { createHistoryStore } from './history.ts';
import { createLeaseStore } from './leases.ts';
import { createMessageStore } from './messages.ts';
import { migrate } from './migrate.ts';
import { openPg } from './pg.ts';
import { createPulse } from './pulse.ts';
import { createRetention, makePartitions } from './retention.ts';
import { type StoreDb, sql } from './sql.ts';
import { createSettling } from './task-settle.ts';
import { createTaskStore } from './tasks.ts';
import { createWorkflowStore } from './workflows.ts';

/** What one flush carries out first: settlements free what claims want, inserts come before claims. */
const FLUSH_ORDER = [
  'settle',
  'agent.create',
  'agent.snapshot',
  'message.ack',
  'message.fail',
  'message.accept',
  'workflow.create',
  'workflow.start',
  'workflow.post',
  'workflow.step',
  'workflow.advance',
  'submit',
  ...EVENT_KINDS,
  'dead-letter',
  'claim',
];

/**
 * The store, migrated and ready. The lease of this node is not taken yet: see `leases.open`.
 * @throws RuntimeError `store_unavailable`, `store_locked`, `store_foreign`, `schema_version`.
 */
export async function openStore(options: OpenStoreOptions, ambient: Ambient): Promise<Store> {
  // The lock on the data directory keeps every other node out.
  const alone = options.databaseUrl === undefined;
  return createStore(await openDatabase(options, ambient), options.node, ambient, { alone });
}

/** The database, migrated, with partitions for the coming weeks. */
export async function openDatabase(
  options: Pick<OpenStoreOptions, 'databaseUrl' | 'dataDir'>,
  ambient: Ambient,
): Promise<StoreDb> {
  const db = options.databaseUrl ? openPg(options.databaseUrl, ambient) : await openDataDir(options.dataDir);
  try {
    await migrate(db);
    await makePartitions(db);
  } catch (error) {
    await db.close();
    throw error;
  }
  return db;
}

/**
 * The store of one node over an open, migrated database. `close` closes the database too. `alone`: no other node will use the database;
 * default false.
 */
export function createStore(db: StoreDb, nodeId: NodeId, ambient: Ambient, { alone = false } = {}): Store {
  const node = toUuid(nodeId);
  const meter = createFlushMeter(ambient.clock);
  const commit = createGroupCommit({
    flush: meter.around((statements) => db.flush(statements)),
    order: FLUSH_ORDER,
    turn: () => new Promise((resolve) => void setImmediate(resolve)),
    closed: () => new RuntimeError('store_unavailable', 'the store is closed'),
  });
  const settling = createSettling(db, commit, node);
  const clock = createDatabaseClock(ambient.clock);
  return {
    kind: db.kind,
    node: nodeId,
    tasks: createTaskStore(db, commit, settling, node),
    agents: createAgentStore(db, commit, node),
    workflows: createWorkflowStore(db, commit, settling, clock, node),
    events: createEventStore(db, commit, node),
    leases: createLeaseStore(db, node, ambient.log, clock),
    cluster: createClusterStore(db),
    deadLetters: createDeadLetterStore(db, commit, ambient),
    messages: createMessageStore(db, commit, node),
    channels: createChannelStore(db),
    agentTimers: createAgentTimerStore(db, node),
    history: createHistoryStore(db),
    figures: createFigureStore(db, node),
    onFlush: meter.listen,
    pressure: () => ({
      ...(db.connections?.() ?? { connections: 0, idle: 0, waiting: 0 }),
      gathering: commit.gathering(),
    }),
    pulse: createPulse(db, node, { alone, clock: ambient.clock }),
    ...createRetention(db),
    async ping() {
      await db.query(sql('ping', 'SELECT 1'));
    },
    onHealth: (listener) => db.onHealth(listener),
    async close() {
      await commit.close();
      await db.close();
    },
  };
}
