// The rows of the tree that are to be seen: what is open, agents gathered by type, what a search leaves. Pure.

import type { InspectNode } from '../../../../runtime/contracts/inspection.ts';

/** Agents of one type, where there are many. */
export interface TypeRow {
  readonly kind: 'type';
  readonly id: string;
  readonly name: string;
  readonly level: number;
  readonly open: boolean;
  readonly total: number;
  readonly byState: Readonly<Record<string, number>>;
  readonly mailbox: number;
  readonly restarts: number;
}

export interface NodeRow {
  readonly kind: 'node';
  readonly id: string;
  readonly level: number;
  /** Null: there is nothing below. */
  readonly open: boolean | null;
  readonly node: InspectNode;
}

export type TreeRow = TypeRow | NodeRow;

export interface TreeSource {
  readonly roots: readonly InspectNode[];
  readonly childrenOf: (id: string) => readonly InspectNode[];
}

export interface TreeWish {
  /** Rows whose state differs from what `opensItself` says. */
  readonly toggled: ReadonlySet<string>;
  /** Lower case; empty: everything. */
  readonly text: string;
  readonly state: string;
}

/** From here on agents of one type are behind a row of their own, which is closed. */
const MANY = 30;
const ORDER = ['threads', 'agents', 'workflows', 'work', 'cluster', 'edge'];

export function treeRows(source: TreeSource, wish: TreeWish): readonly TreeRow[] {
  const rows: TreeRow[] = [];
  for (const root of source.roots.toSorted(byName)) addNode(rows, source, wish, root, 1);
  return rows;
}

/** Adds a node with what is below it; says whether it, or something below it, fits the wish. */
function addNode(rows: TreeRow[], source: TreeSource, wish: TreeWish, node: InspectNode, level: number): boolean {
  const below = source.childrenOf(node.id);
  const filtered = wish.text !== '' || wish.state !== '';
  const closed = wish.toggled.has(node.id);
  const open = below.length === 0 ? null : filtered || !closed;
  const at = rows.length;
  rows.push({ kind: 'node', id: node.id, level, open, node });
  let found = fits(node, wish);
  // Below a closed row nothing is drawn, but a search looks there too.
  if (open) {
    const groups = node.kind === 'agents' ? byType(below) : [];
    if (groups.some(([, agents]) => agents.length >= MANY)) {
      for (const [type, agents] of groups)
        found = addType(rows, wish, { parent: node.id, type, agents, level }) || found;
    } else {
      for (const child of below.toSorted(byPlace)) found = addNode(rows, source, wish, child, level + 1) || found;
    }
  }
  if (filtered && !found) rows.length = at;
  return found;
}

interface Group {
  readonly parent: string;
  readonly type: string;
  readonly agents: readonly InspectNode[];
  readonly level: number;
}

function addType(rows: TreeRow[], wish: TreeWish, { parent, type, agents, level }: Group): boolean {
  const filtered = wish.text !== '' || wish.state !== '';
  const fitting = filtered ? agents.filter((agent) => fits(agent, wish)) : agents;
  if (fitting.length === 0) return false;
  const id = `${parent}#${type}`;
  const open = wish.toggled.has(id) !== filtered;
  const byState: Record<string, number> = {};
  for (const { state } of fitting) byState[state] = (byState[state] ?? 0) + 1;
  rows.push({
    kind: 'type',
    id,
    name: type,
    level: level + 1,
    open,
    total: fitting.length,
    byState,
    mailbox: sum(fitting, ({ mailbox }) => mailbox ?? 0),
    restarts: sum(fitting, ({ restarts }) => restarts),
  });
  if (open)
    for (const node of fitting.toSorted(byName))
      rows.push({ kind: 'node', id: node.id, level: level + 2, open: null, node });
  return true;
}

function fits({ id, name, type, state }: InspectNode, wish: TreeWish): boolean {
  if (wish.state !== '' && state !== wish.state) return false;
  return wish.text === '' || `${name}\n${type ?? ''}\n${id}`.toLowerCase().includes(wish.text);
}

function byType(agents: readonly InspectNode[]): readonly (readonly [string, readonly InspectNode[]])[] {
  const groups = new Map<string, InspectNode[]>();
  for (const agent of agents) {
    const group = groups.get(agent.type ?? '') ?? [];
    groups.set(agent.type ?? '', group);
    group.push(agent);
  }
  return [...groups].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

const byName = (a: InspectNode, b: InspectNode): number => a.name.localeCompare(b.name, 'en', { numeric: true });

/** Groups in the order in which they start, the rest by name. */
function byPlace(a: InspectNode, b: InspectNode): number {
  const [left, right] = [ORDER.indexOf(a.kind), ORDER.indexOf(b.kind)];
  return left === right ? byName(a, b) : (left < 0 ? ORDER.length : left) - (right < 0 ? ORDER.length : right);
}

function sum(nodes: readonly InspectNode[], of: (node: InspectNode) => number): number {
  return nodes.reduce((total, node) => total + of(node), 0);
}
