// A swarm as a person sees it: its members with their scores, what is best, how fast it came there, the board of the ants.

import type { StepView } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { searchOf } from './begin.ts';
import type { SwarmOptions } from './options.ts';
import { type Member, type SwarmState, stepOf } from './state.ts';

const MAX_MEMBERS = 100;
const MAX_AXES = 10;
const MAX_POINTS = 50;
const MAX_EDGES = 50;

/** One per member; its round is its iteration. */
export function swarmSteps(
  { objective }: WorkflowSpec,
  { agents }: SwarmOptions,
  state: SwarmState | null,
): StepView[] {
  const capability = objective ? { capability: objective.capability } : {};
  return Array.from({ length: agents }, (_, at): StepView => {
    const member = state?.members[at];
    return {
      id: stepOf(at),
      state: state && member ? stateOf(state, member) : 'blocked',
      round: Math.max(0, (member?.next ?? 0) - 1),
      dependsOn: [],
      ...capability,
      ...(member ? { detail: { score: member.best?.score ?? null, failures: member.failures } } : {}),
    };
  });
}

function stateOf({ ended }: SwarmState, { evaluating, best, next }: Member): StepView['state'] {
  // in flight; the row of the task says more
  if (evaluating) return 'queued';
  if (next === 0) return ended === null ? 'blocked' : 'skipped';
  if (best) return 'completed';
  return ended === 'cancelled' || ended === 'target_reached' ? 'cancelled' : 'failed';
}

/** Evaluations; without a bound on them, those that were started. */
export function swarmProgress({ options }: WorkflowSpec, state: SwarmState): { done: number; total: number } {
  const { evaluations, started, members, ended } = state;
  // neither has a default, so the options as they were given say it
  const bound = Math.min(limitOf(options.maxEvaluations), limitOf(options.maxIterations) * members.length);
  const total = ended !== null ? evaluations : Number.isFinite(bound) ? bound : started;
  return { done: evaluations, total };
}

const limitOf = (limit: unknown): number => (typeof limit === 'number' ? limit : Number.POSITIVE_INFINITY);

/** At most 100 members with their first ten coordinates, the last 50 improvements, the 50 edges with most pheromone. */
export function swarmPicture(options: SwarmOptions, state: SwarmState) {
  const { members, best, started, evaluations, failed, improvements, ants } = state;
  const { shown } = searchOf(options);
  return {
    mode: options.mode,
    best: best ? shown(best.at) : null,
    bestScore: best?.score ?? null,
    evaluations: { ended: evaluations, failed, inFlight: members.filter((one) => one.evaluating).length, started },
    alive: members.filter(({ failures }) => failures < options.lostAfter).length,
    members: members.slice(0, MAX_MEMBERS).map((member, at) => ({
      id: stepOf(at),
      iteration: member.next,
      score: member.best?.score ?? null,
      ...(options.mode === 'pso' ? { x: member.at.slice(0, MAX_AXES) } : {}),
    })),
    improvements: improvements.slice(-MAX_POINTS),
    ...(ants ? { pheromone: strongest(options, ants.pheromone) } : {}),
  };
}

function strongest({ graph }: SwarmOptions, pheromone: readonly number[]) {
  return pheromone
    .map((value, edge) => ({ value, edge }))
    .sort((a, b) => b.value - a.value || a.edge - b.edge)
    .slice(0, MAX_EDGES)
    .map(({ value, edge }) => {
      const [from, to] = graph?.edges[edge] ?? [];
      return { from, to, pheromone: value };
    });
}
