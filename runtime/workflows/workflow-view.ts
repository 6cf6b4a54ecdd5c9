// A run as the API shows it: the strategy's steps, filled in with what the rows of their tasks say. Pure.

import type { StepView } from '../contracts/coordination.ts';
import { type WireError, wireErrorSchema } from '../contracts/errors.ts';
import type { WorkflowRow, WorkflowStore } from '../contracts/store.ts';
import type { TaskView } from '../contracts/task.ts';
import {
  type Budget,
  isTerminalWorkflow,
  type WorkflowMetrics,
  type WorkflowSpec,
  type WorkflowSummary,
  type WorkflowView,
  workflowMetricsSchema,
} from '../contracts/workflow.ts';
import { analyse } from './analytics.ts';
import { type Amounts, limitsOf, plus } from './budget.ts';
import { timesOf } from './remember.ts';
import type { RunMemory } from './run-memory.ts';
import type { StepPage } from './step-page.ts';

type Step = WorkflowView['tasks'][number];

/** Steps in flight by the state of their task; what is scheduled for later counts as queued. */
const BY_TASK = { scheduled: 'queued', queued: 'queued', running: 'running', waiting: 'waiting' } as const;

export function summaryOf(row: WorkflowRow): WorkflowSummary {
  const error = errorOf(row.error);
  return {
    id: row.id,
    name: row.name,
    pattern: row.pattern,
    status: row.status,
    stopReason: row.stopReason,
    progress: { ...row.progress },
    ...(error ? { error } : {}),
    decisions: `/api/agents/workflows/${row.id}/decisions`,
    ...(row.parent ? { parent: { ...row.parent } } : {}),
    ...(row.forkOf ? { forkOf: { ...row.forkOf } } : {}),
    version: row.version,
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    endedAt: row.endedAt,
  };
}

export interface ViewParts {
  readonly row: WorkflowRow & { readonly metrics: unknown };
  /** All of them: only the figures of a run that goes on need them, and not every time. */
  readonly steps: () => readonly StepView[];
  /** The ones to be shown. */
  readonly page: StepPage;
  /** Of the steps that are shown. */
  readonly tasks: readonly TaskView[];
  readonly memory: RunMemory | null;
  /** Runs that are steps of this one. */
  readonly children: readonly Child[];
  /** The pattern's own picture. */
  readonly picture?: unknown;
  readonly nowMs: number;
}

type Child = Awaited<ReturnType<WorkflowStore['children']>>[number];

export function viewOf({ row, steps, page, tasks, memory, children, picture, nowMs }: ViewParts): WorkflowView {
  const byStep = latestByStep(tasks);
  const runs = new Map(children.flatMap((child) => (child.parent ? [[child.parent.step, child]] : [])));
  const asked = new Set(memory?.inFlight.flatMap(({ kind, step }) => (kind === 'input' ? [step] : [])));
  const metrics = metricsOf(row, steps, memory, nowMs);
  return {
    ...summaryOf(row),
    tasks: page.steps.map((step) => {
      const view = stepOf(step, byStep.get(step.id));
      const child = runs.get(step.id);
      if (child) return { ...view, ...runOf(step, child) };
      return step.state === 'queued' && asked.has(step.id) ? { ...view, state: 'waiting' as const } : view;
    }),
    nextStep: page.next,
    ...(isTerminalWorkflow(row.status) ? { output: row.output } : {}),
    ...(metrics ? { metrics } : {}),
    ...(picture === undefined || picture === null ? {} : { picture }),
    ...(row.spec.budget ? { budget: budgetOf(row.spec.budget, memory) } : {}),
  };
}

function runOf(step: StepView, { id, startedAt, endedAt, status }: Child): Partial<Step> {
  const open = step.state === 'queued' && !isTerminalWorkflow(status);
  return { workflowId: id, startedAt, endedAt, ...(open ? { state: 'running' as const } : {}) };
}

function budgetOf(budget: Budget, memory: RunMemory | null): NonNullable<WorkflowView['budget']> {
  const reserved = (memory?.inFlight ?? []).reduce<Amounts>((sum, one) => plus(sum, one.reserved ?? {}), {});
  return {
    limits: { ...budget, ...limitsOf(budget, memory?.granted ?? {}) },
    used: { ...memory?.used },
    reserved: { ...reserved },
  };
}

/** Of the rounds of a step the one submitted last; ids sort by time. */
function latestByStep(tasks: readonly TaskView[]): Map<string, TaskView> {
  const latest = new Map<string, TaskView>();
  for (const task of tasks) {
    if (task.stepKey === null) continue;
    const known = latest.get(task.stepKey);
    if (!known || known.id < task.id) latest.set(task.stepKey, task);
  }
  return latest;
}

function stepOf(step: StepView, task: TaskView | undefined): Step {
  const { dependsOn, ...own } = step;
  const state = task && step.state === 'queued' ? stateOf(step, task) : step.state;
  if (!task) return { ...own, dependsOn: [...dependsOn], state };
  const result = step.result ?? (step.state === 'completed' ? task.result : undefined);
  const error = step.error ?? (step.state === 'failed' ? task.error : undefined);
  return {
    ...own,
    dependsOn: [...dependsOn],
    state,
    taskId: task.id,
    attempts: task.attempt,
    agentId: task.agentId,
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
    startedAt: task.timings.startedAt,
    endedAt: task.timings.endedAt,
  };
}

/** A task that has ended while its coordinator has not heard of it yet still counts as running. */
function stateOf(step: StepView, task: TaskView): Step['state'] {
  if (task.status in BY_TASK) return BY_TASK[task.status as keyof typeof BY_TASK];
  return step.reason === undefined ? 'running' : step.state;
}

function metricsOf(row: ViewParts['row'], steps: ViewParts['steps'], memory: RunMemory | null, nowMs: number) {
  const stored = workflowMetricsSchema.safeParse(row.metrics);
  if (stored.success) return stored.data;
  if (!memory || isTerminalWorkflow(row.status)) return undefined;
  const endedAtMs = Math.max(nowMs, memory.startedAtMs);
  if (memory.timings.length < MANY) return analyse(steps(), timesOf(memory, endedAtMs));
  const known = recent.get(row.spec);
  if (known && Math.abs(nowMs - known.atMs) < FRESH_MS) return known.metrics;
  const metrics = analyse(steps(), timesOf(memory, endedAtMs));
  recent.set(row.spec, { atMs: nowMs, metrics });
  return metrics;
}

/** Of a large run that goes on, the analysis of a moment ago will do: it looks at every round. */
const MANY = 1_000;
const FRESH_MS = 2_000;
const recent = new WeakMap<WorkflowSpec, { readonly atMs: number; readonly metrics: WorkflowMetrics }>();

function errorOf(error: unknown): WireError | undefined {
  const parsed = wireErrorSchema.safeParse(error);
  return parsed.success ? parsed.data : undefined;
}
