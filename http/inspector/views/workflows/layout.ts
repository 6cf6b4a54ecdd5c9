// Lays graphs out with ELK in a thread of its own, loaded when a graph is first drawn.

import type { ElkInput } from './graph.ts';

export interface Laid {
  readonly width: number;
  readonly height: number;
  readonly nodes: ReadonlyMap<string, { readonly x: number; readonly y: number }>;
  /** Points of the lines, in the order of the edges. */
  readonly edges: readonly (readonly { readonly x: number; readonly y: number }[])[];
}

interface ElkOutput {
  readonly width?: number;
  readonly height?: number;
  readonly children?: readonly { readonly id: string; readonly x?: number; readonly y?: number }[];
  readonly edges?: readonly { readonly id: string; readonly sections?: readonly Section[] }[];
}

interface Section {
  readonly startPoint: Point;
  readonly endPoint: Point;
  readonly bendPoints?: readonly Point[];
}
type Point = { readonly x: number; readonly y: number };
interface Elk {
  layout(graph: ElkInput): Promise<ElkOutput>;
}

let elk: Promise<Elk> | undefined;

/** Rejects when the layout cannot be loaded. */
export async function layOut(input: ElkInput): Promise<Laid> {
  elk ??= start();
  const { width = 0, height = 0, children = [], edges = [] } = await (await elk).layout(input);
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

async function start(): Promise<Elk> {
  const [api, { default: workerUrl }] = await Promise.all([
    import('elkjs/lib/elk-api.js'),
    import('elkjs/lib/elk-worker.min.js?url'),
  ]);
  // Its types are those of a default export, which it has only as CommonJS.
  const Api = api.default as unknown as new (options: { readonly workerUrl: string }) => Elk;
  return new Api({ workerUrl });
}
