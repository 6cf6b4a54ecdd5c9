// A swarm before its first evaluation: every member at a random place. And which way of searching the options ask for. Pure.

import { randomFrom } from '../common/random.ts';
import { antSearch, noAnts } from './ants.ts';
import { graphPlan } from './graph.ts';
import type { SwarmOptions } from './options.ts';
import { particleSearch } from './particles.ts';
import type { Search } from './search.ts';
import type { Member, SwarmState } from './state.ts';

const searches = new WeakMap<SwarmOptions, Search>();

export function searchOf(options: SwarmOptions): Search {
  const known = searches.get(options);
  if (known) return known;
  const search = options.graph ? antSearch(options.graph, options) : particleSearch(options);
  searches.set(options, search);
  return search;
}

export function initialSwarm(options: SwarmOptions, seed: number): SwarmState {
  const random = randomFrom(options.seed ?? seed);
  const empty: SwarmState = {
    ended: null,
    random: random.state,
    members: [],
    started: 0,
    evaluations: 0,
    failed: 0,
    best: null,
    gain: { score: null, evaluations: 0 },
    history: [],
    stride: 1,
    improvements: [],
    logged: { improve: 0, respawn: 0 },
    ...(options.graph ? { ants: noAnts(graphPlan(options.graph)) } : {}),
  };
  const { scatter } = searchOf(options);
  const members = Array.from({ length: options.agents }, (): Member => {
    return { next: 0, evaluating: false, best: null, failures: 0, ...scatter(empty, random) };
  });
  return { ...empty, members, random: random.state };
}
