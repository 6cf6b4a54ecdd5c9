// The system children of the supervision tree: what of a node has a life of its own. They start in this order and stop in reverse.

import type { NodeParts } from './parts.ts';

export function addChildren({ tree, pool, cluster, workflows, dispatcher, sweeper }: NodeParts): void {
  tree.addSystemChild('threads', {
    id: 'pool',
    start: () => pool.start(),
    stop: () => pool.stop(),
    shutdownMs: 30_000,
  });
  tree.addSystemChild('cluster', {
    id: 'links',
    start: () => cluster.start(),
    stop: () => cluster.stop(),
    shutdownMs: 5_000,
  });
  tree.addSystemChild('workflows', {
    id: 'runs',
    start: () => workflows.open(),
    stop: () => workflows.close(),
    shutdownMs: 10_000,
  });
  tree.addSystemChild('work', {
    id: 'dispatcher',
    start: async () => dispatcher.start(),
    stop: () => dispatcher.stop(),
    shutdownMs: 15_000,
  });
  tree.addSystemChild('work', {
    id: 'sweeper',
    start: async () => sweeper.start(),
    stop: () => sweeper.stop(),
    shutdownMs: 15_000,
  });
}
