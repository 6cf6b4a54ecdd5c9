// How long a graph of steps takes when only so many may run at once: list scheduling, as the patterns do it. Pure.

import { topologicalOrder } from '../contracts/graph.ts';
import type { GraphStep } from './task-graph.ts';

export interface Schedule {
  readonly makespanMs: number;
  /** Most steps at once. */
  readonly peak: number;
}

/** Of the steps that may start the one goes first that comes first in the order of a sequential run. The graph must have no cycle. */
export function simulate(
  steps: readonly GraphStep[],
  durationMs: (id: string) => number,
  concurrency = Number.POSITIVE_INFINITY,
): Schedule {
  const indexOf = new Map(steps.map((step, index) => [step.id, index]));
  const before = steps.map((step) => [...new Set(step.dependsOn.flatMap((name) => indexOf.get(name) ?? []))]);
  const after: number[][] = steps.map(() => []);
  before.forEach((nodes, node) => {
    for (const earlier of nodes) after[earlier]?.push(node);
  });
  const order = topologicalOrder(before);
  const rank = new Array<number>(steps.length).fill(0);
  order.forEach((node, position) => {
    rank[node] = position;
  });
  const left = before.map((nodes) => nodes.length);
  const ready = new Line((a: number, b: number) => (rank[a] ?? 0) - (rank[b] ?? 0));
  const running = new Line((a: Running, b: Running) => a.untilMs - b.untilMs || a.node - b.node);
  for (const node of order) if (left[node] === 0) ready.add(node);
  let nowMs = 0;
  let peak = 0;
  for (;;) {
    while (ready.size > 0 && running.size < concurrency) {
      const node = ready.take();
      running.add({ node, untilMs: nowMs + durationMs(steps[node]?.id ?? '') });
    }
    peak = Math.max(peak, running.size);
    if (running.size === 0) return { makespanMs: nowMs, peak };
    const { node, untilMs } = running.take();
    nowMs = untilMs;
    for (const next of after[node] ?? []) {
      left[next] = (left[next] ?? 0) - 1;
      if (left[next] === 0) ready.add(next);
    }
  }
}

interface Running {
  readonly node: number;
  readonly untilMs: number;
}

/** Kept in descending order, so that the first one is taken from the end. */
class Line<Item> {
  readonly #items: Item[] = [];
  readonly #compare: (a: Item, b: Item) => number;

  constructor(compare: (a: Item, b: Item) => number) {
    this.#compare = compare;
  }

  get size(): number {
    return this.#items.length;
  }

  add(item: Item): void {
    let from = 0;
    let to = this.#items.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#compare(this.#items[middle] as Item, item) > 0) from = middle + 1;
      else to = middle;
    }
    this.#items.splice(from, 0, item);
  }

  take(): Item {
    if (this.#items.length === 0) throw new RangeError('the line is empty');
    return this.#items.pop() as Item;
  }
}
