// How a swarm ends: evaluations in flight are cancelled, and the best that was found is the output, whatever ended the run.

import type { StopReason } from '../../runtime/contracts/coordination.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import { searchOf } from './begin.ts';
import { type Draft, type HistoryPoint, type Improvement, type SwarmState, stepOf } from './state.ts';

export interface SwarmFinish {
  readonly status: 'completed' | 'failed' | 'cancelled';
  readonly stopReason: StopReason;
  readonly rule: string;
  readonly error?: WireError;
}

export interface SwarmOutput {
  /** Coordinates, or the names of the nodes along the way; null: no evaluation gave a score. */
  readonly best: unknown;
  readonly bestScore: number | null;
  /** Evaluations that ended; of these the failed. */
  readonly evaluations: number;
  readonly failed: number;
  readonly history: readonly HistoryPoint[];
  readonly improvements: readonly Improvement[];
}

/** The last commands of a run. */
export function finishSwarm(draft: Draft, { status, stopReason, rule, error }: SwarmFinish): void {
  const { state, commands, decisions } = draft;
  for (const [at, member] of state.members.entries()) {
    if (!member.evaluating) continue;
    commands.push({ type: 'cancel', step: stepOf(at), round: member.next - 1, reason: stopReason });
    state.members[at] = { ...member, evaluating: false };
  }
  state.ended = stopReason;
  const counts = [
    { id: 'evaluations', score: state.evaluations },
    { id: 'failed', score: state.failed },
    ...(state.best ? [{ id: 'best', score: state.best.score }] : []),
  ];
  decisions.push({ kind: 'stop', rule, chosen: `${status}:${stopReason}`, candidates: counts });
  commands.push({ type: 'end', status, stopReason, output: outputOf(draft), ...(error ? { error } : {}) });
}

function outputOf({ state, options }: Draft): SwarmOutput {
  const { best, evaluations, failed, improvements } = state;
  return {
    best: best ? searchOf(options).shown(best.at) : null,
    bestScore: best?.score ?? null,
    evaluations,
    failed,
    history: historyOf(state),
    improvements,
  };
}

/** The points kept, and where it ended. */
function historyOf({ history, evaluations, members, best }: SwarmState): readonly HistoryPoint[] {
  if (evaluations === 0 || history.at(-1)?.evaluations === evaluations) return history;
  return [...history, { iteration: evaluations / members.length, evaluations, best: best?.score ?? null }];
}
