// Auction: tasks go to the agents that offer to do them at the lowest score (Contract Net, FIPA SC00029H and, in rounds, SC00030H).

import type { CoordinationStrategy } from '../runtime/contracts/coordination.ts';
import { checkAuction } from './auction/check.ts';
import { type AuctionOptions, auctionOptionsSchema } from './auction/options.ts';
import { decideAuction, startAuction } from './auction/run.ts';
import type { AuctionState } from './auction/state.ts';
import { auctionPicture, auctionProgress, auctionSteps } from './auction/view.ts';

/**
 * Input: up to 1,000 independent `tasks`, each auctioned by itself, `options.maxConcurrency` (default 10) at a time.
 * Per task: the agents that offer its capability are called (cfp) with its input; each answers from its own `bid` function with
 * `{ cost, etaMs?, confidence? }` (propose) or null (refuse), without seeing the others. The call closes when all have answered or after
 * `replyByMs` (default 500) by the database clock. The lowest score of the weighted figures wins (accept-proposal): the task is pinned to
 * that agent; the others have lost (reject-proposal). Equal scores: the least loaded when called, then who has fewer tasks of this run,
 * then the lower id. The end of the task is inform-result or failure.
 *
 * Output: `{ awards: [{ task, winner, price, secondPrice, bids: [{ agentId, name, round, bid, score, outcome, reason? }], result, rounds }] }`
 * in the order of the tasks; a lost one has `winner` null, `reason` and `error`. `outcome`: won, lost, refused (also: its bid function
 * failed), late, silent, invalid, failed (won and did not do it). `price` is what the winner asked; `secondPrice` what the next valid bid
 * asked (Vickrey), recorded and not paid: null without a second bid.
 *
 * | what happens | what follows |
 * | --- | --- |
 * | a bid after the close, by the order of the journal | recorded as `late`, never awarded |
 * | nobody offers the capability | looked for again until `replyByMs` is over (after a crash agents come back); then as without a valid bid |
 * | no valid bid | `noBids`: `fail` loses the task (`no_bids`); `direct` gives it unpinned to whoever offers the capability; `widen` calls again as a further round, with twice the time of the call before and without insisting on a version of the capability (its highest one that has an agent is meant) |
 * | the winner fails, crashes, or does not begin within `startByMs` (10 minutes) | the next valid bid of the round; then another round without the agents that failed it; after `maxRounds` (3) the task is lost (`rounds_used_up`) |
 * | a direct assignment fails | another round, if one is left |
 * | a task is lost | `fail_fast`: the run fails with its reason, what is open is cancelled; `continue`: the others go on, the run ends `partial`, or failed if all are lost |
 *
 * Awards have one attempt unless the task has a `retry` of its own, so that a winner that crashes is followed by the runner-up.
 * Stops: `all_done`, `no_bids`, `rounds_used_up`, `deadline`, `cancelled`.
 * Guarantee: at most one winner at a time per task; a bid after the close is never awarded; bids are sealed until the close.
 */
export const auction: CoordinationStrategy<AuctionOptions, AuctionState> = {
  name: 'auction',
  revision: 1,
  options: auctionOptionsSchema,
  check: checkAuction,
  start: startAuction,
  decide: decideAuction,
  steps: (workflow, _options, state) => auctionSteps(workflow, state),
  progress: auctionProgress,
  picture: (workflow, _options, state) => auctionPicture(workflow, state),
};
