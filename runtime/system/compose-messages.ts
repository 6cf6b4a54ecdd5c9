// Makes what carries messages beyond the direct way between two mailboxes: topics, timers, dead letters, and the answers to what cells ask.

import type { AgentId } from '../contracts/ids.ts';
import { Channels } from '../messaging/channels.ts';
import { Counts } from '../messaging/counts.ts';
import { DeadLetters } from '../messaging/dead-letters.ts';
import { FanOuts } from '../messaging/fan-out.ts';
import { MAX_PAYLOAD_BYTES } from '../messaging/payload.ts';
import { Receptionist } from '../messaging/receptionist.ts';
import { Router } from '../messaging/router.ts';
import { Subscriptions } from '../messaging/subscriptions.ts';
import { Views } from '../messaging/views.ts';
import { AgentTimers } from './agent-timers.ts';
import { composeCluster } from './compose-cluster.ts';
import { NodeOffers } from './local-offers.ts';
import type { AgentParts, MessageParts, NodeBase, Others } from './parts.ts';
import { CellRequests } from './requests.ts';

export function composeMessages(base: NodeBase & AgentParts, others: Others): MessageParts {
  const { store, feed, ambient, pool, home, standIns, agents, agentTree } = base;
  const counts = new Counts();
  const deadLetters = new DeadLetters({
    store: store.deadLetters,
    feed,
    ambient,
    tenantOf: (id) => home.get(standIns.agentOf(id as AgentId) ?? id)?.row.tenant ?? 'default',
    onCount: (reason) => counts.deadLetter(reason),
  });
  const offers = new NodeOffers(home, agentTree, feed);
  const { clock } = ambient;
  const { pollMs } = base.options.config;
  // Nobody else writes to an embedded database.
  const alone = store.kind === 'pglite';
  const views = new Views({ store: store.channels, clock, freshMs: alone ? Number.POSITIVE_INFINITY : pollMs });
  const fanOuts = new FanOuts({
    post: pool,
    durable: () => others().durable,
    counts,
    maxBytes: MAX_PAYLOAD_BYTES,
    onRefused: (letter, tenant) =>
      deadLetters.add({ ...letter, messageId: ambient.newId('message'), atMs: clock.nowMs() }, tenant),
  });
  const subscriptions = new Subscriptions({ store: store.channels, views, newId: ambient.newId });
  const receptionist = new Receptionist({
    store: store.channels,
    local: offers,
    ambient,
    pollMs: alone ? undefined : pollMs,
  });
  const router = new Router({
    store: store.channels,
    letters: store.deadLetters,
    flushLetters: () => deadLetters.flush(),
    agents,
    post: pool,
    channels: new Channels({ store: store.channels, views, fanOuts, newId: ambient.newId }),
    subscriptions,
    views,
    fanOuts,
    counts,
    receptionist,
    ambient,
    maxBytes: MAX_PAYLOAD_BYTES,
  });
  const cluster = composeCluster(base, deadLetters, others);
  const timers = new AgentTimers({
    store: store.agentTimers,
    pool,
    ambient,
    onSet: (inMs) => others().sweeper.soon('agent-timers', inMs),
  });
  const requests = new CellRequests(() => ({
    agents,
    home,
    tasks: others().tasks,
    durable: others().durable,
    tree: agentTree,
    pool,
    router,
    subscriptions,
    receptionist,
    timers,
    feed,
    ambient,
    agentOf: (id) => standIns.agentOf(id),
  }));
  return { deadLetters, counts, cluster, router, receptionist, offers, timers, requests };
}
