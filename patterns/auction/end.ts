// How an auction ends: what is under the hammer is closed, what runs is cancelled, the bid books are gathered once.

import type { StopReason } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { type AuctionState, callStep, changeLot, type Draft, type Entry, isFinal, taskAt } from './state.ts';

/** Ends the run when every task has ended, or the first is lost and that is enough. */
export function settle(draft: Draft): void {
  const { state, workflow } = draft;
  if (state.phase === 'ended') return;
  const lost = state.firstLost === null ? undefined : state.lots[state.firstLost];
  if (lost && workflow.onFailure === 'fail_fast') {
    const stopReason = lost.reason ?? 'no_bids';
    endRun(draft, { status: 'failed', stopReason, rule: 'fail_fast', ...(lost.error ? { error: lost.error } : {}) });
    return;
  }
  if (state.ended < state.lots.length) return;
  const status = lost ? (state.done > 0 ? 'partial' : 'failed') : 'completed';
  const stopReason = status === 'failed' ? (lost?.reason ?? 'no_bids') : 'all_done';
  endRun(draft, { status, stopReason, rule: 'all_closed', ...(lost?.error ? { error: lost.error } : {}) });
}

interface End {
  readonly status: 'completed' | 'partial' | 'failed' | 'cancelled';
  readonly stopReason: StopReason;
  readonly rule: string;
  readonly error?: WireError;
}

export function endRun(draft: Draft, { status, stopReason, rule, error }: End): void {
  const { state, workflow, commands, decisions } = draft;
  for (const [at, lot] of state.lots.entries()) {
    if (isFinal(lot)) continue;
    const { id } = taskAt(workflow, at);
    if (lot.phase === 'calling') commands.push({ type: 'close', step: callStep(id), round: lot.round });
    else if (lot.phase === 'running')
      commands.push({ type: 'cancel', step: id, round: lot.awards - 1, reason: stopReason });
    else commands.push({ type: 'skip', step: id, reason: stopReason });
    changeLot(draft, at, { phase: 'cancelled' });
  }
  state.phase = 'ended';
  state.active = 0;
  state.ended = state.lots.length;
  decisions.push({ kind: 'stop', rule, chosen: `${status}:${stopReason}` });
  const late =
    stopReason === 'deadline' ? wireError('deadline_exceeded', 'the run had not ended by its deadline') : error;
  const output = outputOf(workflow, state);
  commands.push({ type: 'end', status, stopReason, output, ...(late ? { error: late } : {}) });
}

/** `{ awards: [...] }` in the order of the tasks. */
function outputOf(workflow: WorkflowSpec, { lots }: AuctionState): { awards: Record<string, unknown>[] } {
  const awards = lots.map(({ phase, winner, price, secondPrice, book, round, result, reason, error }, at) => ({
    task: taskAt(workflow, at).id,
    winner: phase === 'done' ? winner : null,
    price: phase === 'done' ? price : null,
    secondPrice: phase === 'done' ? secondPrice : null,
    bids: book.map(shown),
    result: phase === 'done' ? (result ?? null) : null,
    rounds: phase === 'waiting' || book.length === 0 ? 0 : round + 1,
    ...(reason ? { reason } : {}),
    ...(error && phase === 'lost' ? { error } : {}),
  }));
  return { awards };
}

/** A bid whose call was never closed stays sealed: nobody decided on it. */
export function shown({ agentId, name, round, bid, score, outcome, reason }: Entry): Record<string, unknown> {
  const sealed = outcome === 'bid';
  return {
    agentId,
    name,
    round,
    bid: sealed ? null : bid,
    score,
    outcome: sealed ? 'lost' : outcome,
    ...(reason === undefined ? {} : { reason }),
  };
}
