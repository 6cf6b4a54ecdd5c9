// What a node stands on before any of its parts exists: options, the ambient world, the agent modules, the store and the bus.

import { loadManifest, type ModuleRoot } from '../agents/manifest.ts';
import { openBus } from '../bus/open-bus.ts';
import { openWire } from '../bus/open-wire.ts';
import type { Config } from '../config.ts';
import type { CoordinationStrategy } from '../contracts/coordination.ts';
import type { NodeId } from '../contracts/ids.ts';
import type { NodeWire } from '../contracts/messaging.ts';
import type { Ambient, Bus, Manifest } from '../contracts/ports.ts';
import type { Store } from '../contracts/store.ts';
import { systemAmbient } from '../observe/ambient.ts';
import { createLogRing, type LogRing } from '../observe/log-ring.ts';
import { createLogger } from '../observe/logger.ts';
import { openStore } from '../store/open-store.ts';
import { type Preloaded, preload } from '../transport/preload.ts';
import { countingBus, type HintCounts } from './counting-bus.ts';

export interface SystemOptions {
  readonly config: Config;
  /** Where agent modules are. */
  readonly roots: readonly ModuleRoot[];
  readonly strategies: readonly CoordinationStrategy[];
  readonly version: string;
  readonly threads: number;
  /** The node cannot go on: escalated to the root, or its lease is lost. Everything is stopped by then. */
  readonly onExit?: (code: number, why: string) => void;
  /** Default: real clock, randomness and the logger of the configuration. */
  readonly ambient?: Ambient;
  /** Whether an Ollama server answers; for the status. */
  readonly ollama?: () => Promise<'up' | 'down'>;
}

export interface Foundation {
  readonly options: SystemOptions;
  readonly ambient: Ambient;
  readonly manifest: Manifest;
  readonly node: NodeId;
  readonly store: Store;
  readonly bus: Bus;
  /** How many hints it has carried. */
  readonly hints: () => HintCounts;
  /** The way to other nodes; undefined without Redis, and where the database is embedded: nobody else can share it. */
  readonly wire: NodeWire | undefined;
  /** The newest lines of the log. */
  readonly logs: LogRing;
  /** What was loaded before everything else. */
  readonly preloaded: Preloaded;
}

/** Opens store and bus; whoever gets them closes them. Leaves nothing open when it throws. */
export async function openFoundation(options: SystemOptions): Promise<Foundation> {
  const { config } = options;
  const preloaded = await preload(config.preload);
  const given = options.ambient ?? systemAmbient(createLogger(config));
  const node = given.newId('node');
  const logs = createLogRing(given);
  // For machines each line says of which node it is: those of all nodes come together somewhere.
  const written = config.logFormat === 'json' ? given.log.child({ node }) : given.log;
  const ambient = { ...given, log: logs.around(written, config.logLevel) };
  const manifest = await loadManifest(options.roots);
  const { databaseUrl, dataDir, leaseMs, redisUrl } = config;
  const store = await openStore({ dataDir, node, leaseMs, ...(databaseUrl ? { databaseUrl } : {}) }, ambient);
  try {
    const { bus, hints } = countingBus(await openBus({ redisUrl, log: ambient.log }));
    const shared = store.kind === 'postgres' && redisUrl !== undefined;
    const wire = shared
      ? await openWire({ redisUrl, node, key: await store.cluster.key(), log: ambient.log })
      : undefined;
    return { options, ambient, manifest, node, store, bus, hints, wire, preloaded, logs };
  } catch (error) {
    await store.close();
    throw error;
  }
}
