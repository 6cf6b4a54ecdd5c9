// How a run of a graph ends: what still runs is cancelled, what never ran is noted, the output is gathered once.

import type { StopReason } from '../../runtime/contracts/coordination.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import type { DagPlan } from './plan.ts';
import type { DagPolicy } from './policy.ts';
import { type DagState, type Draft, isFinal, stepAt, taskAt } from './state.ts';

export interface Finish {
  readonly status: 'completed' | 'partial' | 'failed' | 'cancelled';
  readonly stopReason: StopReason;
  readonly rule: string;
  readonly leftover: 'skipped' | 'cancelled';
  readonly error?: WireError;
}

/** Stops what is left and ends the run. */
export function finish(draft: Draft, { status, stopReason, rule, leftover, error }: Finish): void {
  stopSteps(draft, leftover, stopReason);
  endRun(draft, { status, stopReason, rule, ...(error ? { error } : {}) });
}

/** Nothing of the graph runs or will run after this: rounds in flight are cancelled, waiting steps noted as left over. */
export function stopSteps(draft: Draft, leftover: 'skipped' | 'cancelled', reason: StopReason): void {
  const { state, plan, commands } = draft;
  for (let node = 0; node < plan.tasks.length; node++) {
    const step = stepAt(state, node);
    if (isFinal(step)) continue;
    const id = taskAt(plan, node).id;
    for (const round of taskAt(plan, node).signal ? [] : step.open)
      commands.push({ type: 'cancel', step: id, round, reason });
    const started = step.next > 0;
    if (!started) commands.push({ type: 'skip', step: id, reason });
    const { result: _unfinished, ...rest } = step;
    state.steps[node] = { ...rest, state: started ? 'cancelled' : leftover, open: [], reason };
    state.endedCount += 1;
  }
  state.inFlight = 0;
  state.ready.length = 0;
}

/** The last command of a run. An undo in flight is cancelled with it. */
export function endRun(draft: Draft, end: Omit<Finish, 'leftover'>): void {
  const { state, plan, policy, commands, decisions } = draft;
  const { undo } = state;
  if (undo && undo.current !== null) {
    commands.push({ type: 'cancel', step: undoStep(plan, undo.current), round: 0, reason: end.stopReason });
    state.undo = { ...undo, current: null };
  }
  state.phase = 'ended';
  decisions.push({ kind: 'stop', rule: end.rule, chosen: `${end.status}:${end.stopReason}` });
  commands.push({
    type: 'end',
    status: end.status,
    stopReason: end.stopReason,
    output: outputOf(plan, policy, state),
    ...(end.error ? { error: end.error } : {}),
  });
}

/** The key under which an undo runs: no step id can hold a colon. */
export function undoStep(plan: DagPlan, node: number): string {
  return `${taskAt(plan, node).id}:undo`;
}

/** `{ [id]: result }` of the completed steps, and `sink`. */
function outputOf(plan: DagPlan, policy: DagPolicy, state: DagState): Record<string, unknown> {
  const results = plan.tasks.flatMap((task, node): [string, unknown][] => {
    const step = stepAt(state, node);
    return step.state === 'completed' ? [[task.id, step.result]] : [];
  });
  return Object.fromEntries([
    ...results,
    [
      'sink',
      policy.sink(plan, {
        resultOf: (node) => stepAt(state, node).result ?? null,
        first: state.join.first,
      }),
    ],
  ]);
}
