// The cost of a way through a graph, as ants of a swarm propose it: the sum over its edges, once they are seen to join the nodes.

import { z } from 'zod';

const nodeSchema = z.string().min(1).max(100);

export const pathCostSchema = z.strictObject({
  path: z.array(nodeSchema).min(2).max(10_000).meta({ description: 'Nodes in the order they are visited.' }),
  edges: z
    .array(z.tuple([nodeSchema, nodeSchema, z.number()]))
    .min(1)
    .max(10_000)
    .meta({
      description:
        'The [from, to, cost] between each two nodes in turn; one more leads from the last node to the first.',
    }),
});
export type PathCostInput = z.infer<typeof pathCostSchema>;

export type PathCost = { readonly ok: true; readonly score: number } | { readonly ok: false; readonly reason: string };

/** Edges may be walked both ways. As many edges as nodes make a tour. */
export function pathCost({ path, edges }: PathCostInput): PathCost {
  const hops = path.length - 1;
  if (edges.length !== hops && edges.length !== hops + 1)
    return {
      ok: false,
      reason: `a path of ${path.length} nodes has ${hops} edges, a tour ${hops + 1}; given are ${edges.length}`,
    };
  const wrong = edges.findIndex(([from, to], at) => {
    const [left, right] = [path[at], path[(at + 1) % path.length]];
    return !((from === left && to === right) || (from === right && to === left));
  });
  if (wrong >= 0) {
    const [left, right] = [path[wrong], path[(wrong + 1) % path.length]];
    return { ok: false, reason: `edges[${wrong}] does not join "${left}" and "${right}"` };
  }
  return { ok: true, score: edges.reduce((sum, [, , cost]) => sum + cost, 0) };
}
