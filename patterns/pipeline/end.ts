// How a pipeline ends: what is in flight is cancelled, and every item that was known is in the output, whatever became of it.

import type { StopReason } from '../../runtime/contracts/coordination.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import { chunkAt, chunkValues } from '../common/chunks.ts';
import { type Draft, itemCount } from './state.ts';

export interface PipelineFinish {
  readonly status: 'completed' | 'partial' | 'failed' | 'cancelled';
  readonly stopReason: StopReason;
  readonly rule: string;
  readonly error?: WireError;
}

/** The last commands of a run. */
export function finishPipeline(draft: Draft, { status, stopReason, rule, error }: PipelineFinish): void {
  const { state, plan, commands, decisions } = draft;
  const begun = new Set(commands.flatMap((one) => (one.type === 'schedule' ? [`${one.step}/${one.round}`] : [])));
  // what this very decision had started never starts
  if (begun.size > 0) commands.splice(0, commands.length, ...commands.filter((one) => one.type !== 'schedule'));
  for (const [at, stage] of state.stages.entries()) {
    const step = plan.stages[at]?.id ?? '';
    for (const round of stage.running) {
      if (!begun.has(`${step}/${round}`)) commands.push({ type: 'cancel', step, round, reason: stopReason });
    }
    state.stages[at] = { ...stage, running: [] };
  }
  state.ended = stopReason;
  state.open = false;
  const { completed, failed, refused } = state;
  const counts = [
    { id: 'completed', score: completed },
    { id: 'dead_letter', score: failed },
    { id: 'refused', score: refused },
  ];
  decisions.push({ kind: 'stop', rule, chosen: `${status}:${stopReason}`, candidates: counts });
  commands.push({ type: 'end', status, stopReason, output: outputOf(draft), ...(error ? { error } : {}) });
}

export interface PipelineItem {
  readonly index: number;
  /** `cancelled`: it had not come through when the run ended. */
  readonly status: 'completed' | 'dead_letter' | 'cancelled';
  /** Of the last stage; null when the item did not come through. */
  readonly result: unknown;
  /** What each stage gave, by its id; absent under `keepStages: false`. */
  readonly stages?: Readonly<Record<string, unknown>>;
  /** Of a dead letter: where and why. */
  readonly stage?: string;
  readonly error?: WireError;
}

function outputOf(draft: Draft): { items: PipelineItem[]; refused?: number } {
  const { state, workflow, options } = draft;
  const total = itemCount(workflow, state);
  const inOrder = Array.from({ length: total }, (_, index) => index);
  const finished = chunkValues(state.finished);
  const before = new Set(finished);
  const order = options.ordered ? inOrder : [...finished, ...inOrder.filter((index) => !before.has(index))];
  const items = order.map((index) => itemOf(draft, index));
  return state.refused > 0 ? { items, refused: state.refused } : { items };
}

function itemOf({ state, plan, options }: Draft, index: number): PipelineItem {
  const item = chunkAt(state.items, index) ?? { stage: 0 };
  const through = item.stage === plan.stages.length;
  const before = plan.stages[item.stage - 1];
  const stages = { ...item.kept, ...(before ? { [before.id]: item.last } : {}) };
  return {
    index,
    status: item.error ? 'dead_letter' : through ? 'completed' : 'cancelled',
    result: through ? item.last : null,
    ...(options.keepStages ? { stages } : {}),
    ...(item.error ? { stage: plan.stages[item.stage]?.id ?? '', error: item.error } : {}),
  };
}
