// The periodic work of a node around tasks and leases, as chores for the sweeper. Agents and workflows add their own.

import type { RuntimeEvent } from '../contracts/event.ts';
import type { NodeId } from '../contracts/ids.ts';
import type { Ambient, Bus, EventFeed } from '../contracts/ports.ts';
import type { Store } from '../contracts/store.ts';
import { SAFETY_POLLS } from '../contracts/store-pulse.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { LeaseKeeper } from './lease-keeper.ts';
import { errorCode } from './pause.ts';
import { pulseChore } from './pulse-chore.ts';
import type { Chore } from './sweeper.ts';

export interface NodeChoreParts {
  readonly store: Pick<Store, 'node' | 'tasks' | 'leases' | 'workflows' | 'pulse'>;
  readonly dispatcher: Dispatcher;
  readonly feed: EventFeed;
  readonly bus: Bus;
  readonly ambient: Ambient;
  /** With it, a node whose own lease is in doubt sweeps nobody: it would be the first it finds. */
  readonly lease?: Pick<LeaseKeeper, 'state'>;
  readonly config: { readonly pollMs: number; readonly leaseMs: number; readonly poisonAfter: number };
  /** Nodes whose lease ran out; what they owned is free. */
  readonly onNodesLost?: (nodes: readonly NodeId[]) => void;
  /** A run of this node has mail, or a run has no owner. */
  readonly onRuns?: () => void;
}

/**
 * `pulse` at every poll; what it asks for, and seldom by themselves: `promote` (see `Sweeper.soon`), `expire`, `sweep-leases`, `lost-claims`,
 * `fire-timers`; and `orphaned-claims`, which asks the store only after a failure.
 */
export function nodeChores(parts: NodeChoreParts): readonly Chore[] {
  const { pollMs } = parts.config;
  const everyMs = pollMs * SAFETY_POLLS;
  const { dispatcher } = parts;
  return [
    pulseChore(parts),
    { name: 'promote', everyMs, retryMs: pollMs, atStart: true, run: () => promote(parts) },
    { name: 'expire', everyMs, retryMs: pollMs, run: () => expire(parts) },
    sweepChore(parts),
    { name: 'lost-claims', everyMs, retryMs: pollMs, run: () => dispatcher.checkClaims() },
    { name: 'orphaned-claims', everyMs: pollMs * 2, run: async () => void (await dispatcher.returnOrphans()) },
    { name: 'fire-timers', everyMs, retryMs: pollMs, run: () => fireTimers(parts) },
  ];
}

async function promote({ store, dispatcher, bus }: NodeChoreParts) {
  const { queues, nextInMs } = await store.tasks.promote();
  for (const queue of queues) {
    dispatcher.hint(queue);
    bus.publish({ type: 'queue', queue });
  }
  return { nextInMs };
}

async function expire({ store, dispatcher, feed, bus }: NodeChoreParts): Promise<void> {
  const { aborted, events } = await store.tasks.expire();
  feed.publish(events);
  hintEnded(bus, events);
  const mine = aborted.filter(({ node }) => node === store.node).map(({ taskId }) => taskId);
  for (const { node, taskId } of aborted) if (node !== store.node) bus.publish({ type: 'task-cancelled', taskId });
  if (mine.length > 0) await dispatcher.onLost(mine);
}

/**
 * Frees what lost nodes owned. After the store was away every lease looks expired while its node lives, so this one
 * waits a lease time first and lets the others renew.
 */
function sweepChore({ store, dispatcher, feed, bus, ambient, lease, config, onNodesLost }: NodeChoreParts): Chore {
  let notBeforeMs = 0;
  return {
    name: 'sweep-leases',
    everyMs: config.pollMs * SAFETY_POLLS,
    retryMs: config.pollMs,
    async run(soon) {
      if (ambient.clock.monotonicMs() < notBeforeMs || (lease && lease.state !== 'held')) return;
      const swept = await store.leases.sweep({ poisonAfter: config.poisonAfter }).catch((error: unknown) => {
        if (errorCode(error) === 'store_unavailable') notBeforeMs = ambient.clock.monotonicMs() + config.leaseMs;
        throw error;
      });
      feed.publish(swept.events);
      hintEnded(bus, swept.events);
      if (swept.tasks > 0) dispatcher.hintAll();
      if (swept.nodes.length === 0) return;
      ambient.log.warn('nodes were lost; their work is free', { ...swept, events: swept.events.length });
      // Not a poll later: their agents are missed by now.
      soon('agent-adoption');
      onNodesLost?.(swept.nodes);
    },
  };
}

async function fireTimers({ store, bus }: NodeChoreParts): Promise<void> {
  for (const workflowId of await store.workflows.fireTimers()) bus.publish({ type: 'workflow', workflowId });
}

const ENDS = new Set(['task.completed', 'task.failed', 'task.dead', 'task.cancelled', 'task.timed_out']);

/** Tells callers on other nodes, who cannot hear this node's feed, that their task has ended. */
export function hintEnded(bus: Bus, events: readonly RuntimeEvent[]): void {
  for (const { type, stream } of events) if (ENDS.has(type)) bus.publish({ type: 'task-ended', taskId: stream });
}

/** Whether an event ends its task. */
export const endsTask = ({ type }: Pick<RuntimeEvent, 'type'>): boolean => ENDS.has(type);
