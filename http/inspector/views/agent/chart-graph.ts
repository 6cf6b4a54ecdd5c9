// A statechart as a graph: states as nested nodes, transitions between the same two as one edge. Pure.

import type { ElkExtendedEdge, ElkNode } from 'elkjs/lib/elk-api.js';
import type { Statechart } from '../../../../runtime/contracts/inspection.ts';

export interface ChartEdge {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  /** Names of the events. */
  readonly events: readonly string[];
}

export interface ChartGraph {
  readonly elk: ElkNode;
  readonly edges: readonly ChartEdge[];
  /** Paths of the states, dotted from the root. */
  readonly names: ReadonlyMap<string, string>;
}

type Json = Readonly<Record<string, unknown>>;

const ROOT = '(machine)';
const CHAR_PX = 7.2;
const STATE_PX = 28;

/** `down`: from top to bottom, for narrow screens. */
export function chartGraph({ definition, id }: Statechart, down: boolean): ChartGraph {
  const names = new Map<string, string>();
  const edges = new Map<string, ChartEdge>();
  const children = nodesOf(definition, '', names);
  collect(definition, '', { id, names, edges });
  return {
    names,
    edges: [...edges.values()],
    elk: {
      id: ROOT,
      layoutOptions: {
        'elk.algorithm': 'layered',
        'elk.direction': down ? 'DOWN' : 'RIGHT',
        'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
        'elk.json.edgeCoords': 'ROOT',
        'elk.edgeRouting': 'ORTHOGONAL',
        'elk.spacing.nodeNode': '22',
        'elk.spacing.edgeNode': '14',
        'elk.spacing.edgeEdge': '8',
        'elk.layered.spacing.nodeNodeBetweenLayers': '54',
        'elk.layered.considerModelOrder.strategy': 'NODES_AND_EDGES',
      },
      children,
      edges: [...edges.values()].map(
        ({ id: edge, from, to }): ElkExtendedEdge => ({ id: edge, sources: [from], targets: [to] }),
      ),
    },
  };
}

function statesOf(definition: Json): readonly (readonly [string, Json])[] {
  const { states } = definition;
  return typeof states === 'object' && states !== null ? Object.entries(states as Record<string, Json>) : [];
}

function nodesOf(definition: Json, path: string, names: Map<string, string>): ElkNode[] {
  return statesOf(definition).map(([name, state]) => {
    const id = path === '' ? name : `${path}.${name}`;
    names.set(id, name);
    const children = nodesOf(state, id, names);
    const width = Math.ceil(name.length * CHAR_PX) + 26;
    return children.length === 0
      ? { id, width, height: STATE_PX }
      : {
          id,
          children,
          layoutOptions: {
            'elk.padding': '[top=30,left=12,bottom=12,right=12]',
            'elk.nodeSize.minimum': `(${width},60)`,
          },
        };
  });
}

interface Collecting {
  readonly id: string;
  readonly names: ReadonlyMap<string, string>;
  readonly edges: Map<string, ChartEdge>;
}

function collect(definition: Json, path: string, into: Collecting): void {
  for (const [name, state] of statesOf(definition)) {
    const from = path === '' ? name : `${path}.${name}`;
    for (const [event, target] of transitionsOf(state)) {
      const to = resolveTarget(target, from, into);
      if (to !== undefined && to !== from) addEdge(into.edges, { from, to, event });
    }
    collect(state, from, into);
  }
}

function addEdge(
  edges: Map<string, ChartEdge>,
  { from, to, event }: { from: string; to: string; event: string },
): void {
  const id = `${from}>${to}`;
  const events = edges.get(id)?.events ?? [];
  if (!events.includes(event)) edges.set(id, { id, from, to, events: [...events, event] });
}

/** Pairs of event and target, of `on`, `always` and `after`. */
function transitionsOf(state: Json): readonly (readonly [string, string])[] {
  const after = Object.entries((state.after ?? {}) as Json).map(([delay, to]) => [`after ${delay}`, to] as const);
  const all = [...Object.entries((state.on ?? {}) as Json), ...after, ['always', state.always] as const];
  return all.flatMap(([event, to]) => targetsOf(to).map((target) => [event, target] as const));
}

function targetsOf(to: unknown): readonly string[] {
  if (typeof to === 'string') return [to];
  if (Array.isArray(to)) return to.flatMap(targetsOf);
  if (typeof to === 'object' && to !== null && 'target' in to) return targetsOf(to.target);
  return [];
}

/** XState: `#id` is absolute, `.name` a child, everything else a sibling. */
function resolveTarget(target: string, from: string, { id, names }: Collecting): string | undefined {
  const parent = from.includes('.') ? from.slice(0, from.lastIndexOf('.')) : '';
  const path = target.startsWith('#')
    ? target.slice(1).replace(new RegExp(`^${id.replaceAll(/[^\w]/g, '\\$&')}\\.?`), '')
    : target.startsWith('.')
      ? `${from}${target}`
      : parent === ''
        ? target
        : `${parent}.${target}`;
  return names.has(path) ? path : undefined;
}
