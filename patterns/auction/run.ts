// Runs an auction: calls for bids, closes, awards, and goes on to the runner-up or another round when a winner fails. Pure.

import type { CoordinationEvent, Verdict } from '../../runtime/contracts/coordination.ts';
import type { WorkflowSpec } from '../../runtime/contracts/workflow.ts';
import { figuresOf, readBid } from './bids.ts';
import { endRun, settle } from './end.ts';
import { award, callBidders, closeCall, lookAgain, loseLot, nextRound, openLot } from './lot.ts';
import type { AuctionOptions } from './options.ts';
import {
  type AuctionState,
  callStep,
  changeLot,
  type Draft,
  draftOf,
  initialState,
  type Lot,
  lookKey,
  lotAt,
  lotOf,
  roundKey,
} from './state.ts';

type Ended = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;
/** What a lot waits for in which phase. */
const AWAITED: Readonly<Record<'found' | 'timer', readonly Lot['phase'][]>> = {
  found: ['finding'],
  timer: ['absent', 'calling'],
};
type BidEvent = Extract<CoordinationEvent, { type: 'bid' }>;

export function startAuction(workflow: WorkflowSpec, options: AuctionOptions): Verdict<AuctionState> {
  return change(draftOf(workflow, options, initialState(workflow)), () => {});
}

export function decideAuction(
  workflow: WorkflowSpec,
  options: AuctionOptions,
  state: AuctionState,
  event: CoordinationEvent,
): Verdict<AuctionState> {
  const unchanged: Verdict<AuctionState> = { state, commands: [], decisions: [] };
  if (state.phase === 'ended') return unchanged;
  const draft = () => draftOf(workflow, options, state);
  switch (event.type) {
    case 'found':
    case 'timer': {
      const at = lotOf(workflow, event.key.slice(0, event.key.lastIndexOf(':')));
      const lot = lotAt(state, at);
      const { id = '' } = workflow.tasks[at] ?? {};
      if (at < 0 || !AWAITED[event.type].includes(lot.phase)) return unchanged;
      if (event.key !== (lot.phase === 'calling' ? roundKey(id, lot.round) : lookKey(id, lot))) return unchanged;
      return change(draft(), (it) => {
        if (event.type === 'found') callBidders(it, at, event.agents);
        else if (lot.phase === 'absent') lookAgain(it, at);
        else closeCall(it, at, 'reply_by');
      });
    }
    case 'bid': {
      const at = lotOf(workflow, event.step.slice(0, -callStep('').length));
      if (at < 0 || event.step !== callStep(workflow.tasks[at]?.id ?? '')) return unchanged;
      return bidCame(draft(), at, event) ?? unchanged;
    }
    case 'step.completed':
    case 'step.failed': {
      const at = lotOf(workflow, event.step);
      const lot = lotAt(state, at);
      if (at < 0 || lot.phase !== 'running' || event.round !== lot.awards - 1) return unchanged;
      return change(draft(), (it) => (event.type === 'step.completed' ? done(it, at, event) : failed(it, at, event)));
    }
    case 'cancel':
      return change(draft(), (it) => endRun(it, { status: 'cancelled', stopReason: 'cancelled', rule: event.reason }));
    case 'deadline':
      return change(draft(), (it) => endRun(it, { status: 'failed', stopReason: 'deadline', rule: 'deadline' }));
    default:
      return unchanged;
  }
}

/** After every change: has the run ended, is there a place for another task? */
function change(draft: Draft, make: (draft: Draft) => void): Verdict<AuctionState> {
  make(draft);
  const { state, options, commands, decisions } = draft;
  settle(draft);
  while (state.phase === 'running' && state.active < options.maxConcurrency && state.next < state.lots.length) {
    const at = state.next;
    state.next += 1;
    state.active += 1;
    openLot(draft, at);
  }
  return { state, commands, decisions };
}

/** A bid for the open call is sealed; one for a call that is closed is noted as late. Undefined: it means nothing. */
function bidCame(draft: Draft, at: number, event: BidEvent): Verdict<AuctionState> | undefined {
  const { book, phase, round } = lotAt(draft.state, at);
  const found = book.findIndex((entry) => entry.round === event.round && entry.agentId === event.agentId);
  const entry = book[found];
  if (entry?.outcome !== 'silent' || entry.reason !== undefined) return undefined;
  const open = phase === 'calling' && event.round === round;
  if (!open && event.bid === null) return undefined;
  const answer = open ? readBid(event) : { bid: event.bid && figuresOf(event.bid), outcome: 'late' as const };
  return change(draft, () => {
    changeLot(draft, at, { book: book.with(found, { ...entry, ...answer }) });
    if (!open)
      draft.decisions.push({ kind: 'bid', rule: 'late', chosen: event.agentId, candidates: [{ id: event.step }] });
    else if (allAnswered(draft, at)) closeCall(draft, at, 'all_answered');
  });
}

function allAnswered({ state }: Draft, at: number): boolean {
  const { book, round } = lotAt(state, at);
  return book.every((entry) => entry.round !== round || entry.outcome !== 'silent' || entry.reason !== undefined);
}

function done(draft: Draft, at: number, event: Extract<Ended, { type: 'step.completed' }>): void {
  const { winner } = lotAt(draft.state, at);
  changeLot(draft, at, { phase: 'done', winner: winner ?? event.agentId, result: event.output ?? null });
  draft.state.active -= 1;
  draft.state.ended += 1;
  draft.state.done += 1;
}

/** Winner crash or failure: the next valid bid, then another round without the agents that failed, then the task is lost. */
function failed(draft: Draft, at: number, event: Extract<Ended, { type: 'step.failed' }>): void {
  const lot = lotAt(draft.state, at);
  const agentId = lot.winner ?? event.agentId;
  const book = lot.book.map((entry) =>
    entry.round === lot.round && entry.outcome === 'won'
      ? { ...entry, outcome: 'failed' as const, reason: event.error.code }
      : entry,
  );
  changeLot(draft, at, {
    book,
    winner: null,
    price: null,
    secondPrice: null,
    error: event.error,
    failed: agentId === null || lot.failed.includes(agentId) ? lot.failed : [...lot.failed, agentId],
  });
  if (award(draft, at, 'runner_up')) return;
  if (lot.round + 1 < draft.options.maxRounds) nextRound(draft, at, 're_auction');
  else loseLot(draft, at, 'rounds_used_up');
}
