// Makes the inspector of this node: what it reads of the other parts, and nothing of it runs until somebody looks.

import { performance } from 'node:perf_hooks';
import { describedConfig } from '../config.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { CpuProfile, ProfileRequest } from '../contracts/inspection.ts';
import type { RawXState } from '../contracts/inspection-wire.ts';
import type { Dispose } from '../contracts/ports.ts';
import { xstateActor, xstateWire } from '../contracts/xstate-wire.ts';
import { Inspector } from '../observe/inspection/inspector.ts';
import { LocalInspector } from '../observe/inspection/local-inspector.ts';
import type { InspectSources } from '../observe/inspection/ports.ts';
import { secretsOf } from '../observe/inspection/redaction.ts';
import { redact } from '../observe/redact.ts';
import { createProfiler } from '../transport/profiler.ts';
import type {
  AgentParts,
  DurableParts,
  InspectionParts,
  MessageParts,
  NodeBase,
  UpkeepParts,
  WorkParts,
} from './parts.ts';

type Made = NodeBase & AgentParts & MessageParts & DurableParts & WorkParts & UpkeepParts;

const MAIN_THREAD = 0;

export function composeInspection(made: Made): InspectionParts {
  const { ambient, pool, cluster } = made;
  const profileMain = createProfiler();
  const inspection = new Inspector({
    local: new LocalInspector(sourcesOf(made)),
    cluster,
    newStreamId: () => ambient.newId('event'),
    async profile(thread: number, { seconds, intervalUs }: ProfileRequest) {
      const text =
        thread === MAIN_THREAD
          ? await profileMain(seconds, intervalUs)
          : await pool.inspection.profile(thread, seconds, intervalUs);
      return JSON.parse(text) as CpuProfile;
    },
  });
  return { inspection };
}

function sourcesOf(made: Made): InspectSources {
  const { options, ambient, node, store, feed, tree, pool, home, agents, cluster, life } = made;
  const startedAtMs = ambient.clock.monotonicMs();
  return {
    node,
    clock: ambient.clock,
    log: ambient.log,
    feed,
    status: () => life.phase,
    uptimeMs: () => Math.round(ambient.clock.monotonicMs() - startedAtMs),
    groups: () => tree.groups(),
    rootState: () => tree.state(),
    agents: () => tree.agents.list(),
    agentOf: (id) => tree.agents.get(id),
    nameOf: (id) => home.get(id as AgentId)?.row.name,
    onTransition: (listener) => tree.agents.onTransition(listener),
    onNotice: (listener) => pool.onNotice(listener),
    threads: () => pool.threadStats(),
    heapLimitBytes: () => options.config.threadHeapMb * 1_048_576,
    waitingFor: (id) => pool.inspection.waitingFor(id as AgentId),
    mail: () => pool.inspection.mailboxes(),
    cellStats: () => pool.cellStats(),
    isWorkflowOf: (id, tenant) => {
      const about = tree.workflows.about(id);
      return about === undefined ? undefined : about.tenant === tenant;
    },
    tasks: (tenant) => taskFigures(store, tenant),
    process: processFigures(),
    cell: (id) => pool.inspection.cell(id as AgentId),
    livesHere: (id) => pool.inspection.has(id as AgentId),
    running: (id) => [...pool.inspection.running(id as AgentId)],
    focusThreads: (focus) => pool.inspection.focus(focus),
    inspectTree: (observer) => observeTree(tree, observer),
    secrets: () => {
      const { jwtSecret, databaseUrl, redisUrl } = options.config;
      return [jwtSecret, databaseUrl, redisUrl].flatMap(secretsOf);
    },
    agentView: (idOrName, call) => agents.get(idOrName, call),
    members: () => cluster.members(),
    links: () => cluster.stats(),
    config: () => ({
      node,
      version: options.version,
      items: describedConfig(options.config).map((item) => ({ ...item, value: redact(item.value) })),
    }),
  };
}

/** XState's own inspection of the tree: what lives is told first. */
function observeTree(tree: Made['tree'], observer: (told: RawXState) => void): Dispose {
  for (const actor of tree.actors()) observer(xstateActor(actor, tree.rootSession()));
  return tree.inspect((event) => {
    const told = xstateWire(event);
    if (told) observer(told);
  });
}

async function taskFigures(store: Made['store'], tenant: string) {
  const { byState, queues } = await store.tasks.counts(tenant);
  const oldest = queues.filter(({ queued }) => queued > 0).map(({ oldestMs }) => oldestMs);
  return {
    queued: byState.queued,
    running: byState.running,
    oldestQueuedMs: oldest.length > 0 ? Math.max(...oldest) : null,
  };
}

/** Of the event loop of the main thread since the last reading. */
function processFigures(): InspectSources['process'] {
  let before = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, before);
    before = now;
    const { rss, heapUsed } = process.memoryUsage();
    return { rssBytes: rss, heapBytes: heapUsed, utilization };
  };
}
