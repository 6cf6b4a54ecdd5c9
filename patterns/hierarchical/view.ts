// A hierarchical run as others see it: the tree of its plan for the output and for people, the results for the coordinator.

import type { StepView } from '../../runtime/contracts/coordination.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowSpec, WorkflowTask } from '../../runtime/contracts/workflow.ts';
import { type StepState, stepAt } from '../dag/state.ts';
import { dagSteps } from '../dag/view.ts';
import { coordinatorOf, type HierarchicalOptions } from './options.ts';
import { PLAN_STEP, SYNTHESIS_STEP } from './plan.ts';
import { graphOfState, type HierarchicalState } from './state.ts';

export interface SubtaskResult {
  readonly id: string;
  readonly round: number;
  readonly status: StepState['state'];
  readonly result?: unknown;
  readonly error?: WireError;
  readonly reason?: string;
}

export interface PlanTree {
  readonly goal: string;
  readonly rounds: readonly { readonly round: number; readonly tasks: readonly PlanNode[] }[];
}

interface PlanNode extends SubtaskResult {
  readonly capability?: string;
  readonly dependsOn: readonly string[];
  /** Of a subtask that had a coordinator of its own. */
  readonly goal?: string;
  readonly plan?: unknown;
}

/** What the coordinator is told of all subtasks so far. Of a run inside only its result: its plan is not this one's business. */
export function resultsOf(state: HierarchicalState): SubtaskResult[] {
  return numbered(state).map(({ task, round, step }) => ({ ...ended(task.id, round, step), ...resultOf(task, step) }));
}

export function planTree(workflow: WorkflowSpec, state: HierarchicalState): PlanTree {
  const nodes = numbered(state).map(({ task, round, step }): PlanNode => {
    const { capability, dependsOn } = task;
    return {
      ...ended(task.id, round, step),
      ...resultOf(task, step),
      ...(capability === undefined ? {} : { capability }),
      dependsOn,
      ...nestedOf(task, step),
    };
  });
  const rounds = state.rounds.map((_, round) => ({ round, tasks: nodes.filter((node) => node.round === round) }));
  return { goal: workflow.goal ?? '', rounds };
}

function numbered(state: HierarchicalState): { task: WorkflowTask; round: number; step: StepState }[] {
  const roundOf = state.rounds.flatMap((count, round) => Array.from({ length: count }, () => round));
  return state.tasks.map((task, node) => ({ task, round: roundOf[node] ?? 0, step: stepAt(state.dag, node) }));
}

const ended = (id: string, round: number, { state, error, reason }: StepState): SubtaskResult => ({
  id,
  round,
  status: state,
  ...(error ? { error } : {}),
  ...(reason === undefined ? {} : { reason }),
});

function resultOf(task: WorkflowTask, { state, result }: StepState): { result?: unknown } {
  if (state !== 'completed') return {};
  const nested = task.workflow?.pattern === 'hierarchical' && isRecord(result);
  return { result: (nested ? result.result : result) ?? null };
}

function nestedOf({ workflow }: WorkflowTask, { result }: StepState): { goal?: string; plan?: unknown } {
  if (workflow?.pattern !== 'hierarchical') return {};
  const goal = typeof workflow.goal === 'string' ? { goal: workflow.goal } : {};
  return { ...goal, ...(isRecord(result) && 'plan' in result ? { plan: result.plan } : {}) };
}

/** The coordinator first, at its last turn, then the subtasks in the order they were planned, then the synthesis. */
export function hierarchicalSteps(
  workflow: WorkflowSpec,
  { synthesis }: HierarchicalOptions,
  state: HierarchicalState | null,
): StepView[] {
  const plan: StepView = {
    id: PLAN_STEP,
    state: state === null ? 'blocked' : coordinatorState(state),
    round: Math.max(0, (state?.turns ?? 0) - 1),
    dependsOn: [],
    capability: coordinatorOf(workflow).capability,
    ...(state ? { detail: { turns: state.turns, rounds: state.rounds.length, limit: state.limit?.name ?? null } } : {}),
  };
  const subtasks = state ? dagSteps(graphOfState(workflow, state), state.dag) : [];
  if (!synthesis) return [plan, ...subtasks];
  const last: StepView = {
    id: SYNTHESIS_STEP,
    state: synthesisState(state),
    round: 0,
    dependsOn: [PLAN_STEP],
    capability: synthesis.capability,
    ...(state?.synthesis === null || state?.synthesis === undefined ? {} : { result: state.synthesis }),
  };
  return [plan, ...subtasks, last];
}

// A turn in flight is `queued` until the row of its task says more; between two turns the coordinator waits for its subtasks.
function coordinatorState({ phase, output, turnFailed }: HierarchicalState): StepView['state'] {
  if (phase === 'planning') return 'queued';
  if (phase === 'working') return 'waiting';
  if (turnFailed) return 'failed';
  return phase === 'ended' && output === null ? 'cancelled' : 'completed';
}

function synthesisState(state: HierarchicalState | null): StepView['state'] {
  if (state?.phase === 'synthesis') return 'queued';
  if (state?.phase !== 'ended') return 'blocked';
  return state.synthesis === null ? 'skipped' : 'completed';
}

/** The turns of the coordinator count like subtasks. */
export function hierarchicalProgress(
  _workflow: WorkflowSpec,
  state: HierarchicalState,
): { done: number; total: number } {
  const open = state.phase === 'planning' || state.phase === 'synthesis' ? 1 : 0;
  const turns = state.turns + (state.phase === 'synthesis' ? 1 : 0);
  return { done: state.dag.endedCount + turns - open, total: state.tasks.length + turns };
}

const MAX_NODES = 500;

/** The plan tree without results: subtasks of runs inside too, 500 nodes at most. */
export function planPicture(workflow: WorkflowSpec, state: HierarchicalState): unknown {
  const left = { nodes: MAX_NODES };
  return { turns: state.turns, limit: state.limit, ...pictured(planTree(workflow, state), left), cut: left.nodes <= 0 };
}

function pictured(tree: unknown, left: { nodes: number }): Record<string, unknown> {
  if (!isRecord(tree) || !Array.isArray(tree.rounds)) return {};
  const rounds = tree.rounds.filter(isRecord).map(({ round, tasks }) => ({
    round,
    tasks: (Array.isArray(tasks) ? tasks : []).filter(isRecord).flatMap((node) => {
      if (left.nodes <= 0) return [];
      left.nodes -= 1;
      const { result: _result, plan, ...shown } = node;
      return [{ ...shown, ...(plan === undefined ? {} : { plan: pictured(plan, left) }) }];
    }),
  }));
  return { goal: tree.goal, rounds };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
