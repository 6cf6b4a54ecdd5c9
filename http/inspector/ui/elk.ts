// Lays graphs out with ELK, in a browser thread of its own that is loaded when the first graph is drawn.

import type { ElkNode } from 'elkjs/lib/elk-api.js';

interface Elk {
  layout(graph: ElkNode): Promise<ElkNode>;
}

let elk: Promise<Elk> | undefined;

/** The graph with places for nodes, and bends for edges. Rejects when ELK cannot be loaded. */
export async function elkLayout(graph: ElkNode): Promise<ElkNode> {
  elk ??= start();
  return (await elk).layout(graph);
}

async function start(): Promise<Elk> {
  const [api, { default: workerUrl }] = await Promise.all([
    import('elkjs/lib/elk-api.js'),
    import('elkjs/lib/elk-worker.min.js?url'),
  ]);
  // Its types are those of a default export, which it has only as CommonJS.
  const Api = api.default as unknown as new (options: { readonly workerUrl: string }) => Elk;
  return new Api({ workerUrl });
}
