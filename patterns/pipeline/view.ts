// A pipeline as a person sees it: its stages with their queues, how many items are through, which are dead.

import type { StepView } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { itemCount, type PipelineState, pipelinePlan, type StageState } from './state.ts';

/** One per stage; its round is the item it began last. */
export function pipelineSteps(workflow: WorkflowSpec, state: PipelineState | null): StepView[] {
  const { stages } = pipelinePlan(workflow);
  return stages.map(({ id, capability }, at): StepView => {
    const stage = state?.stages[at];
    const before = stages[at - 1];
    return {
      id,
      state: state && stage ? stateOf(workflow, state, stage) : 'blocked',
      round: stage ? Math.max(0, stage.done + stage.failed + stage.running.length - 1) : 0,
      dependsOn: before ? [before.id] : [],
      capability,
      ...reasonOf(workflow, state, at),
      ...(stage ? { detail: countsOf(stage) } : {}),
    };
  });
}

function stateOf(workflow: WorkflowSpec, state: PipelineState, stage: StageState): StepView['state'] {
  if (state.ended === 'all_done') return 'completed';
  if (state.ended !== null) return isPast(workflow, state, stage) ? 'completed' : 'cancelled';
  // in flight; the row of the task says more
  if (stage.running.length > 0) return 'queued';
  if (isPast(workflow, state, stage)) return 'completed';
  return 'blocked';
}

/** Why a stage is not at work. */
function reasonOf(workflow: WorkflowSpec, state: PipelineState | null, at: number): { reason?: string } {
  const stage = state?.stages[at];
  if (!state || !stage || state.ended === 'all_done') return {};
  if (state.ended !== null) return { reason: state.ended };
  if (stage.running.length > 0 || isPast(workflow, state, stage)) return {};
  const room = pipelinePlan(workflow).stages[at + 1]?.buffer ?? Number.POSITIVE_INFINITY;
  const full = (state.stages[at + 1]?.queue.length ?? 0) >= room;
  return { reason: full ? 'next_queue_full' : 'no_items' };
}

/** Every item has gone through the stage or died before or in it. */
function isPast(workflow: WorkflowSpec, state: PipelineState, stage: StageState): boolean {
  if (state.open) return false;
  const upTo = state.stages.slice(0, state.stages.indexOf(stage) + 1);
  const died = upTo.reduce((sum, one) => sum + one.failed, 0);
  return stage.done + died === itemCount(workflow, state);
}

/** Counts of items; `held`: finished, but the next queue is full. */
const countsOf = ({ queue, running, held, done, failed }: StageState) => ({
  queued: queue.length,
  running: running.length,
  held: held.length,
  done,
  failed,
});

export function pipelineProgress(workflow: WorkflowSpec, state: PipelineState): { done: number; total: number } {
  return { done: state.completed + state.failed, total: itemCount(workflow, state) };
}

/** Stages with the depth of their queues, items by what became of them, the first dead letters. */
export function pipelinePicture(workflow: WorkflowSpec, state: PipelineState) {
  const total = itemCount(workflow, state);
  return {
    stages: pipelinePlan(workflow).stages.map(({ id, capability, concurrency, buffer }, at) => {
      const stage = state.stages[at];
      return { id, capability, concurrency, buffer, ...(stage ? countsOf(stage) : {}) };
    }),
    items: {
      total,
      waiting: total - state.items.size,
      inside: state.items.size - state.completed - state.failed,
      completed: state.completed,
      deadLetters: state.failed,
      refused: state.refused,
      open: state.open,
    },
    deadLetters: state.dead,
  };
}
