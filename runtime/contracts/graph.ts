// Directed graphs over node numbers: the order to run them in, and the cycle when there is none. Pure and iterative, so that
// 10,000 nodes in one chain do not exhaust the stack. Patterns check definitions with it, workflows/ plans and measures with it.

/** `edges[node]` = the nodes that must come before it. */
export type Predecessors = readonly (readonly number[])[];

/** The same edges seen from their other end. */
export function successorsOf(before: Predecessors): number[][] {
  const after: number[][] = before.map(() => []);
  before.forEach((nodes, node) => {
    for (const earlier of nodes) after[earlier]?.push(node);
  });
  return after;
}

/**
 * A topological order in which, of the nodes that could come next, the lowest number comes first (Kahn 1962 with a heap).
 * Shorter than the graph when there is a cycle: the nodes left out are those in a cycle or behind one.
 */
export function topologicalOrder(before: Predecessors): number[] {
  const after = successorsOf(before);
  const left = before.map((nodes) => nodes.length);
  const heap = new MinHeap();
  for (let node = 0; node < left.length; node++) if (left[node] === 0) heap.push(node);
  const order: number[] = [];
  for (let node = heap.pop(); node !== undefined; node = heap.pop()) {
    order.push(node);
    for (const next of after[node] ?? []) {
      const remaining = (left[next] ?? 0) - 1;
      left[next] = remaining;
      if (remaining === 0) heap.push(next);
    }
  }
  return order;
}

/** One cycle in the order its nodes would run, starting at its lowest number, which is repeated at the end; null when there is none. */
export function findCycle(before: Predecessors): number[] | null {
  const ordered = new Set(topologicalOrder(before));
  if (ordered.size === before.length) return null;
  // Every node left has a predecessor that is left too, so walking backwards must come round.
  let node = before.findIndex((_, index) => !ordered.has(index));
  const seenAt = new Map<number, number>();
  const walk: number[] = [];
  while (!seenAt.has(node)) {
    seenAt.set(node, walk.length);
    walk.push(node);
    node = (before[node] ?? []).find((earlier) => !ordered.has(earlier)) ?? node;
  }
  const cycle = walk.slice(seenAt.get(node)).reverse();
  const lowest = cycle.indexOf(Math.min(...cycle));
  const turned = [...cycle.slice(lowest), ...cycle.slice(0, lowest)];
  return [...turned, ...turned.slice(0, 1)];
}

class MinHeap {
  readonly #items: number[] = [];

  push(value: number): void {
    const items = this.#items;
    let at = items.push(value) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] ?? 0;
      if (above <= value) break;
      items[at] = above;
      at = parent;
    }
    items[at] = value;
  }

  pop(): number | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    if (top === undefined || last === undefined || items.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && (items[child + 1] ?? 0) < (items[child] ?? 0)) child += 1;
      const below = items[child] ?? 0;
      if (below >= last) break;
      items[at] = below;
      at = child;
    }
    items[at] = last;
    return top;
  }
}
