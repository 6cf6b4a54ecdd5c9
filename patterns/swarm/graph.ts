// The graph that ants walk: who neighbours whom, at which cost, and whether what is sought can exist at all. Made once per definition.

import { z } from 'zod';
import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';

const MAX_NODES = 1_000;
const MAX_EDGES = 20_000;

const nodeSchema = z.string().min(1).max(100);

export const graphSchema = z.strictObject({
  nodes: z.array(nodeSchema).min(2).max(MAX_NODES),
  /** `[from, to, cost]`. */
  edges: z.array(z.tuple([nodeSchema, nodeSchema, z.number().min(0).max(1e100)])).max(MAX_EDGES),
  /** Whether an edge leads one way only. */
  directed: z.boolean().default(false),
  /** Both or none: with them the shortest path is sought, without them the shortest tour over all nodes and back. */
  from: nodeSchema.optional(),
  to: nodeSchema.optional(),
});
export type SwarmGraph = z.infer<typeof graphSchema>;

export interface GraphPlan {
  readonly nodes: readonly string[];
  /** By node: neighbours that can be reached, with the number of the edge. */
  readonly next: readonly (readonly { readonly node: number; readonly edge: number }[])[];
  readonly costs: readonly number[];
  /** Start and end of a path; null: a tour over all nodes. */
  readonly ends: { readonly from: number; readonly to: number } | null;
}

const plans = new WeakMap<SwarmGraph, GraphPlan>();

export function graphPlan(graph: SwarmGraph): GraphPlan {
  const known = plans.get(graph);
  if (known) return known;
  const indexOf = new Map(graph.nodes.map((node, at) => [node, at]));
  const next: { node: number; edge: number }[][] = graph.nodes.map(() => []);
  for (const [edge, [from, to]] of graph.edges.entries()) {
    const [a = 0, b = 0] = [indexOf.get(from), indexOf.get(to)];
    next[a]?.push({ node: b, edge });
    if (!graph.directed) next[b]?.push({ node: a, edge });
  }
  const { from, to } = graph;
  const ends =
    from === undefined || to === undefined ? null : { from: indexOf.get(from) ?? 0, to: indexOf.get(to) ?? 0 };
  const plan = { nodes: graph.nodes, next, costs: graph.edges.map(([, , cost]) => cost), ends };
  plans.set(graph, plan);
  return plan;
}

/** The edge between two nodes, or undefined. */
export const edgeBetween = ({ next }: GraphPlan, from: number, to: number): number | undefined =>
  next[from]?.find(({ node }) => node === to)?.edge;

/** The edges along a way; of a tour the one back to its start too. */
export function edgesAlong(plan: GraphPlan, way: readonly number[]): number[] {
  const closed = plan.ends === null && way[0] !== undefined ? [...way, way[0]] : way;
  return closed.slice(1).flatMap((node, at) => edgeBetween(plan, closed[at] ?? -1, node) ?? []);
}

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

export function checkGraph(graph: SwarmGraph): WorkflowProblem | null {
  return checkNames(graph) ?? checkEnds(graph) ?? (graph.from === undefined ? checkTour(graph) : checkPath(graph));
}

function checkNames({ nodes, edges, directed }: SwarmGraph): WorkflowProblem | null {
  const known = new Set<string>();
  for (const [at, node] of nodes.entries()) {
    if (known.has(node)) return invalid(`options.graph.nodes[${at}]`, `duplicate node "${node}"`);
    known.add(node);
  }
  const seen = new Set<string>();
  for (const [at, [from, to]] of edges.entries()) {
    const path = `options.graph.edges[${at}]`;
    const dangling = [from, to].findIndex((node) => !known.has(node));
    if (dangling >= 0) return invalid(`${path}[${dangling}]`, `no node "${[from, to][dangling]}"`);
    if (from === to) return invalid(path, `an edge from "${from}" to itself leads nowhere`);
    const pair = JSON.stringify(directed || from < to ? [from, to] : [to, from]);
    if (seen.has(pair)) return invalid(path, `a second edge between "${from}" and "${to}"`);
    seen.add(pair);
  }
  return null;
}

function checkEnds({ nodes, from, to }: SwarmGraph): WorkflowProblem | null {
  if ((from === undefined) !== (to === undefined)) {
    const missing = from === undefined ? 'from' : 'to';
    return invalid(
      `options.graph.${missing}`,
      'give both from and to for the shortest path, or none of them for a tour',
    );
  }
  for (const [name, node] of Object.entries({ from, to })) {
    if (node !== undefined && !nodes.includes(node)) return invalid(`options.graph.${name}`, `no node "${node}"`);
  }
  return from !== undefined && from === to
    ? invalid('options.graph.to', `the way from "${from}" to itself has no length`)
    : null;
}

/** Whether a graph with missing edges has a tour at all is hard to tell (NP-complete), so a tour wants them all. */
function checkTour(graph: SwarmGraph): WorkflowProblem | null {
  const plan = graphPlan(graph);
  const { nodes, next } = plan;
  if (nodes.length < 3) return invalid('options.graph.nodes', 'a tour needs at least three nodes');
  const at = next.findIndex((edges) => edges.length < nodes.length - 1);
  if (at < 0) return null;
  const near = new Set(next[at]?.map(({ node }) => node));
  const missing = nodes.findIndex((_, node) => node !== at && !near.has(node));
  const message = `a tour needs an edge between every two nodes: there is none from "${nodes[at]}" to "${nodes[missing]}"`;
  return invalid('options.graph.edges', message);
}

function checkPath(graph: SwarmGraph): WorkflowProblem | null {
  const { next, ends, nodes } = graphPlan(graph);
  if (!ends) return null;
  const reached = new Set([ends.from]);
  for (const node of reached) for (const one of next[node] ?? []) reached.add(one.node);
  const message = `no way leads from "${nodes[ends.from]}" to "${nodes[ends.to]}"`;
  return reached.has(ends.to) ? null : invalid('options.graph.to', message);
}
