// The way between nodes, when there is one: over Redis. Without a URL a node has no way to others, and says so.

import type { NodeId } from '../contracts/ids.ts';
import type { NodeWire } from '../contracts/messaging.ts';
import type { Logger } from '../contracts/ports.ts';

export interface OpenWireOptions {
  readonly redisUrl: string;
  readonly node: NodeId;
  readonly key: Uint8Array;
  readonly log: Logger;
}

/** Does not wait for Redis: a node starts without it and uses it when it comes. */
export async function openWire({ redisUrl, node, key, log }: OpenWireOptions): Promise<NodeWire> {
  const { openRedisStreams } = await import('./redis-bus-streams.ts');
  return openRedisStreams({ url: redisUrl, node, key, log });
}
