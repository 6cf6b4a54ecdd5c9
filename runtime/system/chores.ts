// What a node does again and again, gathered from its parts for the one loop that does it.

import type { AgentHome } from '../agents/agent-home.ts';
import type { Resettle } from '../agents/resettle.ts';
import type { Sleep } from '../agents/sleep.ts';
import type { NodeWorkforce } from '../agents/workforce.ts';
import type { Config } from '../config.ts';
import type { Ambient, Bus, EventFeed, Manifest } from '../contracts/ports.ts';
import type { Store } from '../contracts/store.ts';
import { SAFETY_POLLS } from '../contracts/store-pulse.ts';
import type { DurableDelivery } from '../messaging/durable-delivery.ts';
import type { MetricsHistory } from '../observe/metrics-history.ts';
import type { Dispatcher } from '../tasks/dispatcher.ts';
import type { LeaseKeeper } from '../tasks/lease-keeper.ts';
import { nodeChores } from '../tasks/node-chores.ts';
import type { Chore } from '../tasks/sweeper.ts';
import type { WorkflowService } from '../workflows/workflow-service.ts';
import type { AgentTimers } from './agent-timers.ts';

export interface ChoreParts {
  readonly store: Store;
  readonly dispatcher: Dispatcher;
  readonly lease: LeaseKeeper;
  readonly home: AgentHome;
  readonly workforce: NodeWorkforce;
  readonly sleep: Sleep;
  readonly resettle: Resettle;
  readonly manifest: Manifest;
  readonly workflows: WorkflowService;
  readonly timers: AgentTimers;
  readonly delivery: DurableDelivery;
  readonly feed: EventFeed;
  readonly bus: Bus;
  readonly ambient: Ambient;
  readonly config: Config;
  readonly history: MetricsHistory;
}

/** Changes of state are gathered this long before they are written: see AgentHome. */
export const OBSERVE_MS = 1_000;
/** How often it is looked whether agents have been idle long enough to sleep. Costs nothing where none may. */
const SLEEP_LOOK_MS = 500;
const RETAIN_MS = 3_600_000;
/** A row a minute at most, and none while nothing happens. */
const FIGURES_MS = 60_000;

export function systemChores(parts: ChoreParts): readonly Chore[] {
  const { store, home, lease, config, feed, timers, workforce, delivery, sleep, resettle, manifest } = parts;
  const { pollMs } = config;
  // The pulse says when these have something to do; this is their pace without it.
  const pulsed = { everyMs: pollMs * SAFETY_POLLS, retryMs: pollMs };
  const lost = (nodes: readonly string[]): void => {
    for (const node of nodes) feed.notice({ stream: node, type: 'node.lost', tenant: 'default', data: {} });
    void parts.workflows.poll();
  };
  return [
    lease.chore(),
    ...nodeChores({ ...parts, config, onNodesLost: lost, onRuns: () => void parts.workflows.poll() }),
    { name: 'agent-states', everyMs: pulsed.everyMs, retryMs: OBSERVE_MS, run: () => home.flushObserved() },
    {
      name: 'agent-commands',
      ...pulsed,
      run: async () => {
        await resettle.arrive((hash) => manifest.entries().find(({ defHash }) => defHash === hash));
        await home.followCommands();
      },
    },
    { name: 'agent-sleep', everyMs: SLEEP_LOOK_MS, run: () => sleep.look() },
    { name: 'agent-wake', ...pulsed, run: () => sleep.wakeWanted() },
    ...(store.kind === 'postgres' && config.rebalanceMs > 0
      ? [{ name: 'rebalance', everyMs: config.rebalanceMs, run: () => resettle.rebalance() }]
      : []),
    { name: 'agent-adoption', ...pulsed, run: async () => void (await home.adopt()) },
    { name: 'agent-timers', ...pulsed, run: () => timers.fire() },
    { name: 'durable-mail', ...pulsed, atStart: true, run: () => delivery.look() },
    { name: 'pinned-queues', ...pulsed, run: () => mentionPinned(store, workforce) },
    { name: 'metrics-history', everyMs: FIGURES_MS, run: () => parts.history.write() },
    {
      name: 'retention',
      everyMs: RETAIN_MS,
      run: async () => {
        await store.figures.rollUp();
        await store.retain({ historyDays: config.historyDays });
        while ((await store.messages.forgetReplies()) > 0);
      },
    },
  ];
}

/** Queues of single agents that hold tasks: the dispatcher offers only those. */
async function mentionPinned(store: Store, workforce: NodeWorkforce): Promise<void> {
  if (workforce.usage().slots === 0) return;
  workforce.setMentioned(await store.tasks.pinnedQueues());
}
