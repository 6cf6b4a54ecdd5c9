// Makes what keeps a node going (its lease, the loop of chores) and what tells how it does (metrics, status, events).

import { createMetrics } from '../observe/metrics.ts';
import { createMetricsHistory } from '../observe/metrics-history.ts';
import { createEventsApi } from '../observe/stream-events.ts';
import { LeaseKeeper } from '../tasks/lease-keeper.ts';
import { Sweeper } from '../tasks/sweeper.ts';
import { systemChores } from './chores.ts';
import { LEASE_LOST_EXIT_CODE } from './exit-codes.ts';
import type { AgentParts, DurableParts, MessageParts, NodeBase, UpkeepParts, WorkParts } from './parts.ts';
import { NodeStatus } from './status.ts';

type Made = NodeBase & AgentParts & MessageParts & DurableParts & WorkParts;

export function composeUpkeep(made: Made): UpkeepParts {
  const { options, ambient, store, feed } = made;
  const { config } = options;
  const lease = keepLease(made);
  const metrics = makeMetrics(made);
  const history = createMetricsHistory({ metrics, store: store.figures, clock: ambient.clock });
  const sweeper = new Sweeper(ambient, systemChores({ ...made, lease, config, history }));
  const events = createEventsApi({ feed, store: store.events, clock: ambient.clock, pollMs: config.pollMs });
  return { lease, sweeper, metrics, history, status: makeStatus(made), events };
}

function keepLease({ store, ambient, options, dispatcher, life }: Made): LeaseKeeper {
  return new LeaseKeeper({
    leases: store.leases,
    ambient,
    leaseMs: options.config.leaseMs,
    onDoubt: () => dispatcher.suspend(),
    onBack: () => dispatcher.resume(),
    onLost: () => {
      dispatcher.loseLease();
      void life.die(LEASE_LOST_EXIT_CODE, 'the lease of this node expired and its work was given to others');
    },
  });
}

function makeMetrics(made: Made): UpkeepParts['metrics'] {
  const { options, ambient, store, feed, tree, pool, dispatcher, counts, delivery, cluster, bus, hints } = made;
  let storeUp = true;
  store.onHealth((up) => {
    storeUp = up;
  });
  return createMetrics({
    feed,
    clock: ambient.clock,
    log: ambient.log,
    version: options.version,
    sources: {
      agents: () => tree.agents.counts(),
      typeOf: (id) => tree.agents.get(id)?.type,
      threads: () => pool.threadStats(),
      cells: () => pool.cellStats(),
      tasks: () => store.tasks.counts(),
      attempts: () => dispatcher.counters(),
      messages: () => counts.statistics(),
      durable: () => delivery.counters,
      backlog: () => store.messages.backlog(),
      cluster: () => cluster.stats(),
      bus: () => ({ kind: bus.kind, healthy: bus.healthy(), ...hints() }),
      storeUp: () => storeUp,
      storePressure: () => store.pressure(),
      onFlush: (listener) => store.onFlush(listener),
    },
  });
}

function makeStatus(made: Made): NodeStatus {
  const { options, ambient, store, bus, life, tree, pool, dispatcher } = made;
  return new NodeStatus({
    store,
    bus,
    pool,
    ambient,
    version: options.version,
    redis: options.config.redisUrl !== undefined,
    ollama: options.ollama ?? (async () => 'down'),
    agents: () => tree.agents.counts(),
    phase: () => life.phase,
    committed: () => dispatcher.counters().committed,
    startable: () => tasksWaitForNothing(made),
  });
}

/** Queued tasks that a free slot of this node could take. */
async function tasksWaitForNothing({ dispatcher, store, workforce }: Made): Promise<boolean> {
  if (dispatcher.draining) return false;
  const { queues } = await store.tasks.counts();
  return queues.some(({ queue, queued }) => queued > 0 && workforce.freeIn(queue) > 0);
}
