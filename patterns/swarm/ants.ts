// Ants (MAX-MIN ant system, Stuetzle and Hoos 2000, in the hyper-cube framework, Blum and Dorigo 2004): they choose their way by the
// pheromone on an edge and by its cost; what the best of a generation and the best of all walked is marked. Pheromone lies between
// a least value and 1 whatever the scale of the scores. Without a barrier: an ant walks by the board as it finds it. Pure.

import type { Random } from '../common/random.ts';
import { edgesAlong, type GraphPlan, graphPlan, type SwarmGraph } from './graph.ts';
import type { Search } from './search.ts';
import type { Place } from './state.ts';

interface Walk {
  readonly plan: GraphPlan;
  /** Of an edge, by pheromone and cost. */
  readonly attraction: (edge: number) => number;
  readonly random: Random;
}

export function antSearch(
  graph: SwarmGraph,
  { evaporation, alpha, beta }: { readonly evaporation: number; readonly alpha: number; readonly beta: number },
): Search {
  const plan = graphPlan(graph);
  const cheapness = cheapnessOf(plan.costs, beta);
  /** Every choice stays possible: near Stuetzle and Hoos' bound for a best way that is found again with probability 0.05. */
  const least = 1 / (2 * plan.nodes.length);

  const walk: Search['scatter'] = (state, random) => {
    const pheromone = state.ants?.pheromone ?? [];
    const attraction = (edge: number) => (pheromone[edge] ?? 1) ** alpha * (cheapness[edge] ?? 0);
    const ant = { plan, attraction, random };
    return { at: plan.ends ? pathOf(ant, plan.ends) : tourOf(ant), velocity: [] };
  };

  const learn: Search['learn'] = ({ state }, at, score) => {
    const { ants = noAnts(plan), members } = state;
    const best = ants.best && ants.best.score <= score ? ants.best : { at, score };
    const ended = ants.ended + 1;
    state.ants =
      ended < members.length
        ? { ...ants, ended, best }
        : { pheromone: marked(ants.pheromone, best.at, state.best?.at ?? best.at), ended: 0, best: null };
  };

  function marked(pheromone: readonly number[], generation: Place, all: Place): number[] {
    const marks = new Map<number, number>();
    for (const way of [generation, all]) {
      for (const edge of new Set(edgesAlong(plan, way))) marks.set(edge, (marks.get(edge) ?? 0) + 0.5);
    }
    return pheromone.map((value, edge) =>
      Math.max(least, Math.min(1, (1 - evaporation) * value + evaporation * (marks.get(edge) ?? 0))),
    );
  }

  return {
    scatter: walk,
    move: walk,
    learn,
    input: (way) => ({ path: namesOf(plan, way), edges: edgesAlong(plan, way).map((edge) => graph.edges[edge] ?? []) }),
    shown: (way) => namesOf(plan, way),
  };
}

/** The board before anything was marked: all of it attracts, so that the first ants look around. */
export const noAnts = ({ costs }: GraphPlan) => ({ pheromone: costs.map(() => 1), ended: 0, best: null });

const namesOf = ({ nodes }: GraphPlan, way: Place): string[] => way.map((node) => nodes[node] ?? '');

/** Relative to the least cost above zero, so that no scale of costs overflows. */
function cheapnessOf(costs: readonly number[], beta: number): number[] {
  const least = costs.reduce((low, cost) => (cost > 0 && cost < low ? cost : low), Number.POSITIVE_INFINITY);
  const unit = Number.isFinite(least) ? least : 1;
  return costs.map((cost) => (unit / Math.max(cost, unit / 10)) ** beta);
}

/** Over all nodes; every edge is there. */
function tourOf(walk: Walk): number[] {
  const { plan, random } = walk;
  const left = new Set(plan.nodes.keys());
  const way = [Math.floor(random.next() * plan.nodes.length)];
  for (let node = way[0]; node !== undefined; node = way.at(-1)) {
    left.delete(node);
    const choice = choose(walk, node, left);
    if (choice === undefined) return way;
    way.push(choice);
  }
  return way;
}

/** From one end to the other without going in circles: a dead end is left by the way it was entered, and not entered again. */
function pathOf(walk: Walk, { from, to }: { readonly from: number; readonly to: number }): number[] {
  const left = new Set(walk.plan.nodes.keys());
  left.delete(from);
  const way = [from];
  for (let node = way.at(-1); node !== undefined && node !== to; node = way.at(-1)) {
    const choice = choose(walk, node, left);
    if (choice === undefined) {
      way.pop();
      continue;
    }
    left.delete(choice);
    way.push(choice);
  }
  return way;
}

/** One of the neighbours that are left, by the attraction of the edges. */
function choose({ plan, attraction, random }: Walk, node: number, left: ReadonlySet<number>): number | undefined {
  const near = (plan.next[node] ?? []).filter((one) => left.has(one.node));
  const weights = near.map(({ edge }) => attraction(edge));
  let rest = random.next() * weights.reduce((sum, weight) => sum + weight, 0);
  const at = weights.findIndex((weight) => {
    rest -= weight;
    return rest < 0;
  });
  return near.at(at)?.node;
}
