// What people and operators may ask of a node: its state, its figures, and its stop.

import type { CallContext, SystemApi } from '../contracts/runtime.ts';
import type { NodeLifecycle } from './lifecycle.ts';
import { metricSeries } from './metric-series.ts';
import type { NodeParts } from './parts.ts';

const DEFAULT_CALL: CallContext = { tenant: 'default' };
const LETTERS_PER_PAGE = 50;

export function createSystemApi(parts: NodeParts, lifecycle: NodeLifecycle): SystemApi {
  const { node, store, status, metrics, tree, pool, deadLetters, cluster, logs, ambient } = parts;
  return {
    node,
    status: (call = DEFAULT_CALL) => status.status(call),
    nodes: async () => ({ items: await cluster.members(), links: cluster.stats() }),
    metrics: () => metrics.report(),
    prometheus: () => metrics.prometheus(),
    tree: (call = DEFAULT_CALL) => tree.tree(call.tenant),
    ready: () => status.ready(),
    initialize: () => lifecycle.initialize(),
    drain: (options = {}) => lifecycle.drain(options.timeoutMs),
    stop: (options = {}) => lifecycle.stop(options.timeoutMs),
    killThread: (thread, how = 'terminate') => pool.killThread(thread, how),
    metricHistory: (wish) => metricSeries(store.figures, wish, ambient.clock.nowMs()),
    logs: (filter = {}, call = DEFAULT_CALL) => ({ node, ...logs.read(call.tenant, filter) }),
    deadLetters: async (filter, call = DEFAULT_CALL) => {
      await deadLetters.flush();
      return store.deadLetters.list({ tenant: call.tenant, ...filter, limit: filter.limit ?? LETTERS_PER_PAGE });
    },
  };
}
