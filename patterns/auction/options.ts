// What may be chosen of an auction: how long bids are awaited, what they are scored by, what follows when nobody bids.

import { z } from 'zod';

export const auctionOptionsSchema = z.strictObject({
  /** Bids that are not in after this time, by the database clock, are refused. */
  replyByMs: z.number().int().min(1).max(86_400_000).default(500),
  /** Calls for bids per task, the first included. */
  maxRounds: z.number().int().min(1).max(20).default(3),
  /**
   * When no valid bid is in: `fail` the task; `direct`: give it to whoever offers the capability, unpinned and without a price;
   * `widen`: call again as a further round, with twice the time of the call before and without insisting on a version of the capability
   * (the highest that has an agent is meant, and its agents are called); when no round is left, `fail`.
   * That nobody offers the capability is concluded only after the time of the call, since agents of a node that crashed come back: they
   * are looked for four more times until then.
   */
  noBids: z.enum(['fail', 'direct', 'widen']).default('fail'),
  /** Score = cost x cost + etaMs x etaMs + confidence x (1 - confidence); the lowest wins. */
  weights: z
    .strictObject({
      cost: z.number().min(0).max(1e9).default(1),
      etaMs: z.number().min(0).max(1e9).default(0),
      confidence: z.number().min(0).max(1e9).default(0),
    })
    .default({ cost: 1, etaMs: 0, confidence: 0 }),
  /** Tasks under the hammer or at work at once. */
  maxConcurrency: z.number().int().min(1).max(1_000).default(10),
  /** Agents called per round, the least loaded first. */
  maxBidders: z.number().int().min(1).max(1_000).default(100),
  /** A winner that has not begun after this time has failed. Default 10 minutes. */
  startByMs: z.number().int().min(1).max(86_400_000).default(600_000),
});
export type AuctionOptions = z.infer<typeof auctionOptionsSchema>;
