// Makes this node's part in the cluster: who else is there, and the way to their agents and routers.

import { NodeCluster } from '../cluster/node-cluster.ts';
import type { DeadLetterSink } from '../contracts/ports.ts';
import type { AgentParts, NodeBase } from './parts.ts';

export function composeCluster(
  { node, ambient, store, wire, options, pool, home, agentTree, departures, sleep }: NodeBase & AgentParts,
  deadLetters: DeadLetterSink,
): NodeCluster {
  return new NodeCluster({
    node,
    ambient,
    store: store.cluster,
    leases: store.leases,
    leaseMs: options.config.leaseMs,
    wire,
    local: pool.mail,
    finished: (id) => home.get(id) !== undefined && !departures.has(id) && agentTree.get(id)?.state === 'terminated',
    activate: (id) => sleep.activate(id),
    watchHere: (id, listener) => agentTree.watch(id, listener),
    deadLetters,
  });
}
