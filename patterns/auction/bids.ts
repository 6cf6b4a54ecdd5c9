// Bids: which are valid, what they score, who comes first. Pure.

import type { Bid, CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import type { AuctionOptions } from './options.ts';
import type { Entry } from './state.ts';

type BidEvent = Extract<CoordinationEvent, { type: 'bid' }>;

/** How the border says that an answer is no bid. */
const MALFORMED = ['invalid_output', 'invalid_input'];

/** What an answer to an open call is. An agent whose bid function failed has refused; one that could not be reached is silent. */
export function readBid({ bid, error }: BidEvent): Pick<Entry, 'bid' | 'outcome' | 'reason'> {
  if (bid !== null) {
    const kept = figuresOf(bid);
    return isValid(bid) ? { bid: kept, outcome: 'bid' } : { bid: kept, outcome: 'invalid' };
  }
  const reason = error === undefined ? {} : { reason: error.code };
  const outcome =
    error?.code === 'ask_timeout' ? 'silent' : MALFORMED.includes(error?.code ?? '') ? 'invalid' : 'refused';
  return { bid: null, outcome, ...reason };
}

/** The figures of a bid and nothing else, so that a book stays small. */
export function figuresOf({ cost, etaMs, confidence }: Bid): Bid {
  const figure = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value);
  return {
    cost: figure(cost) ? cost : -1,
    ...(figure(etaMs) ? { etaMs } : {}),
    ...(figure(confidence) ? { confidence } : {}),
  };
}

function isValid({ cost, etaMs, confidence }: Bid): boolean {
  const atLeast0 = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value) && value >= 0;
  return (
    atLeast0(cost) &&
    (etaMs === undefined || atLeast0(etaMs)) &&
    (confidence === undefined || (atLeast0(confidence) && confidence <= 1))
  );
}

/**
 * The valid bids of a round with their scores. A figure that a bid does not give counts as the worst: the longest time any bid of the
 * round gives, no confidence.
 */
export function scored(book: readonly Entry[], round: number, { weights }: AuctionOptions): Entry[] {
  const bids = book.filter((entry) => entry.round === round && entry.outcome === 'bid');
  const longest = Math.max(0, ...bids.map(({ bid }) => bid?.etaMs ?? 0));
  return book.map((entry) => {
    if (entry.round !== round || entry.outcome !== 'bid' || entry.bid === null) return entry;
    const { cost, etaMs = longest, confidence = 0 } = entry.bid;
    const score = weights.cost * cost + weights.etaMs * etaMs + weights.confidence * (1 - confidence);
    return { ...entry, score, outcome: 'lost' };
  });
}

/** Valid bids of a round that have not been awarded, best first: score, then load, then tasks of this run it has, then id. */
export function ranked(book: readonly Entry[], round: number, held: (agentId: string) => number): Entry[] {
  return book
    .filter((entry) => entry.round === round && entry.outcome === 'lost')
    .sort(
      (a, b) =>
        (a.score ?? 0) - (b.score ?? 0) ||
        a.load - b.load ||
        held(a.agentId) - held(b.agentId) ||
        (a.agentId < b.agentId ? -1 : 1),
    );
}
