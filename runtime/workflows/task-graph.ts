// A graph of steps by name, for planning and measuring: order, cycle, levels, critical path, transitive reduction. Pure.

import { findCycle, type Predecessors, topologicalOrder } from '../contracts/graph.ts';

export interface GraphStep {
  readonly id: string;
  readonly dependsOn: readonly string[];
}

interface Numbered {
  readonly ids: readonly string[];
  readonly before: Predecessors;
}

/** Names of steps that do not exist, and repetitions, are left out. */
function numbered(steps: readonly GraphStep[]): Numbered {
  const indexOf = new Map(steps.map((step, index) => [step.id, index]));
  const before = steps.map((step) => [...new Set(step.dependsOn.flatMap((name) => indexOf.get(name) ?? []))]);
  return { ids: steps.map((step) => step.id), before };
}

const named = (ids: readonly string[], nodes: readonly number[]): string[] => nodes.map((node) => ids[node] ?? '');

/** The order a sequential run takes: dependencies first, of equals the one declared first. Leaves out what is in or behind a cycle. */
export function orderOf(steps: readonly GraphStep[]): string[] {
  const { ids, before } = numbered(steps);
  return named(ids, topologicalOrder(before));
}

/** `a → b → c → a` as `['a', 'b', 'c', 'a']`, in the order they would run; null when there is no cycle. */
export function cycleOf(steps: readonly GraphStep[]): string[] | null {
  const { ids, before } = numbered(steps);
  const cycle = findCycle(before);
  return cycle && named(ids, cycle);
}

/** Waves that could run together if every step took equally long: level n needs something of level n - 1. */
export function levelsOf(steps: readonly GraphStep[]): string[][] {
  const { ids, before } = numbered(steps);
  const level = new Array<number>(ids.length).fill(0);
  const levels: string[][] = [];
  for (const node of topologicalOrder(before)) {
    const own = Math.max(-1, ...(before[node] ?? []).map((earlier) => level[earlier] ?? 0)) + 1;
    level[node] = own;
    const wave = levels[own];
    if (wave) wave.push(ids[node] ?? '');
    else levels[own] = [ids[node] ?? ''];
  }
  return levels;
}

export interface CriticalPath {
  readonly lengthMs: number;
  /** From first to last. */
  readonly steps: readonly string[];
}

/**
 * The chain of dependencies that takes longest: no schedule, however parallel, is shorter. Of equals the one of more steps (steps may take no
 * time that a clock shows), then the one declared first.
 */
export function criticalPathOf(steps: readonly GraphStep[], durationMs: (id: string) => number): CriticalPath {
  const { ids, before } = numbered(steps);
  const until = new Array<number>(ids.length).fill(0);
  const depth = new Array<number>(ids.length).fill(0);
  const longer = (node: number, than: number): boolean => {
    const [one, other] = [until[node] ?? 0, until[than] ?? 0];
    return one > other || (one === other && (depth[node] ?? 0) > (depth[than] ?? 0));
  };
  const via = new Array<number>(ids.length).fill(-1);
  let last = -1;
  for (const node of topologicalOrder(before)) {
    for (const earlier of before[node] ?? []) {
      const known = via[node] ?? -1;
      if (known < 0 || longer(earlier, known)) via[node] = earlier;
    }
    const previous = via[node] ?? -1;
    until[node] = (previous < 0 ? 0 : (until[previous] ?? 0)) + durationMs(ids[node] ?? '');
    depth[node] = previous < 0 ? 1 : (depth[previous] ?? 0) + 1;
    if (last < 0 || longer(node, last)) last = node;
  }
  const path: number[] = [];
  for (let node = last; node >= 0; node = via[node] ?? -1) path.unshift(node);
  return { lengthMs: last < 0 ? 0 : (until[last] ?? 0), steps: named(ids, path) };
}

/**
 * The same graph without the edges that say nothing new (transitive reduction, Aho, Garey and Ullman 1972): `a` stays a dependency of
 * `c` only if no other dependency of `c` needs `a` already. The graph must have no cycle.
 */
export function reduced(steps: readonly GraphStep[]): GraphStep[] {
  const { ids, before } = numbered(steps);
  const rank = new Array<number>(ids.length).fill(0);
  topologicalOrder(before).forEach((node, position) => {
    rank[node] = position;
  });
  return ids.map((id, node) => {
    const own = before[node] ?? [];
    const needless = behind(before, rank, own);
    return {
      id,
      dependsOn: named(
        ids,
        own.filter((earlier) => !needless.has(earlier)),
      ),
    };
  });
}

/** Which of `nodes` another of them needs. Looks no further back than the earliest of them. */
function behind(before: Predecessors, rank: readonly number[], nodes: readonly number[]): Set<number> {
  const earliest = Math.min(...nodes.map((node) => rank[node] ?? 0));
  const wanted = new Set(nodes);
  const found = new Set<number>();
  const seen = new Set<number>();
  const stack = nodes.flatMap((node) => before[node] ?? []);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (seen.has(node) || (rank[node] ?? 0) < earliest) continue;
    seen.add(node);
    if (wanted.has(node)) found.add(node);
    stack.push(...(before[node] ?? []));
  }
  return found;
}
