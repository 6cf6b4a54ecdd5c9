// The graph of a run as it is drawn: a node per step, or, of a run with many steps, a node per group. Pure.

import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';

export type Step = WorkflowView['tasks'][number];
type State = Step['state'];
export type GraphStep = Pick<Step, 'id' | 'state' | 'dependsOn'> & Partial<Pick<Step, 'capability' | 'workflowId'>>;

export interface GraphNode {
  readonly id: string;
  /** First line: the step, or what a group is of. */
  readonly title: string;
  /** Second line: the capability, or how many steps. */
  readonly note: string;
  readonly steps: readonly string[];
  /** Of its steps by state. */
  readonly counts: Readonly<Partial<Record<State, number>>>;
  /** The most urgent state of its steps. */
  readonly state: State;
  readonly level: number;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly { readonly from: string; readonly to: string; readonly count: number }[];
  readonly levels: number;
  /** Whether nodes stand for several steps. */
  readonly grouped: boolean;
}

/** What is shown of a group: failures first, then what is at work. */
const URGENCY: readonly State[] = [
  'failed',
  'waiting',
  'running',
  'queued',
  'blocked',
  'cancelled',
  'skipped',
  'completed',
];

/** The longest way to each step from a step that depends on nothing. Dependencies that are not among the steps do not count. */
export function levelsOf(steps: readonly GraphStep[]): ReadonlyMap<string, number> {
  const known = new Set(steps.map(({ id }) => id));
  const left = new Map<string, number>();
  const after = new Map<string, string[]>();
  for (const { id, dependsOn } of steps) {
    const before = [...new Set(dependsOn)].filter((one) => known.has(one) && one !== id);
    left.set(id, before.length);
    for (const one of before) after.set(one, [...(after.get(one) ?? []), id]);
  }
  const level = new Map<string, number>();
  const ready = steps.filter(({ id }) => left.get(id) === 0).map(({ id }) => id);
  for (const id of ready) level.set(id, 0);
  for (let at = 0; at < ready.length; at += 1) {
    const id = ready[at] ?? '';
    for (const next of after.get(id) ?? []) {
      level.set(next, Math.max(level.get(next) ?? 0, (level.get(id) ?? 0) + 1));
      const rest = (left.get(next) ?? 0) - 1;
      left.set(next, rest);
      if (rest === 0) ready.push(next);
    }
  }
  for (const { id } of steps) if (!level.has(id)) level.set(id, 0);
  return level;
}

/**
 * At most `most` nodes: one per step; else one per level and capability; else one per band of neighbouring levels.
 */
export function graphOf(steps: readonly GraphStep[], most = 120): Graph {
  const levels = levelsOf(steps);
  const depth = steps.reduce((deepest, { id }) => Math.max(deepest, (levels.get(id) ?? 0) + 1), 0);
  const levelOf = (step: GraphStep): number => levels.get(step.id) ?? 0;
  if (steps.length <= most) return build(steps, levelOf, depth, (step) => step.id, false);
  const byCapability = (step: GraphStep): string => `${levelOf(step)} ${step.capability ?? ''}`;
  if (new Set(steps.map(byCapability)).size <= most) return build(steps, levelOf, depth, byCapability, true);
  const band = Math.ceil(depth / most);
  return build(steps, levelOf, depth, (step) => `${Math.floor(levelOf(step) / band) * band}–`, true);
}

function build(
  steps: readonly GraphStep[],
  levelOf: (step: GraphStep) => number,
  levels: number,
  groupOf: (step: GraphStep) => string,
  grouped: boolean,
): Graph {
  const groups = new Map<string, GraphStep[]>();
  const home = new Map<string, string>();
  for (const step of steps) {
    const group = groupOf(step);
    home.set(step.id, group);
    const known = groups.get(group);
    if (known) known.push(step);
    else groups.set(group, [step]);
  }
  const counted = new Map<string, { from: string; to: string; count: number }>();
  for (const { id, dependsOn } of steps)
    for (const before of new Set(dependsOn)) {
      const [from, to] = [home.get(before), home.get(id)];
      if (from === undefined || to === undefined || from === to) continue;
      const key = JSON.stringify([from, to]);
      const edge = counted.get(key) ?? { from, to, count: 0 };
      edge.count += 1;
      counted.set(key, edge);
    }
  const nodes = [...groups].map(([id, members]) => nodeOf(id, members, members.map(levelOf), grouped));
  return { nodes: nodes.sort((a, b) => a.level - b.level), edges: [...counted.values()], levels, grouped };
}

function nodeOf(id: string, members: readonly GraphStep[], levels: readonly number[], grouped: boolean): GraphNode {
  const counts: Partial<Record<State, number>> = {};
  for (const { state } of members) counts[state] = (counts[state] ?? 0) + 1;
  const [first] = members;
  const [low, high] = [levels.reduce((a, b) => Math.min(a, b)), levels.reduce((a, b) => Math.max(a, b))];
  const capabilities = new Set(members.map(({ capability }) => capability));
  const kind = capabilities.size === 1 ? (first?.capability ?? 'steps') : 'steps';
  return {
    id,
    title: grouped ? (low === high ? `level ${low + 1}` : `levels ${low + 1} to ${high + 1}`) : (first?.id ?? id),
    note: grouped ? `${members.length} × ${kind}` : (first?.capability ?? (first?.workflowId ? 'workflow' : '')),
    steps: members.map((step) => step.id),
    counts,
    state: URGENCY.find((state) => counts[state] !== undefined) ?? 'blocked',
    level: low,
  };
}

/** Of a box in the drawing, in pixels. */
export const NODE = { width: 168, height: 44 };

export interface ElkInput {
  readonly id: string;
  readonly layoutOptions: Readonly<Record<string, string>>;
  readonly children: { id: string; width: number; height: number }[];
  readonly edges: { id: string; sources: string[]; targets: string[] }[];
}

/** What the layout is asked for: layers from left to right (`RIGHT`) or downwards (`DOWN`). */
export function elkInput(graph: Graph, direction: 'RIGHT' | 'DOWN'): ElkInput {
  return {
    id: 'run',
    layoutOptions: {
      'elk.algorithm': 'layered',
      'elk.direction': direction,
      'elk.layered.spacing.nodeNodeBetweenLayers': '36',
      'elk.spacing.nodeNode': '14',
      'elk.edgeRouting': 'ORTHOGONAL',
      'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
    },
    children: graph.nodes.map(({ id }) => ({ id, ...NODE })),
    edges: graph.edges.map(({ from, to }, at) => ({ id: `e${at}`, sources: [from], targets: [to] })),
  };
}
