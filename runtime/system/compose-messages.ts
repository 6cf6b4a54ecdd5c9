// Makes what carries messages beyond the direct way between two mailboxes: topics, timers, dead letters, and the answers to what cells ask.

import type { AgentId } from '../contracts/ids.ts';
import { DeadLetters } from '../messaging/dead-letters.ts';
import { Topics } from '../messaging/topics.ts';
import { AgentTimers } from './agent-timers.ts';
import { composeCluster } from './compose-cluster.ts';
import type { AgentParts, MessageParts, NodeBase, Others } from './parts.ts';
import { CellRequests } from './requests.ts';

export function composeMessages(base: NodeBase & AgentParts, others: Others): MessageParts {
  const { store, feed, ambient, pool, home, standIns, agents, agentTree } = base;
  const deadLetters = new DeadLetters({
    store: store.deadLetters,
    feed,
    ambient,
    tenantOf: (id) => home.get(standIns.agentOf(id as AgentId) ?? id)?.row.tenant ?? 'default',
  });
  const cluster = composeCluster(base, deadLetters);
  const topics = new Topics((to, type, body, from) => void pool.tell(to, type, body, from ? { from } : {}));
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
    topics,
    timers,
    feed,
    ambient,
    agentOf: (id) => standIns.agentOf(id),
  }));
  return { deadLetters, cluster, topics, timers, requests };
}
