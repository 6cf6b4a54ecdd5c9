// A statechart with the state it is in lit, and what can happen from there in words.

import { useSignal } from '@preact/signals';
import type { ElkExtendedEdge, ElkNode } from 'elkjs/lib/elk-api.js';
import { useEffect, useMemo } from 'preact/hooks';
import type { Statechart } from '../../../../runtime/contracts/inspection.ts';
import { elkLayout } from '../../ui/elk.ts';
import { type ChartEdge, type ChartGraph, chartGraph } from './chart-graph.ts';
import './chart.css';

export function Chart({ chart }: { readonly chart: Statechart }) {
  const definition = JSON.stringify(chart.definition);
  const down = matchMedia('(max-width: 760px)').matches;
  // With the definition, not with every new state.
  const graph = useMemo(() => chartGraph(chart, down), [definition, down]);
  const laid = useSignal<ElkNode | null>(null);
  const failed = useSignal(false);
  useEffect(() => {
    let gone = false;
    elkLayout(structuredClone(graph.elk)).then(
      (result) => {
        if (!gone) laid.value = result;
      },
      () => {
        failed.value = true;
      },
    );
    return () => {
      gone = true;
    };
  }, [graph, laid, failed]);
  const active = activeIds(chart.active);
  const now = chart.active.join(', ') || String(chart.status);
  return (
    <>
      <p class="chart-now">
        Now <b>{now}</b>
        {chart.status === 'active' ? '' : `, ${chart.status}`}
        {chart.events.length > 0 ? <span class="muted"> · can take {chart.events.join(', ')}</span> : null}
      </p>
      {laid.value === null ? (
        <p class="muted">{failed.value ? 'The drawing could not be loaded: load the page again.' : 'Drawing …'}</p>
      ) : (
        <Drawing laid={laid.value} graph={graph} active={active} label={`Statechart ${chart.id}, now ${now}`} />
      )}
    </>
  );
}

/** A nested state lights the states around it too. */
function activeIds(active: readonly string[]): ReadonlySet<string> {
  return new Set(
    active.flatMap((id) => id.split('.').map((_part, index, parts) => parts.slice(0, index + 1).join('.'))),
  );
}

interface DrawingProps {
  readonly laid: ElkNode;
  readonly graph: ChartGraph;
  readonly active: ReadonlySet<string>;
  readonly label: string;
}

function Drawing({ laid, graph, active, label }: DrawingProps) {
  const { width = 0, height = 0 } = laid;
  const sections = new Map((laid.edges ?? []).map((edge) => [edge.id ?? '', edge]));
  const from = (edge: ChartEdge): boolean => active.has(edge.from);
  // What leads on from here is drawn over the rest.
  const edges = graph.edges.toSorted((a, b) => Number(from(a)) - Number(from(b)));
  return (
    <div class="chart">
      <svg role="img" aria-label={label} viewBox={`0 0 ${width} ${height}`} style={{ width: `${width}px` }}>
        <defs>
          <marker id="chart-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M0 0 8 4 0 8z" fill="context-stroke" />
          </marker>
        </defs>
        <States nodes={laid.children ?? []} names={graph.names} active={active} x={0} y={0} />
        {edges.map((edge) => (
          <Edge key={edge.id} edge={edge} drawn={sections.get(edge.id)} lit={from(edge)} />
        ))}
      </svg>
    </div>
  );
}

interface StatesProps {
  readonly nodes: readonly ElkNode[];
  readonly names: ReadonlyMap<string, string>;
  readonly active: ReadonlySet<string>;
  readonly x: number;
  readonly y: number;
}

function States({ nodes, names, active, x, y }: StatesProps) {
  return (
    <>
      {nodes.map(({ id, x: dx = 0, y: dy = 0, width = 0, height = 0, children = [] }) => {
        const [left, top] = [x + dx, y + dy];
        const nested = children.length > 0;
        return (
          <g key={id} class={`chart-state ${active.has(id) ? 'is-lit' : ''} ${nested ? 'is-nested' : ''}`}>
            <rect x={left} y={top} width={width} height={height} rx="5" />
            <text
              x={nested ? left + 12 : left + width / 2}
              y={nested ? top + 19 : top + height / 2 + 4}
              text-anchor={nested ? 'start' : 'middle'}
            >
              {names.get(id)}
            </text>
            <States nodes={children} names={names} active={active} x={left} y={top} />
          </g>
        );
      })}
    </>
  );
}

function Edge({
  edge,
  drawn,
  lit,
}: {
  readonly edge: ChartEdge;
  readonly drawn: ElkExtendedEdge | undefined;
  readonly lit: boolean;
}) {
  const [section] = drawn?.sections ?? [];
  if (!section) return null;
  const points = [section.startPoint, ...(section.bendPoints ?? []), section.endPoint];
  return (
    <path
      class={`chart-edge ${lit ? 'is-lit' : ''}`}
      d={`M${points.map(({ x, y }) => `${x} ${y}`).join('L')}`}
      marker-end="url(#chart-arrow)"
    >
      <title>
        {edge.from} to {edge.to}: {edge.events.join(', ')}
      </title>
    </path>
  );
}
