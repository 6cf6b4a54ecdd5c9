// One task under the hammer: who is called, when the call closes, who gets it (FIPA SC00029H; rounds as in the iterated SC00030H). Pure.

import type { Candidate } from '../../runtime/contracts/coordination.ts';
import { wireError } from '../../runtime/contracts/errors.ts';
import { plainInput } from '../common/plain-input.ts';
import { taskOf } from '../common/step-start.ts';
import { ranked, scored } from './bids.ts';
import { callStep, changeLot, type Draft, type Entry, type Lot, lookKey, lotAt, roundKey, taskAt } from './state.ts';

const MAX_CANDIDATES = 50;
/** Twenty doublings of a day's limit would be no wait that ends. */
const MAX_REPLY_BY_MS = 86_400_000;
/** Looks for agents while the time of a call runs that nobody is there for, after the first. */
const LOOKS = 4;

/** Asks who could bid. */
export function openLot(draft: Draft, at: number): void {
  changeLot(draft, at, { phase: 'finding', looks: 0 });
  look(draft, at);
}

function look(draft: Draft, at: number): void {
  const key = lookKey(taskAt(draft.workflow, at).id, lotAt(draft.state, at));
  draft.commands.push({ type: 'find', key, capability: capabilityOf(draft, at) });
}

/** Agents come back: after a crash of their node it takes a while. They have the time of a call, else rounds were over in no time. */
function waitForAgents(draft: Draft, at: number, replyByMs: number): void {
  const looks = lotAt(draft.state, at).looks + 1;
  changeLot(draft, at, { phase: 'absent', looks });
  const key = lookKey(taskAt(draft.workflow, at).id, lotAt(draft.state, at));
  draft.commands.push({ type: 'timer', key, afterMs: Math.ceil(replyByMs / LOOKS) });
}

/** Part of the time is over: somebody may be there by now. The last look is at the end of it. */
export function lookAgain(draft: Draft, at: number): void {
  changeLot(draft, at, { phase: 'finding' });
  look(draft, at);
}

/** Without its version: then the highest that has an agent is meant. */
const nameOf = (capability: string): string => capability.replace(/@.*$/, '');

/** A widened call no longer insists on the version. */
function capabilityOf({ workflow, state }: Draft, at: number): string {
  const { capability } = taskAt(workflow, at);
  return lotAt(state, at).widened > 0 ? nameOf(capability) : capability;
}

/** cfp: to every agent that offers the capability and has not failed the task, with the time to answer. */
export function callBidders(draft: Draft, at: number, found: readonly Candidate[]): void {
  const { options, workflow, commands, decisions } = draft;
  const { round, looks, failed, widened, book } = lotAt(draft.state, at);
  const { id, input } = taskAt(workflow, at);
  const able = found.filter(({ agentId }) => !failed.includes(agentId));
  const called = [...able]
    .sort((a, b) => a.load - b.load || (a.agentId < b.agentId ? -1 : 1))
    .slice(0, options.maxBidders);
  const replyByMs = Math.min(MAX_REPLY_BY_MS, options.replyByMs * 2 ** widened);
  if (called.length === 0) {
    if (found.length === 0 && looks < LOOKS) waitForAgents(draft, at, replyByMs);
    else noBids(draft, at, found.length === 0 ? 'nobody_offers_it' : 'all_have_failed');
    return;
  }
  const entries = called.map(
    ({ agentId, name, load }): Entry => ({ agentId, name, load, round, bid: null, score: null, outcome: 'silent' }),
  );
  changeLot(draft, at, { phase: 'calling', book: [...book, ...entries] });
  const agents = called.map(({ agentId }) => agentId);
  const plain = plainInput(workflow, input) ?? null;
  decisions.push({
    kind: 'bid',
    rule: 'call',
    chosen: `${id}: ${called.length} of ${found.length} agents`,
    candidates: called.slice(0, MAX_CANDIDATES).map(({ agentId, load }) => ({ id: agentId, note: `load ${load}` })),
  });
  // who is called offers this version already; a bidder knows its capabilities by name
  const capability = nameOf(capabilityOf(draft, at));
  commands.push({ type: 'call', step: callStep(id), round, capability, input: plain, replyByMs, agents });
  commands.push({ type: 'timer', key: roundKey(id, round), afterMs: replyByMs });
}

/** The seals are broken: bids are scored, the best gets the task. */
export function closeCall(draft: Draft, at: number, rule: 'reply_by' | 'all_answered'): void {
  const { workflow, options, commands, decisions } = draft;
  const { round, book } = lotAt(draft.state, at);
  const { id } = taskAt(workflow, at);
  commands.push({ type: 'close', step: callStep(id), round });
  const opened = scored(book, round, options);
  changeLot(draft, at, { book: opened });
  const answers = opened.filter((entry) => entry.round === round);
  const valid = answers.filter(({ outcome }) => outcome === 'lost').length;
  decisions.push({
    kind: 'bid',
    rule,
    chosen: `${id}: ${valid} valid of ${answers.length}`,
    candidates: answers.slice(0, MAX_CANDIDATES).map(({ agentId, score, outcome }) => ({
      id: agentId,
      note: outcome === 'lost' ? 'valid' : outcome,
      ...(score === null ? {} : { score }),
    })),
  });
  if (!award(draft, at, 'lowest_score')) noBids(draft, at, 'no_valid_bid');
}

