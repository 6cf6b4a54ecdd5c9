// The answer to a call for bids: what the agent's own `bid` says, checked.

import { z } from 'zod';
import { bidSchema, CALL_FOR_BIDS, type CallForBids } from '../../runtime/contracts/coordination.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { MessageHandler } from './handlers.ts';
import type { BidFunction } from './options.ts';
import { validate } from './validation.ts';

const callSchema = z.object({ capability: z.string(), input: z.unknown(), replyByMs: z.number().optional() });

/** A capability that the agent does not offer is refused without asking it. A bid that is none fails the ask. */
export function bidHandler(bid: BidFunction): MessageHandler {
  return async (message, ctx) => {
    const call = validate(callSchema, message.body, 'invalid_input', CALL_FOR_BIDS);
    if (!call.ok) throw call.error;
    const cfp = call.value as CallForBids;
    const self = ctx.bidder(cfp.capability);
    if (!self.capabilities.includes(cfp.capability)) return null;
    const made = bidSchema.safeParse((await bid(cfp, self)) ?? null);
    if (made.success) return made.data;
    throw new RuntimeError(
      'invalid_output',
      `bid of agent ${self.name}: ${made.error.issues[0]?.message ?? 'invalid'}`,
    );
  };
}
