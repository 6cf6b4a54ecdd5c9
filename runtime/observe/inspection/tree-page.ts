// Pages of the tree of this node. Agents are looked at once each and only those of the page are made into nodes, so that ten thousand stay cheap.

import type { InspectNode, InspectTreeQuery } from '../../contracts/inspection.ts';
import type { InspectSources, WatchedAgent } from './ports.ts';
import { agentNode, agentsNodeId, groupNodes } from './tree-nodes.ts';

export interface LocalPage {
  readonly items: readonly InspectNode[];
  readonly total: number;
}

type Query = Omit<InspectTreeQuery, 'limit' | 'cursor' | 'node'>;

export function localPage(
  sources: InspectSources,
  tenant: string,
  query: Query,
  window: { readonly offset: number; readonly limit: number; readonly deaths: number },
): LocalPage {
  const items: InspectNode[] = [];
  let total = 0;
  const until = window.offset + window.limit;
  let agents = 0;
  const wanted = wantsAgents(query, sources.node);
  const matching: WatchedAgent[] = [];
  const needle = query.q?.toLowerCase();
  for (const agent of sources.agents()) {
    if (agent.tenant !== tenant) continue;
    agents += 1;
    if (wanted && agentFits(sources, agent, query, needle)) matching.push(agent);
  }
  for (const node of groupNodes(sources, tenant, agents, window.deaths)) {
    if (!nodeFits(node, query, needle)) continue;
    if (total >= window.offset && total < until) items.push(node);
    total += 1;
  }
  for (const agent of matching) {
    if (total >= window.offset && total < until) items.push(agentNode(sources, agent));
    total += 1;
  }
  return { items, total };
}

function wantsAgents({ parent, kind }: Query, node: string): boolean {
  return (parent === undefined || parent === agentsNodeId(node)) && (kind === undefined || kind === 'agent');
}

function agentFits(
  sources: InspectSources,
  { id, type, state, thread }: WatchedAgent,
  query: Query,
  needle: string | undefined,
): boolean {
  if (query.type !== undefined && query.type !== type) return false;
  if (query.state !== undefined && query.state !== state) return false;
  if (query.thread !== undefined && query.thread !== thread) return false;
  return needle === undefined || contains(needle, id, type, sources.nameOf(id));
}

function nodeFits(node: InspectNode, query: Query, needle: string | undefined): boolean {
  if (query.parent !== undefined && node.parent !== query.parent) return false;
  if (query.kind !== undefined && node.kind !== query.kind) return false;
  if (query.type !== undefined && node.type !== query.type) return false;
  if (query.state !== undefined && node.state !== query.state) return false;
  if (query.thread !== undefined && node.thread !== query.thread) return false;
  return needle === undefined || contains(needle, node.id, node.name, node.type);
}

function contains(needle: string, ...texts: readonly (string | undefined)[]): boolean {
  return texts.some((text) => text?.toLowerCase().includes(needle));
}
