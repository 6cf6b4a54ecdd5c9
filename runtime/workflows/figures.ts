// What is asked about workflows rather than of one: the plan of a body, figures over many runs, runs that stand still.

import type { WorkflowsApi } from '../contracts/runtime.ts';
import type { WorkflowPlan } from '../contracts/workflow-plan.ts';
import type { Definition, Strategies } from './definition.ts';
import { planOf } from './plan.ts';
import type { RunLoopParts } from './ports.ts';
import { historyOf } from './prediction.ts';
import { summaryOf } from './workflow-view.ts';

/** Tasks that a prediction looks at. */
const RECENT_TASKS = 5_000;
const WITHIN_MS = 7 * 86_400_000;
const IDLE_MS = 60_000;
const MOST_STUCK = 500;
const STUCK = 50;
const LONGEST_MS = 10 * 365 * 86_400_000;

type Parts = Pick<RunLoopParts, 'store' | 'tasks'>;

export async function planned(
  definition: Definition,
  strategies: Strategies,
  { tasks }: Parts,
  tenant: string,
): Promise<WorkflowPlan> {
  const history = historyOf(await tasks.durations(tenant, RECENT_TASKS));
  return planOf(definition, { history, strategies });
}

export async function statisticsOf(
  { store }: Parts,
  { withinMs = WITHIN_MS }: NonNullable<Parameters<WorkflowsApi['statistics']>[0]>,
  tenant: string,
): ReturnType<WorkflowsApi['statistics']> {
  const asked = Math.min(LONGEST_MS, Math.max(1, withinMs));
  return { withinMs: asked, patterns: await store.statistics(tenant, asked) };
}

export async function stuckRuns(
  { store }: Parts,
  { idleMs = IDLE_MS, limit = STUCK }: NonNullable<Parameters<WorkflowsApi['stuck']>[0]>,
  tenant: string,
): ReturnType<WorkflowsApi['stuck']> {
  const most = Math.max(1, Math.min(MOST_STUCK, Math.floor(limit)));
  return (await store.stuck(tenant, Math.min(LONGEST_MS, Math.max(0, idleMs)), most)).map(summaryOf);
}
