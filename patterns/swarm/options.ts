// What can be said about a swarm, and what a definition must satisfy before it can run.

import { z } from 'zod';
import type { WorkflowProblem } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { foreignField } from '../common/fields.ts';
import { checkPlainInput, plainInput } from '../common/plain-input.ts';
import { checkGraph, graphSchema } from './graph.ts';

const MAX_MEMBERS = 1_000;
/** Coordinates or nodes over all members: what a state holds of them stays in the order of a megabyte. */
const MAX_NUMBERS = 100_000;
const coordinateSchema = z.number().min(-1e100).max(1e100);

export const swarmOptionsSchema = z.strictObject({
  mode: z.enum(['pso', 'aco']).default('pso'),
  /** Particles or ants: evaluations in flight at once, at most. */
  agents: z.number().int().min(1).max(MAX_MEMBERS).default(20),
  /** Instead of the seed of the run. */
  seed: z
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),

  /** The same as `synchronous` of the workflow. */
  synchronous: z.boolean().optional(),

  /** Evaluations of each particle. */
  maxIterations: z.number().int().min(1).max(1_000_000).optional(),
  /** Evaluations of all particles together. */
  maxEvaluations: z.number().int().min(1).max(100_000_000).optional(),
  /** The run ends as soon as a score is this low. */
  target: z.number().optional(),
  /** The run ends after so many evaluations per particle without a gain above `epsilon`. */
  stagnation: z
    .strictObject({ iterations: z.number().int().min(1).max(1_000_000), epsilon: z.number().min(0).default(1e-9) })
    .optional(),
  /** Share of the particles that must be alive. */
  minAlive: z.number().min(0).max(1).default(0.5),
  /** Evaluations in a row that must fail before a particle counts as lost. */
  lostAfter: z.number().int().min(1).max(1_000).default(3),

  /** pso: lowest and highest value of each coordinate. */
  bounds: z
    .array(z.tuple([coordinateSchema, coordinateSchema]))
    .min(1)
    .max(1_000)
    .optional(),
  /** pso: inertia, pull of the own best, pull of the best of all. Clerc and Kennedy 2002: these converge. */
  w: z.number().min(0).max(2).default(0.729),
  c1: z.number().min(0).max(4).default(1.494),
  c2: z.number().min(0).max(4).default(1.494),
  /** pso: greatest step in a coordinate, as a share of its range. */
  velocityClamp: z.number().positive().max(1).default(0.5),
  /** pso: what happens beyond a bound: back as in a mirror, or to the bound and at rest. */
  atBounds: z.enum(['reflect', 'clamp']).default('reflect'),

  /** aco */
  graph: graphSchema.optional(),
  /** aco: share of the pheromone that is renewed in each generation. */
  evaporation: z.number().positive().max(1).default(0.1),
  /** aco: weight of the pheromone and of a low cost when an ant chooses its way. */
  alpha: z.number().min(0).max(10).default(1),
  beta: z.number().min(0).max(10).default(2),
});
export type SwarmOptions = z.infer<typeof swarmOptionsSchema>;

const invalid = (path: string, message: string): WorkflowProblem => ({ code: 'workflow_invalid', path, message });

export function checkSwarm(workflow: WorkflowSpec, options: SwarmOptions): WorkflowProblem | null {
  const foreign = foreignField(workflow, ['objective', 'input']);
  if (foreign) return foreign;
  const { objective, onFailure } = workflow;
  if (!objective) return invalid('objective', 'a swarm needs an objective: a capability that answers { score }');
  if (onFailure !== 'fail_fast')
    return invalid('onFailure', 'an evaluation that fails never ends a swarm by itself; say options.minAlive');
  const problem = checkPlainInput(workflow, objective.input, 'objective.input');
  if (problem) return problem;
  if (!isRecordOrAbsent(plainInput(workflow, objective.input)))
    return invalid('objective.input', 'the input of an objective is an object, to which the candidate is added');
  return checkWork(workflow, options) ?? (options.mode === 'pso' ? checkSpace(options) : checkAnts(options));
}

const isRecordOrAbsent = (value: unknown): boolean =>
  value === undefined || (typeof value === 'object' && value !== null && !Array.isArray(value));

/** A target or stagnation may never come: something must bound the work. */
function checkWork({ deadlineMs, budget }: WorkflowSpec, options: SwarmOptions): WorkflowProblem | null {
  const { maxIterations, maxEvaluations } = options;
  const limits = [budget?.calls, budget?.tokens, budget?.cost, budget?.messages, budget?.wallMs];
  if ([maxIterations, maxEvaluations, deadlineMs, ...limits].some((limit) => limit !== undefined)) return null;
  const message =
    'a swarm without budget: say options.maxEvaluations or options.maxIterations, or give the run a deadlineMs or a budget';
  return invalid('options.maxEvaluations', message);
}

function checkSpace({ bounds, graph, agents }: SwarmOptions): WorkflowProblem | null {
  if (!bounds) return invalid('options.bounds', 'mode "pso" needs bounds: [lowest, highest] of each coordinate');
  if (graph) return invalid('options.graph', 'mode "pso" has no use for a graph; mode "aco" has');
  const at = bounds.findIndex(([low, high]) => low >= high);
  if (at >= 0)
    return invalid(`options.bounds[${at}]`, `the lowest value must be below the highest: ${bounds[at]?.join(', ')}`);
  return checkSize(agents, bounds.length, 'coordinates');
}

function checkAnts({ bounds, graph, agents }: SwarmOptions): WorkflowProblem | null {
  if (!graph) return invalid('options.graph', 'mode "aco" needs a graph: nodes and edges [from, to, cost]');
  if (bounds) return invalid('options.bounds', 'mode "aco" has no use for bounds; mode "pso" has');
  return checkGraph(graph) ?? checkSize(agents, graph.nodes.length, 'nodes');
}

function checkSize(agents: number, numbers: number, what: string): WorkflowProblem | null {
  if (agents * numbers <= MAX_NUMBERS) return null;
  return invalid('options.agents', `${agents} agents times ${numbers} ${what} is more than ${MAX_NUMBERS}`);
}
