// Agents as the API shows them: the stored row, overlaid with what this node sees live.

import type { ManifestEntry } from '../contracts/actor.ts';
import type { AgentMetrics, AgentView } from '../contracts/agent.ts';
import type { AgentRow } from '../contracts/store.ts';
import type { CellStats, ThreadStats } from '../contracts/wire.ts';
import type { SupervisedState } from './ports.ts';

interface Offered {
  readonly name: string;
  readonly version: number;
}

/** The capabilities an agent offers: all of its type's, or the chosen ones. */
export function offeredBy(entry: ManifestEntry | undefined, chosen: readonly string[] | null): readonly Offered[] {
  const all = entry?.capabilities ?? [];
  // The type's own list as it is, for all agents that offer all: there may be thousands.
  return chosen === null ? all : all.filter(({ name }) => chosen.includes(name));
}

export interface Live {
  readonly supervised: SupervisedState | undefined;
  readonly cell: CellStats | undefined;
  readonly thread: ThreadStats | undefined;
  readonly nowMs: number;
  /** Why no node owns it. */
  readonly waiting?: string | undefined;
}

export function viewOf(row: AgentRow, entry: ManifestEntry | undefined, live: Live): AgentView {
  const { supervised } = live;
  const reason = supervised?.reason ?? row.reason;
  return {
    id: row.id,
    type: row.type,
    name: row.name,
    state: supervised?.state ?? row.state,
    capabilities: offeredBy(entry, row.capabilities).map(({ name, version }) => ({ name, version })),
    config: row.config,
    ...(row.labels && Object.keys(row.labels).length > 0 ? { labels: row.labels } : {}),
    ...(row.requires ? { requires: row.requires } : {}),
    isolation: row.isolation,
    node: row.owner,
    thread: supervised?.thread ?? null,
    ...(live.waiting === undefined ? {} : { waiting: live.waiting }),
    version: row.version,
    createdAt: row.createdAt,
    ...(reason ? { reason } : {}),
    ...(supervised ? { metrics: metricsOf(entry, supervised, live) } : {}),
  };
}

const NO_EXECUTION: AgentMetrics['execution'] = {
  started: 0,
  completed: 0,
  failed: 0,
  timedOut: 0,
  cancelled: 0,
  running: 0,
  p50Ms: 0,
  p95Ms: 0,
  byCapability: {},
};

function metricsOf(
  entry: ManifestEntry | undefined,
  supervised: SupervisedState,
  { cell, thread, nowMs }: Live,
): AgentMetrics {
  return {
    execution: cell?.execution ?? NO_EXECUTION,
    communication: {
      received: cell?.received ?? 0,
      sent: cell?.sent ?? 0,
      replied: cell?.replied ?? 0,
      refused: cell?.refused ?? 0,
      errors: cell?.errors ?? 0,
      deliveryP95Ms: cell?.deliveryP95Ms ?? 0,
    },
    resources: {
      mailbox: cell?.mailbox ?? 0,
      mailboxCapacity: entry?.mailbox.capacity ?? 0,
      threadHeapBytes: thread?.heapBytes ?? 0,
      threadUtilization: thread?.utilization ?? 0,
    },
    availability: {
      uptimeMs: Math.max(0, nowMs - supervised.startedAtMs),
      restarts: supervised.restarts,
      errors: supervised.errors,
      liveness: thread?.liveness ?? 'dead',
      lastBeatAgoMs: thread?.lastBeatAgoMs ?? 0,
    },
  };
}
