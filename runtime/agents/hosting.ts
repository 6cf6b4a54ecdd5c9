// Which node may host an agent, and in words why none does: what it requires against what nodes have. Pure.

import type { Labels } from '../contracts/agent.ts';
import type { AgentRow } from '../contracts/store.ts';
import type { NodeHostRow } from '../contracts/store-cluster.ts';

/** What a type requires of a node and what its agent requires beside it; the agent's own word wins. Undefined: nothing. */
export function requirementsOf(type: Labels | undefined, agent: Labels | undefined): Labels | undefined {
  const all = { ...type, ...agent };
  return Object.keys(all).length > 0 ? all : undefined;
}

/** Whether a node with these labels may host what requires those. */
export function fits(labels: Labels, requires: Labels | undefined): boolean {
  return Object.entries(requires ?? {}).every(([name, value]) => labels[name] === value);
}

/** Why nobody owns an agent; undefined for one that is owned or ended. */
export function waitsFor(
  row: Pick<AgentRow, 'owner' | 'desired' | 'passive' | 'requires' | 'defHash' | 'type'>,
  hosts: readonly Omit<NodeHostRow, 'id'>[],
): string | undefined {
  if (row.owner !== null || row.desired === 'terminated') return undefined;
  if (row.passive) return 'it sleeps until a message, a task or a timer is there for it';
  const able = hosts.filter(({ defHashes }) => defHashes.includes(row.defHash));
  if (able.length === 0) return `no node has the type "${row.type}" as it was when the agent was made`;
  if (able.some(({ labels }) => fits(labels, row.requires))) return 'a node is about to take it';
  return `no node has the labels it requires: ${labelText(row.requires ?? {})}`;
}

/** `gpu=true, zone=a` */
export function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(', ');
}
