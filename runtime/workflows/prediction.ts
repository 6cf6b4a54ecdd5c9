// What the steps of a workflow will take, as far as anybody knows before it runs, and what such a guess leaves out. Pure.

import type { StepView } from '../contracts/coordination.ts';
import type { TaskDuration } from '../contracts/store.ts';
import type { WorkflowSpec, WorkflowTask } from '../contracts/workflow.ts';
import type { StepPlan } from '../contracts/workflow-plan.ts';

/** Of a capability of which nothing is known. */
export const UNKNOWN_MS = 1_000;
/** Of a call for bids that names no time. */
const REPLY_BY_MS = 500;

export type History = ReadonlyMap<string, TaskDuration>;

export const historyOf = (durations: readonly TaskDuration[]): History =>
  new Map(durations.map((one) => [one.capability, one]));

export type Prediction = Pick<StepPlan, 'basis' | 'samples'> & { readonly ms: number };

export interface Known {
  readonly spec: WorkflowSpec;
  readonly options: unknown;
  readonly history: History;
  /** How long a run inside would take. */
  readonly nested: (workflow: NonNullable<WorkflowTask['workflow']>) => number;
}

export function predict(view: StepView, task: WorkflowTask | undefined, known: Known): Prediction {
  if (task?.workflow) return { ms: known.nested(task.workflow), basis: 'nested' };
  if (view.capability === undefined) return { ms: 0, basis: 'person' };
  const found = known.history.get(view.capability.split('@')[0] ?? '');
  const once: Prediction = found
    ? { ms: found.medianMs, basis: 'history', samples: found.samples }
    : { ms: UNKNOWN_MS, basis: 'default' };
  return { ...once, ms: Math.round((once.ms * timesOf(known) + overheadOf(known)) * 10) / 10 };
}

/** How often each member of a swarm is asked. */
function timesOf({ spec, options }: Known): number {
  if (!spec.objective) return 1;
  const members = Math.max(1, numberOf(options, 'agents') ?? 1);
  const evaluations = numberOf(options, 'maxEvaluations');
  const bounds = [
    numberOf(options, 'maxIterations'),
    evaluations === undefined ? undefined : Math.ceil(evaluations / members),
  ].filter((bound) => bound !== undefined);
  return bounds.length === 0 ? 1 : Math.min(...bounds);
}

/** Before each award there is a call for bids. */
const overheadOf = ({ spec, options }: Known): number =>
  spec.pattern === 'auction' ? (numberOf(options, 'replyByMs') ?? REPLY_BY_MS) : 0;

/** How many steps the pattern runs at once; null: as many as there are. */
export function concurrencyOf({ pattern }: WorkflowSpec, options: unknown): number | null {
  return pattern === 'sequential' ? 1 : (numberOf(options, 'maxConcurrency') ?? null);
}

/** In words what the figures do not say. */
export function notesOf({ spec, options }: Pick<Known, 'spec' | 'options'>, views: readonly StepView[]): string[] {
  const repeated = spec.tasks.filter(({ forEach, loop }) => forEach !== undefined || loop !== undefined).length;
  const conditional = spec.tasks.filter(({ when }) => when !== undefined).length;
  const asks = views.filter((view) => view.capability === undefined).length - nestedCount(spec);
  const rounds = numberOf(options, 'rounds') ?? 0;
  const bounded = numberOf(options, 'maxIterations') ?? numberOf(options, 'maxEvaluations');
  return [
    ...(repeated > 0 ? [`${repeated} steps with forEach or loop count as one round each`] : []),
    ...(conditional > 0 ? [`${conditional} steps have a condition and may be skipped`] : []),
    ...(asks > 0 ? [`${asks} steps ask a person; that time is not in it`] : []),
    ...(spec.open ? ['more items may be appended while it runs'] : []),
    ...(spec.voters && rounds > 0 ? [`one round of votes; debate may add ${rounds}`] : []),
    ...(spec.pattern === 'auction' ? ['every award after one call for bids; refusals and failures add more'] : []),
    ...(spec.goal !== undefined || spec.coordinator
      ? ['the coordinator makes the plan while it runs; subtasks are not in it']
      : []),
    ...(spec.objective && bounded === undefined
      ? ['no bound on evaluations: one of each member is in it']
      : spec.objective
        ? ['all evaluations; the target or stagnation may end it sooner']
        : []),
  ];
}

const nestedCount = (spec: WorkflowSpec): number => spec.tasks.filter(({ workflow }) => workflow !== undefined).length;

function numberOf(options: unknown, name: string): number | undefined {
  const value =
    typeof options === 'object' && options !== null ? (options as Record<string, unknown>)[name] : undefined;
  return typeof value === 'number' ? value : undefined;
}
