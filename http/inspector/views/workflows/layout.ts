// Places of the boxes and points of the lines of a graph, by ELK.

import { elkLayout } from '../../ui/elk.ts';
import type { ElkInput } from './graph.ts';

export interface Laid {
  readonly width: number;
  readonly height: number;
  readonly nodes: ReadonlyMap<string, { readonly x: number; readonly y: number }>;
  /** Points of the lines, in the order of the edges. */
  readonly edges: readonly (readonly { readonly x: number; readonly y: number }[])[];
}

/** Rejects when the layout cannot be loaded. */
export async function layOut(input: ElkInput): Promise<Laid> {
  const graph = { ...input, edges: input.edges.map((edge) => ({ ...edge })) };
  const { width = 0, height = 0, children = [], edges = [] } = await elkLayout(graph);
  const byId = new Map(edges.map(({ id, sections = [] }) => [id, sections]));
  return {
    width,
    height,
    nodes: new Map(children.map(({ id, x = 0, y = 0 }) => [id, { x, y }])),
    edges: input.edges.map(({ id }) =>
      (byId.get(id) ?? []).flatMap(({ startPoint, bendPoints = [], endPoint }) => [
        startPoint,
        ...bendPoints,
        endPoint,
      ]),
    ),
  };
}
