// Definitions with types: the editor knows what each pattern takes. What comes out is the plain body that the API takes, so it can be a step
// of another definition, stored, or sent.

import type { z } from 'zod';
import type { CreateWorkflow } from '../runtime/contracts/workflow.ts';
import type { auctionOptionsSchema } from './auction/options.ts';
import type { consensusOptionsSchema } from './consensus/options.ts';
import type { hierarchicalOptionsSchema } from './hierarchical/options.ts';
import type { ParallelOptions } from './parallel.ts';
import type { pipelineOptionsSchema } from './pipeline/options.ts';
import type { swarmOptionsSchema } from './swarm/options.ts';

type Given<Field extends keyof CreateWorkflow> = NonNullable<CreateWorkflow[Field]>;
type Task = Given<'tasks'>[number];

/** A step of a graph; `workflow` may be a definition made here. */
export type StepDefinition = Omit<Task, 'workflow'> & { readonly workflow?: WorkflowDefinition | Task['workflow'] };

/** What every pattern takes beside its own. */
export type CommonFields = Pick<
  CreateWorkflow,
  'input' | 'onFailure' | 'deadlineMs' | 'seed' | 'budget' | 'synchronous' | 'idempotencyKey'
>;

/** The body of `POST /api/agents/workflows/create`, with its pattern known. */
export type WorkflowDefinition = CreateWorkflow & { readonly name: string; readonly pattern: string };

type Options<Schema extends z.ZodType> = z.input<Schema>;

/** One method per pattern; each gives a complete definition. Nothing is checked here: `create`, `run` and `plan` check. */
export interface WorkflowBuilder {
  sequence(steps: readonly StepDefinition[], common?: CommonFields): WorkflowDefinition;
  parallel(
    steps: readonly StepDefinition[],
    options?: Partial<ParallelOptions>,
    common?: CommonFields,
  ): WorkflowDefinition;
  pipeline(
    flow: { readonly stages: Given<'stages'>; readonly items?: readonly unknown[]; readonly open?: boolean },
    options?: Options<typeof pipelineOptionsSchema>,
    common?: CommonFields,
  ): WorkflowDefinition;
  hierarchy(
    work: { readonly goal: string; readonly coordinator?: Given<'coordinator'> },
    options?: Options<typeof hierarchicalOptionsSchema>,
    common?: CommonFields,
  ): WorkflowDefinition;
  consensus(
    vote: { readonly task: Given<'task'>; readonly question?: string; readonly voters?: Given<'voters'> },
    options?: Options<typeof consensusOptionsSchema>,
    common?: CommonFields,
  ): WorkflowDefinition;
  auction(
    tasks: readonly Task[],
    options?: Options<typeof auctionOptionsSchema>,
    common?: CommonFields,
  ): WorkflowDefinition;
  swarm(
    search: { readonly objective?: Given<'objective'> },
    options: Options<typeof swarmOptionsSchema>,
    common?: CommonFields,
  ): WorkflowDefinition;
}

/**
 * @example
 * const review = workflow('review').consensus({ task: { capability: 'fact.verify', input: { claim } }, voters: { n: 5 } });
 * const report = workflow('report').sequence([{ id: 'review', workflow: review }, { id: 'write', capability: 'report.write' }]);
 * const run = await troupe.workflows.run(report);
 */
export function workflow(name: string): WorkflowBuilder {
  const define = (pattern: string, fields: object, options: object, common: CommonFields): WorkflowDefinition => ({
    name,
    pattern,
    ...fields,
    ...(Object.keys(options).length > 0 ? { options: { ...options } } : {}),
    ...common,
  });
  const graph = (steps: readonly StepDefinition[]) => ({ tasks: steps.map((step) => ({ ...step })) });
  return {
    sequence: (steps, common = {}) => define('sequential', graph(steps), {}, common),
    parallel: (steps, options = {}, common = {}) => define('parallel', graph(steps), options, common),
    pipeline: ({ stages, items, open }, options = {}, common = {}) =>
      define(
        'pipeline',
        {
          stages,
          ...(items === undefined ? {} : { items: [...items] }),
          ...(open === undefined ? {} : { open }),
        },
        options,
        common,
      ),
    hierarchy: (work, options = {}, common = {}) => define('hierarchical', work, options, common),
    consensus: (vote, options = {}, common = {}) => define('consensus', vote, options, common),
    auction: (tasks, options = {}, common = {}) => define('auction', { tasks: [...tasks] }, options, common),
    swarm: (search, options, common = {}) => define('swarm', search, options, common),
  };
}
