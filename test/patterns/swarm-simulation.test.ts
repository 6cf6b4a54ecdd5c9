// Thousands of seeded swarms: particles and ants, lost evaluations, answers in any order, late and doubled, crashes, stops.

import { expect, it } from 'vitest';
import { evaluateObjective } from '../../actors/analysis/functions.ts';
import { pathCost, pathCostSchema } from '../../actors/analysis/path-cost.ts';
import type { SwarmOutput } from '../../patterns/swarm/end.ts';
import { swarm } from '../../patterns/swarm.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { strategyConformance } from '../../runtime/testing/conformance.ts';
import type { SimulationOptions, SimulationResult } from '../../runtime/testing/simulation-options.ts';
import { seededRandom } from '../kit/coordination-simulator.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);
const BODIES = 50;
/** A machine that does other things too. */
const TIMEOUT_MS = 60_000 + SEEDS * 100;

type Mode = 'pso' | 'aco';
const NODES = ['a', 'b', 'c', 'd', 'e', 'f'];

function spaceOf(mode: Mode, random: () => number): object {
  if (mode === 'pso') {
    const bounds = Array.from({ length: 1 + Math.floor(random() * 3) }, () => [-5, 5]);
    return { bounds, atBounds: random() < 0.5 ? 'clamp' : 'reflect' };
  }
  const all = NODES.flatMap((from, at) => NODES.slice(at + 1).map((to) => [from, to, Math.floor(random() * 10)]));
  if (random() < 0.5) return { mode, graph: { nodes: NODES, edges: all } };
  // a line through all nodes, so that the end can be reached, and some edges more
  const edges = all.filter(([from, to]) => random() < 0.4 || NODES.indexOf(`${to}`) - NODES.indexOf(`${from}`) === 1);
  return { mode, graph: { nodes: NODES, edges, from: 'a', to: 'f', directed: random() < 0.3 } };
}

function bodyOf(seed: number, mode: Mode): CreateWorkflow {
  const random = seededRandom(seed);
  const upTo = (most: number) => 1 + Math.floor(random() * most);
  const bound = random();
  const options = {
    ...spaceOf(mode, random),
    agents: upTo(6),
    ...(bound < 0.7 ? { maxIterations: upTo(8) } : {}),
    ...(bound > 0.4 ? { maxEvaluations: upTo(30) } : {}),
    ...(random() < 0.3 ? { target: mode === 'pso' ? 8 : 12 } : {}),
    ...(random() < 0.3 ? { stagnation: { iterations: upTo(3) } } : {}),
    ...(random() < 0.5 ? { minAlive: random(), lostAfter: upTo(3) } : {}),
  };
  return { objective: { capability: 'probe.run', input: { kept: true } }, options, seed };
}

/** Real scores; one evaluation in six is lost, one in twenty answers nonsense. */
const outcome: SimulationOptions['outcome'] = (_step, _round, random, command) => {
  const chance = random();
  if (chance < 0.15) return { fails: 'agent gone' };
  if (chance < 0.2) return { output: { score: 'high' } };
  const { kept, ...input } = (command.type === 'schedule' ? command.task.input : {}) as { kept: boolean; x?: number[] };
  expect(kept).toBe(true);
  if (input.x) return { output: { score: evaluateObjective('rastrigin', input.x) } };
  const cost = pathCost(pathCostSchema.parse(input));
  if (!cost.ok) throw new Error(cost.reason);
  return { output: { score: cost.score } };
};

interface SwarmLimits {
  readonly agents: number;
  readonly maxIterations?: number;
  readonly maxEvaluations?: number;
  readonly target?: number;
}

/** Looks at the history alone, without the state of the strategy. */
function inspect(result: SimulationResult, body: CreateWorkflow): void {
  const { agents, maxIterations, maxEvaluations, target } = body.options as unknown as SwarmLimits;
  const output = result.end.output as SwarmOutput;
  expect(result.maxInFlight).toBeLessThanOrEqual(agents);
  expect(result.scheduled.length).toBeLessThanOrEqual(maxEvaluations ?? Number.POSITIVE_INFINITY);
  const inputs = new Map(result.scheduled.map(({ key, input }) => [key, input as { x?: number[]; path?: string[] }]));
  const last = new Map<string, number>();
  for (const { key } of result.scheduled) {
    const [member = '', round] = key.split('/');
    expect(Number(round), `${key} follows its last round`).toBe((last.get(member) ?? -1) + 1);
    expect(Number(round)).toBeLessThan(maxIterations ?? Number.POSITIVE_INFINITY);
    last.set(member, Number(round));
  }
  const seen = new Set<string>();
  let best: { score: number; key: string } | undefined;
  let evaluations = 0;
  for (const event of result.journal.slice(0, result.endedAfter)) {
    if (event.type !== 'step.completed' && event.type !== 'step.failed') continue;
    const key = `${event.step}/${event.round}`;
    if (seen.has(key)) continue;
    seen.add(key);
    evaluations += 1;
    const score = event.type === 'step.completed' ? (event.output as { score: unknown }).score : undefined;
    if (typeof score === 'number' && (best === undefined || score < best.score)) best = { score, key };
  }
  expect(output.evaluations).toBe(evaluations);
  expect(output.bestScore).toBe(best?.score ?? null);
  const { x, path } = inputs.get(best?.key ?? '') ?? {};
  expect(output.best).toEqual(best ? (x ?? path) : null);
  const improved = result.decisions.filter(({ kind }) => kind === 'improve');
  expect(improved.map(({ candidates }) => candidates?.[0]?.score)).toEqual(
    output.improvements.map(({ score }) => score),
  );
  const reached = target !== undefined && best !== undefined && best.score <= target;
  expect(result.end.stopReason === 'target_reached').toBe(reached);
  if (result.end.stopReason === 'evaluations_used_up') expect(evaluations).toBe(maxEvaluations);
  if (result.end.stopReason === 'rounds_used_up') expect(evaluations).toBe(agents * (maxIterations ?? 0));
}

it.each<[Mode, string]>([
  ['pso', 'particles'],
  ['aco', 'ants'],
])(
  `swarms in mode %s keep their promises for ${SEEDS} seeds (%s)`,
  (mode) => {
    const bodies = Array.from({ length: BODIES }, (_unused, at) => bodyOf(at + 1, mode));
    const report = strategyConformance(swarm, { bodies, seeds: Math.ceil(SEEDS / BODIES), outcome, inspect });
    for (const kind of [
      'completed:rounds_used_up',
      'completed:evaluations_used_up',
      'completed:target_reached',
      'completed:stagnation',
      'failed:population_collapse',
      'cancelled:cancelled',
      'failed:deadline',
    ])
      expect(report.ends[kind], `${kind} of ${JSON.stringify(report.ends)}`).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
