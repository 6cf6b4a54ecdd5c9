// The planner: coordinator of hierarchical workflows over documents and data. Plans with a model when one answers and by rules else.

import { z } from 'zod';
import { RuntimeError, TaskError } from '../../runtime/contracts/errors.ts';
import { capability } from '../agent/capability.ts';
import { defineAgent } from '../agent/define-agent.ts';
import { modelConfig } from '../agent-config.ts';
import { type Model, modelSettings, sharedModel } from '../model/model.ts';
import { type PlanInput, type Planner, planInputSchema, planOutputSchema } from './plan-input.ts';
import { planWithModel } from './plan-with-model.ts';
import { type Plan, planByRules } from './rules.ts';
import { completed, REPORT } from './subtasks.ts';

interface Planned {
  readonly plan: Plan;
  readonly planner: Planner;
}

const modelOf = (config: Record<string, unknown>): Model | undefined =>
  config.models === 'off' ? undefined : sharedModel(modelSettings(config, process.env));

const byRules = (input: PlanInput, reason: string): Planned => ({
  plan: planByRules(input),
  planner: { mode: 'rules', reason },
});

/** Never fails for want of a model: then the rules plan. */
async function planOf(model: Model | undefined, input: PlanInput, signal: AbortSignal): Promise<Planned> {
  // how a report ends or a last turn is used needs no model
  const settled = input.final || input.results.some(({ id }) => id.startsWith(REPORT));
  if (!model) return byRules(input, 'the agent is configured to do without a model');
  if (settled) return byRules(input, 'nothing is left to choose');
  const check = await model.check(signal);
  signal.throwIfAborted();
  if (check.state !== 'ready') return byRules(input, check.reason);
  try {
    const plan = await planWithModel(model, input, signal);
    if (!plan) return byRules(input, `${model.name} asked for nothing`);
    return { plan, planner: { mode: 'model', reason: `${model.name} through Ollama at ${model.host}` } };
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof RuntimeError || error instanceof TaskError) return byRules(input, error.message);
    throw error;
  }
}

export const plannerAgent = defineAgent({
  type: 'planner',
  description:
    'Plans research over documents and data for hierarchical workflows: searches, checks, analyses, a report.',
  config: z.object(modelConfig),
  capabilities: {
    'plan.make': capability({
      version: 1,
      description:
        'A turn of a coordinator: the next subtasks for a goal, or its result. Says who planned: a model, or rules.',
      input: planInputSchema,
      output: planOutputSchema,
      async handle(input, ctx) {
        const { plan, planner } = await planOf(modelOf(ctx.config as Record<string, unknown>), input, ctx.signal);
        const done = input.results.filter(completed).length;
        ctx.progress({ fraction: 1, note: `${plan.why} (${done} results)` });
        if ('done' in plan) return { done: true as const, output: plan.output, planner };
        return { tasks: plan.tasks.map((task) => ({ ...task })), planner };
      },
    }),
  },
});
