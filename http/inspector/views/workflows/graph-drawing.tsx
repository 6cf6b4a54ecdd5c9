// Draws a graph: boxes in layers, lines between them, states as colour, shape and word. Boxes are links that choose their step.

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { href, route } from '../../router.ts';
import { toneOf } from '../../ui/badge.tsx';
import { Loading } from '../../ui/states.tsx';
import { elkInput, type Graph, type GraphNode, NODE } from './graph.ts';
import { type Laid, layOut } from './layout.ts';

interface DrawingProps {
  readonly graph: Graph;
  readonly chosen: string | undefined;
  readonly critical: readonly string[];
}

const NARROW_PX = 620;

export function GraphDrawing({ graph, chosen, critical }: DrawingProps) {
  const laid = useSignal<{ readonly shape: string; readonly laid: Laid } | null>(null);
  const failed = useSignal(false);
  const box = useRef<HTMLDivElement>(null);
  const narrow = innerWidth < NARROW_PX;
  const input = elkInput(graph, narrow ? 'DOWN' : 'RIGHT');
  const shape = JSON.stringify([narrow, input.children.map(({ id }) => id), input.edges]);
  useEffect(() => {
    let left = false;
    layOut(input).then(
      (done) => {
        if (!left) laid.value = { shape, laid: done };
      },
      () => {
        failed.value = true;
      },
    );
    return () => {
      left = true;
    };
  }, [shape]);
  if (failed.value) return <p class="note">The graph could not be laid out here. The steps are in the table below.</p>;
  if (laid.value === null) return <Loading what="graph" />;
  const { width, height, nodes, edges } = laid.value.laid;
  const lit = new Set(critical);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="graph" ref={box} tabIndex={0} aria-label="Graph of the steps">
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-label={`${graph.nodes.length} boxes`}>
        <title>Steps and what they depend on</title>
        <g class="edges">
          {edges.map((points, at) => {
            const edge = graph.edges[at];
            const both = edge !== undefined && lit.has(edge.from) && lit.has(edge.to);
            return <path key={`${edge?.from} ${edge?.to}`} class={both ? 'edge is-lit' : 'edge'} d={pathOf(points)} />;
          })}
        </g>
        {graph.nodes.map((node) => {
          const place = nodes.get(node.id);
          return place ? (
            <NodeBox key={node.id} node={node} {...place} chosen={node.id === chosen} lit={lit.has(node.id)} />
          ) : null;
        })}
      </svg>
    </section>
  );
}

function pathOf(points: readonly { readonly x: number; readonly y: number }[]): string {
  return points.map(({ x, y }, at) => `${at === 0 ? 'M' : 'L'}${x} ${y}`).join('');
}

interface NodeBoxProps {
  readonly node: GraphNode;
  readonly x: number;
  readonly y: number;
  readonly chosen: boolean;
  readonly lit: boolean;
}

function NodeBox({ node, x, y, chosen, lit }: NodeBoxProps) {
  const { view, path, query } = route.value;
  const states = Object.entries(node.counts)
    .map(([state, n]) => (node.steps.length === 1 ? state : `${n} ${state}`))
    .join(', ');
  const title = cut(node.title, 22);
  const note = cut(node.steps.length === 1 ? `${node.state}${node.note ? ` · ${node.note}` : ''}` : node.note, 27);
  return (
    <a
      href={href([view, ...path], { ...query, step: node.id })}
      class={`node tone-${toneOf(node.state)} ${chosen ? 'is-chosen' : ''} ${lit ? 'is-lit' : ''}`}
      aria-current={chosen ? 'true' : undefined}
    >
      <title>{`${node.title} ${node.note}\n${states}${lit ? ', on the critical path' : ''}`}</title>
      <rect class="node-box" x={x} y={y} width={NODE.width} height={NODE.height} rx="5" />
      <rect class="node-state" x={x} y={y + 6} width="3" height={NODE.height - 12} />
      <text class="node-title" x={x + 12} y={y + 18}>
        {title}
      </text>
      <text class="node-note" x={x + 12} y={y + 34}>
        {note}
      </text>
      {node.steps.length > 1 ? <Shares node={node} x={x} y={y + NODE.height - 4} /> : null}
    </a>
  );
}

/** How many of a group are in which state, as a bar along its lower edge. */
function Shares({ node, x, y }: { readonly node: GraphNode; readonly x: number; readonly y: number }) {
  let from = 0;
  return (
    <>
      {Object.entries(node.counts).map(([state, n]) => {
        const width = (n / node.steps.length) * NODE.width;
        const at = from;
        from += width;
        return <rect key={state} class={`share tone-${toneOf(state)}`} x={x + at} y={y} width={width} height="4" />;
      })}
    </>
  );
}

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
