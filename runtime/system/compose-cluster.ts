// Makes this node's part in the cluster: who else is there, and the way to their agents and routers.

import { NodeCluster } from '../cluster/node-cluster.ts';
import type { DeadLetterSink } from '../contracts/ports.ts';
import type { AgentParts, NodeBase, Others } from './parts.ts';

export function composeCluster(
  { node, ambient, store, wire, options, pool, home, agentTree, departures, sleep }: NodeBase & AgentParts,
  deadLetters: DeadLetterSink,
  others: Others,
): NodeCluster {
  // Beyond its lease another node may have what was an agent of this one: it answers for nobody, and who asks looks again.
  const held = (): boolean => others().lease.sure;
  return new NodeCluster({
    node,
    ambient,
    store: store.cluster,
    leases: store.leases,
    leaseMs: options.config.leaseMs,
    wire,
    local: { ...pool.mail, hosts: (id) => held() && pool.mail.hosts(id) },
    finished: (id) =>
      held() && home.get(id) !== undefined && !departures.has(id) && agentTree.get(id)?.state === 'terminated',
    activate: (id) => sleep.activate(id),
    watchHere: (id, listener) => agentTree.watch(id, listener),
    deadLetters,
  });
}
