// An auction as a person sees it: a step per task, and the bid book.

import type { StepView } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { shown } from './end.ts';
import type { AuctionState, Lot } from './state.ts';

const MAX_LOTS_SHOWN = 100;
const MAX_BIDS_SHOWN = 50;

export function auctionSteps(workflow: WorkflowSpec, state: AuctionState | null): StepView[] {
  return workflow.tasks.map((task, at): StepView => {
    const lot = state?.lots[at];
    return {
      id: task.id,
      round: Math.max(0, (lot?.awards ?? 0) - 1),
      dependsOn: [],
      ...(task.capability === undefined ? {} : { capability: task.capability }),
      ...(lot ? seen(lot) : { state: 'blocked' }),
    };
  });
}

function seen(lot: Lot): Pick<StepView, 'state'> & Partial<StepView> {
  const { phase, winner, price, round, result, error } = lot;
  const detail = { phase, round, winner, price };
  if (phase === 'waiting') return { state: 'queued', reason: 'waits_for_a_place' };
  if (phase === 'absent') return { state: 'waiting', reason: 'no_agent_offers_capability', detail };
  if (phase === 'finding' || phase === 'calling') return { state: 'waiting', reason: 'under_the_hammer', detail };
  if (phase === 'running') return { state: 'queued', detail };
  if (phase === 'done') return { state: 'completed', result, detail };
  if (phase === 'lost') return { state: 'failed', detail, ...(error ? { error } : {}) };
  return { state: 'cancelled', detail };
}

export function auctionProgress(_workflow: WorkflowSpec, state: AuctionState): { done: number; total: number } {
  return { done: state.ended, total: state.lots.length };
}

/** The bid book. Bids of a call that is open are sealed here too. */
export function auctionPicture(workflow: WorkflowSpec, state: AuctionState): unknown {
  const lots = state.lots.slice(0, MAX_LOTS_SHOWN).map((lot, at) => ({
    task: workflow.tasks[at]?.id ?? '',
    phase: lot.phase,
    round: lot.round,
    winner: lot.winner,
    price: lot.price,
    secondPrice: lot.secondPrice,
    bids: lot.book.slice(-MAX_BIDS_SHOWN).map(shown),
    more: Math.max(0, lot.book.length - MAX_BIDS_SHOWN),
  }));
  return { lots, more: Math.max(0, state.lots.length - MAX_LOTS_SHOWN) };
}
