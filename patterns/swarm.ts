// Swarm: particles (Kennedy and Eberhart 1995; Clerc and Kennedy 2002) or ants (Dorigo 1992; Stuetzle and Hoos 2000) look for the place
// with the lowest score. What others call a swarm, agents that hand a task on, is handoff: `ctx.handoff`, inside any pattern.

import type { CoordinationStrategy } from '../runtime/contracts/coordination.ts';
import { checkSwarm, type SwarmOptions, swarmOptionsSchema } from './swarm/options.ts';
import { decideSwarm, startSwarm } from './swarm/run.ts';
import type { SwarmState } from './swarm/state.ts';
import { swarmPicture, swarmProgress, swarmSteps } from './swarm/view.ts';

/**
 * Input: `objective`, a capability that answers `{ score }`, a finite number, the lower the better. Particles (`mode: 'pso'`, `bounds`) ask
 * it for `{ ...input, x }`; ants (`mode: 'aco'`, `graph`) for `{ ...input, path, edges }`, `path` being the nodes in their order and `edges`
 * the `[from, to, cost]` between them. Ants look for the shortest tour over all nodes and back (its last edge is in `edges`, the first
 * node is not repeated in `path`; the graph must have an edge between every two), or with `graph.from` and `graph.to` for the shortest
 * path. Steps are `p1`, `p2`, ..., one per member; the round of a step is the member's iteration, from 0.
 *
 * Output: `{ best, bestScore, evaluations, failed, history, improvements }`: `best` the coordinates or the path; `history` the best score
 * after each iteration of the swarm (as many evaluations as it has members; 1,000 points at most, then evenly thinned); `improvements`
 * each new best (the last 1,000).
 *
 * Defaults: 20 agents, `w` 0.729, `c1` = `c2` = 1.494, `velocityClamp` 0.5, `atBounds` reflect, `evaporation` 0.1, `alpha` 1, `beta` 2,
 * `minAlive` 0.5, `lostAfter` 3. The work has no default: one of `maxEvaluations`, `maxIterations`, `deadlineMs` or a budget must be given.
 *
 * | What happens | What follows |
 * |---|---|
 * | an evaluation fails (retries used up), or answers without a finite score | it counts as one; the particle keeps its own best and begins anew at a random place |
 * | `lostAfter` evaluations of a particle fail in a row | it is lost until one succeeds, and still begins anew |
 * | fewer than `minAlive` of the particles are not lost | `failed`/`population_collapse` |
 * | the work is used up and nothing gave a score | `failed`, with the reason it was used up |
 * | `cancel`, `deadline` | `cancelled`/`cancelled`, `failed`/`deadline`; the output has the best so far |
 *
 * Stops: `target_reached` (score at or below `target`), `stagnation` (no gain above `epsilon` in `iterations` evaluations per particle),
 * `rounds_used_up`, `evaluations_used_up`, `population_collapse`, `cancelled`, `deadline`.
 * Guarantees: no barrier, a particle moves as soon as its score is there, by the best of all as it is known then; never more evaluations
 * in flight than members, never more started than `maxEvaluations`; all randomness comes from the seed, so the same seed and the same
 * order of answers give the same history.
 */
export const swarm: CoordinationStrategy<SwarmOptions, SwarmState> = {
  name: 'swarm',
  revision: 1,
  options: swarmOptionsSchema,
  check: checkSwarm,
  start: (workflow, options, { seed }) => startSwarm(workflow, options, seed),
  decide: decideSwarm,
  steps: swarmSteps,
  progress: swarmProgress,
  capabilities: ({ objective }) =>
    objective ? [{ capability: objective.capability, path: 'objective.capability' }] : [],
  picture: (_workflow, options, state) => swarmPicture(options, state),
};
