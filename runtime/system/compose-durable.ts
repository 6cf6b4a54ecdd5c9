// Makes what keeps durable messages until they are handled: their acceptance, their delivery to the agents of this node, and the replies.

import { createHash } from 'node:crypto';
import { canonicalJson } from '../contracts/canonical-json.ts';

import { DurableDelivery } from '../messaging/durable-delivery.ts';
import { DurableMessages } from '../messaging/durable-messages.ts';
import { DurableReplies } from '../messaging/durable-replies.ts';
import { SnapshotOrder } from '../messaging/snapshot-order.ts';
import type { AgentParts, DurableParts, NodeBase, Others } from './parts.ts';
import { SavingOutcomes } from './saving-outcomes.ts';

/** States in which an agent takes messages, or keeps them in its mailbox. */
const TAKES_MAIL: ReadonlySet<string> = new Set(['idle', 'running', 'paused']);

export function composeDurable(base: NodeBase & AgentParts, others: Others): DurableParts {
  const { options, ambient, node, store, bus, life, pool, home, agentTree } = base;
  const order = new SnapshotOrder();
  const replies = new DurableReplies({
    store: store.messages,
    ambient,
    pollMs: options.config.pollMs,
    onLate: () => {
      others().counts.lateDurable++;
    },
  });
  const delivery = new DurableDelivery({
    store: store.messages,
    pool,
    ambient,
    node,
    order,
    resident(id) {
      const resident = home.get(id);
      if (!resident || !TAKES_MAIL.has(agentTree.get(id)?.state ?? '')) return undefined;
      return { epoch: resident.row.epoch, tenant: resident.row.tenant, capacity: resident.entry.mailbox.capacity };
    },
    quiet: (id) => outcomes.settled(id),
    saved: (id) => home.markSaved(id),
    wake: (id) => bus.publish({ type: 'mail', agentId: id }),
    replied(tenant, correlationIds) {
      replies.replied(tenant, correlationIds);
      for (const correlationId of correlationIds) bus.publish({ type: 'reply', tenant, correlationId });
    },
    paused: () => life.phase !== 'running',
    poisonAfter: options.config.poisonAfter,
  });
  const durable = new DurableMessages({
    store: store.messages,
    delivery,
    replies,
    ambient,
    hash: (value) => createHash('sha256').update(canonicalJson(value)).digest('hex'),
  });
  const outcomes = new SavingOutcomes({
    order,
    clock: ambient.clock,
    hasMail: (id) => delivery.knows(id),
    runningOn: (id) => others().dispatcher.runningOn(id),
    stopped: () => life.phase === 'stopped',
  });
  return { snapshots: order, delivery, durable, replies, outcomes };
}