/** accept-proposal to the best bid that is left, as a task for that agent alone. False: none is left. */
export function award(draft: Draft, at: number, rule: 'lowest_score' | 'runner_up'): boolean {
  const { state, decisions } = draft;
  const { book, round } = lotAt(state, at);
  const order = ranked(book, round, holdings(state.lots));
  const [winner, second] = order;
  if (!winner) return false;
  decisions.push({
    kind: rule === 'runner_up' ? 'retry' : 'award',
    rule: second?.score === winner.score ? `${rule}:${tieRule(winner, second)}` : rule,
    chosen: `${taskAt(draft.workflow, at).id}: ${winner.agentId}`,
    candidates: order.slice(0, MAX_CANDIDATES).map(({ agentId, score }) => ({ id: agentId, score: score ?? 0 })),
  });
  changeLot(draft, at, {
    book: book.map((entry) => (entry === winner ? { ...entry, outcome: 'won' } : entry)),
    winner: winner.agentId,
    price: winner.bid?.cost ?? null,
    secondPrice: second?.bid?.cost ?? null,
  });
  begin(draft, at, winner.agentId);
  return true;
}

const tieRule = (winner: Entry, second: Entry | undefined): string =>
  second && winner.load < second.load ? 'least_loaded' : 'tie';

/** How many tasks of this run an agent has now; counted when it is first asked for, which is only where bids are equal. */
function holdings(lots: readonly Lot[]): (agentId: string) => number {
  let counts: Map<string, number> | undefined;
  return (agentId) => {
    if (!counts) {
      counts = new Map();
      for (const { phase, winner } of lots)
        if (phase === 'running' && winner !== null) counts.set(winner, (counts.get(winner) ?? 0) + 1);
    }
    return counts.get(agentId) ?? 0;
  };
}

/** One attempt unless the task says more: a winner that crashes is followed by the runner-up, not by itself. */
function begin(draft: Draft, at: number, agentId: string | undefined): void {
  const { workflow, options, commands } = draft;
  const { awards } = lotAt(draft.state, at);
  const task = taskAt(workflow, at);
  const work = taskOf({ ...task, capability: capabilityOf(draft, at) }, plainInput(workflow, task.input), agentId);
  changeLot(draft, at, { phase: 'running', awards: awards + 1 });
  commands.push({
    type: 'schedule',
    step: task.id,
    round: awards,
    task: {
      ...work,
      ...(task.retry === undefined && agentId !== undefined ? { retry: { maxAttempts: 1 } } : {}),
      ...(agentId === undefined ? {} : { queueTimeoutMs: options.startByMs }),
    },
    ...(task.reserve === undefined ? {} : { reserve: task.reserve }),
  });
}

const mayWiden = ({ options, state }: Draft, at: number): boolean =>
  options.noBids === 'widen' && lotAt(state, at).round + 1 < options.maxRounds;

function noBids(draft: Draft, at: number, why: string): void {
  const { options, workflow, decisions } = draft;
  const { widened } = lotAt(draft.state, at);
  const { id } = taskAt(workflow, at);
  if (options.noBids === 'direct') {
    decisions.push({ kind: 'award', rule: 'direct', chosen: `${id}: any agent`, candidates: [{ id, note: why }] });
    changeLot(draft, at, { winner: null, price: null, secondPrice: null });
    begin(draft, at, undefined);
  } else if (mayWiden(draft, at)) {
    changeLot(draft, at, { widened: widened + 1 });
    nextRound(draft, at, `widen:${why}`);
  } else loseLot(draft, at, 'no_bids', why);
}

/** The call is issued again: a round of the iterated contract net. */
export function nextRound(draft: Draft, at: number, rule: string): void {
  const { round, failed } = lotAt(draft.state, at);
  changeLot(draft, at, { round: round + 1 });
  draft.decisions.push({
    kind: 'round',
    rule,
    chosen: `${taskAt(draft.workflow, at).id}: round ${round + 2} of ${draft.options.maxRounds}`,
    candidates: failed.slice(0, MAX_CANDIDATES).map((id) => ({ id, note: 'has failed it' })),
  });
  openLot(draft, at);
}

export function loseLot(draft: Draft, at: number, reason: 'no_bids' | 'rounds_used_up', why?: string): void {
  const { id } = taskAt(draft.workflow, at);
  const { error: last, round } = lotAt(draft.state, at);
  const message =
    reason === 'no_bids' ? `nobody bid for "${id}" (${why})` : `nobody could do "${id}": ${last?.message}`;
  const cause = last === undefined ? {} : { lastError: last.code };
  const error = wireError('workflow_state', message, { task: id, reason, rounds: round + 1, ...cause });
  changeLot(draft, at, { phase: 'lost', reason, error, winner: null, price: null, secondPrice: null });
  draft.state.active -= 1;
  draft.state.ended += 1;
  draft.state.firstLost ??= at;
}
