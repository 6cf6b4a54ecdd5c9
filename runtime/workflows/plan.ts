// A workflow before it runs: its graph without needless edges, and how long it would take by what its capabilities took lately. Pure.

import type { StepView } from '../contracts/coordination.ts';
import type { CreateWorkflow } from '../contracts/workflow.ts';
import type { StepPlan, WorkflowPlan } from '../contracts/workflow-plan.ts';
import { type Definition, define, type Strategies } from './definition.ts';
import { concurrencyOf, type History, notesOf, predict } from './prediction.ts';
import { simulate } from './schedule.ts';
import { criticalPathOf, levelsOf, orderOf, reduced } from './task-graph.ts';

export interface PlanParts {
  readonly history: History;
  readonly strategies: Strategies;
}

type Figures = Pick<WorkflowPlan, 'maxParallelism'> & {
  readonly times: Omit<WorkflowPlan['predicted'], 'basis' | 'notes'>;
};

export function planOf(definition: Definition, parts: PlanParts): WorkflowPlan {
  const { spec, strategy, options } = definition;
  const views = strategy.steps(spec, options, null);
  const steps = stepsOf(definition, views, parts);
  const predicted = new Map(steps.map((step) => [step.id, step.predictedMs]));
  const durationOf = (id: string): number => predicted.get(id) ?? 0;
  const { times, maxParallelism } = spec.stages
    ? pipelineFigures(definition, durationOf)
    : graphFigures(definition, views, durationOf);
  return {
    pattern: spec.pattern,
    ...(spec.selected ? { selected: { ...spec.selected } } : {}),
    steps,
    levels: levelsOf(views),
    order: orderOf(views),
    redundantEdges: views.flatMap((view, index) => {
      const kept = new Set(steps[index]?.reducedDependsOn);
      const needless = [...new Set(view.dependsOn)].filter((name) => !kept.has(name));
      return needless.map((dependsOn) => ({ step: view.id, dependsOn }));
    }),
    criticalPath: [...criticalPathOf(views, durationOf).steps],
    predicted: { ...times, basis: basisOf(steps), notes: notesOf(definition, views) },
    maxParallelism,
  };
}

function stepsOf(definition: Definition, views: readonly StepView[], parts: PlanParts): StepPlan[] {
  const { spec, options } = definition;
  const tasks = new Map(spec.tasks.map((task) => [task.id, task]));
  const known = { spec, options, history: parts.history, nested: (body: object) => nestedMs(body, parts) };
  const less = reduced(views);
  const levels = new Map(levelsOf(views).flatMap((ids, level) => ids.map((id) => [id, level] as const)));
  return views.map((view, index): StepPlan => {
    const task = tasks.get(view.id);
    const { ms, ...basis } = predict(view, task, known);
    return {
      id: view.id,
      ...(view.capability === undefined ? {} : { capability: view.capability }),
      level: levels.get(view.id) ?? 0,
      dependsOn: [...(task?.dependsOn ?? view.dependsOn)],
      reducedDependsOn: [...(less[index]?.dependsOn ?? [])],
      predictedMs: ms,
      ...basis,
    };
  });
}

/** The input of a run inside is known only when it starts. */
function nestedMs(body: object, parts: PlanParts): number {
  const input = 'input' in body ? {} : { input: null };
  return planOf(define(parts.strategies, { ...body, ...input } as CreateWorkflow), parts).predicted.scheduledMs;
}

function graphFigures({ spec, options }: Definition, views: readonly StepView[], durationOf: (id: string) => number) {
  const concurrency = concurrencyOf(spec, options);
  const free = simulate(views, durationOf);
  const sequentialMs = rounded(views.reduce((sum, { id }) => sum + durationOf(id), 0));
  const parallelMs = rounded(free.makespanMs);
  const limited = concurrency === null ? free : simulate(views, durationOf, concurrency);
  return figuresOf({ sequentialMs, parallelMs, scheduledMs: rounded(limited.makespanMs), concurrency }, free.peak);
}

/** An item goes through all stages; from the first on, another follows as fast as the slowest stage lets it. */
function pipelineFigures({ spec }: Definition, durationOf: (id: string) => number): Figures {
  const stages = (spec.stages ?? []).map(({ id, concurrency }) => ({ ms: durationOf(id), concurrency }));
  const items = spec.items?.length ?? 0;
  const onceMs = stages.reduce((sum, { ms }) => sum + ms, 0);
  const slowestMs = Math.max(0, ...stages.map(({ ms, concurrency }) => ms / concurrency));
  const makespanMs = items === 0 ? 0 : rounded(onceMs + (items - 1) * slowestMs);
  const places = stages.reduce((sum, { concurrency }) => sum + concurrency, 0);
  const sequentialMs = rounded(onceMs * items);
  const times = { sequentialMs, parallelMs: makespanMs, scheduledMs: makespanMs, concurrency: places };
  return figuresOf(times, Math.min(places, items));
}

const figuresOf = (times: Omit<Figures['times'], 'speedup'>, maxParallelism: number): Figures => ({
  times: {
    ...times,
    speedup: times.parallelMs > 0 ? Math.round((times.sequentialMs / times.parallelMs) * 1_000) / 1_000 : 1,
  },
  maxParallelism,
});

function basisOf(steps: readonly StepPlan[]): WorkflowPlan['predicted']['basis'] {
  const known = steps.filter(({ basis }) => basis !== 'default' && basis !== 'person').length;
  const guessed = steps.filter(({ basis }) => basis === 'default').length;
  if (known === 0) return 'default';
  return guessed === 0 ? 'history' : 'mixed';
}

const rounded = (ms: number): number => Math.round(ms * 10) / 10;
