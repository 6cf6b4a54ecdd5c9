// Which queue a task goes to: the version of its capability, or the one agent it asks for.
// Live agents of this node and of the others come first; the manifest only says which names exist at all.

import { agentQueue, capabilityQueue, type Queue } from '../contracts/agent.ts';
import { RuntimeError } from '../contracts/errors.ts';
import { type AgentId, isId } from '../contracts/ids.ts';
import type { Clock, Manifest, Workforce } from '../contracts/ports.ts';
import type { AgentStore } from '../contracts/store.ts';
import { nearest } from './near-names.ts';

export interface Pinned {
  readonly capability: string;
  readonly version: number;
  readonly queue: Queue;
  readonly agentId?: AgentId;
}

export interface CapabilityResolver {
  /** Throws `unknown_capability` (details.near), `actor_not_found`. */
  resolve(
    wish: { readonly capability: string; readonly agentId?: string | undefined },
    tenant: string,
  ): Promise<Pinned>;
  /** Highest version with a live agent on any node, as known within `cacheMs`; empty when the store is away. */
  live(tenant: string): Promise<ReadonlyMap<string, number>>;
}

export interface CapabilityResolverParts {
  readonly workforce: Pick<Workforce, 'offers' | 'serves'>;
  readonly agents: Pick<AgentStore, 'get' | 'liveCapabilities'>;
  readonly manifest: Pick<Manifest, 'entries' | 'get'>;
  readonly clock: Clock;
  /** How long live capabilities of other nodes are believed. Default 1,000 ms. */
  readonly cacheMs?: number;
}

interface Cached {
  readonly atMs: number;
  readonly live: Promise<ReadonlyMap<string, number>>;
}

const MOST_TENANTS = 10_000;

export function createCapabilityResolver(parts: CapabilityResolverParts): CapabilityResolver {
  const { workforce, agents, manifest, clock, cacheMs = 1_000 } = parts;
  const cache = new Map<string, Cached>();

  const live = (tenant: string): Promise<ReadonlyMap<string, number>> => {
    const known = cache.get(tenant);
    if (known && clock.monotonicMs() - known.atMs < cacheMs) return known.live;
    const fresh: Cached = {
      atMs: clock.monotonicMs(),
      // while the store is away the last answer is better than none
      live: agents.liveCapabilities(tenant).catch(() => known?.live ?? new Map()),
    };
    if (cache.size >= MOST_TENANTS) cache.clear();
    cache.set(tenant, fresh);
    return fresh.live;
  };

  /** Highest version served here. Offers name only queues with a free slot, so busy ones are asked for by name. Runs at every submit. */
  const here = (name: string): number => {
    let highest = 0;
    for (const { queue } of workforce.offers()) highest = Math.max(highest, versionIn(queue, name));
    for (const entry of manifest.entries()) {
      for (const own of entry.capabilities) {
        if (own.name !== name || own.version <= highest) continue;
        if (workforce.serves?.(capabilityQueue(name, own.version))) highest = own.version;
      }
    }
    return highest;
  };

  /** Highest version in the manifest; 0: no type has such a capability. */
  const defined = (name: string): number =>
    Math.max(0, ...capabilities(manifest).flatMap((own) => (own.name === name ? [own.version] : [])));

  const versionOf = async (name: string, asked: number | undefined, tenant: string): Promise<number> => {
    const elsewhere = (await live(tenant)).get(name) ?? 0;
    const working = Math.max(here(name), elsewhere);
    const known = working || defined(name);
    if (known === 0)
      throw unknownCapability(name, [...capabilities(manifest).map((own) => own.name), ...(await live(tenant)).keys()]);
    return asked ?? known;
  };

  return {
    live,
    async resolve({ capability: ref, agentId }, tenant) {
      const { name, version: asked } = parseCapability(ref);
      if (agentId === undefined) {
        const version = await versionOf(name, asked, tenant);
        return { capability: name, version, queue: capabilityQueue(name, version) };
      }
      const agent = await agents.get(agentId, tenant);
      if (!agent || agent.desired === 'terminated' || agent.state === 'terminated') throw noSuchAgent(agentId);
      const offered = (manifest.get(agent.type)?.capabilities ?? []).filter(
        (own) => agent.capabilities === null || agent.capabilities.includes(own.name),
      );
      const own = offered.filter((offer) => offer.name === name && (asked === undefined || offer.version === asked));
      if (offered.length > 0 && own.length === 0) {
        throw unknownCapability(
          ref,
          offered.map((offer) => offer.name),
          agent.name,
        );
      }
      const version = asked ?? own[0]?.version ?? (await versionOf(name, asked, tenant));
      return { capability: name, version, agentId: agent.id, queue: agentQueue(agent.id) };
    },
  };
}

/** `document.search@2` as name and major version. */
export function parseCapability(ref: string): { readonly name: string; readonly version: number | undefined } {
  const at = ref.lastIndexOf('@');
  return at < 0 ? { name: ref, version: undefined } : { name: ref.slice(0, at), version: Number(ref.slice(at + 1)) };
}

function versionIn(queue: Queue, name: string): number {
  if (!queue.startsWith(name) || queue.charAt(name.length) !== '@') return 0;
  return Number(queue.slice(name.length + 1)) || 0;
}

function capabilities(
  manifest: Pick<Manifest, 'entries'>,
): readonly { readonly name: string; readonly version: number }[] {
  return manifest.entries().flatMap((entry) => entry.capabilities);
}

function unknownCapability(name: string, known: readonly string[], agent?: string): RuntimeError {
  const names = [...new Set(known)].sort();
  const near = nearest(name, names);
  const where = agent === undefined ? 'no agent type offers' : `agent "${agent}" does not offer`;
  const hint = near.length > 0 ? `; near: ${near.join(', ')}` : '';
  return new RuntimeError('unknown_capability', `${where} "${name}"${hint}`, {
    details: { capability: name, near, known: names.slice(0, 100) },
  });
}

/** The error for an agent that is not there (or not any more). */
export function noSuchAgent(idOrName: string): RuntimeError {
  const what = isId('agent', idOrName) ? 'id' : 'name or id';
  return new RuntimeError('actor_not_found', `no agent with the ${what} "${idOrName}"`, {
    details: { agentId: idOrName },
  });
}
