// Bids after a while and works for a while, as its config says.

import { setTimeout as sleep } from 'node:timers/promises';
import { defineAgent, z } from '../../../actors/index.ts';

export const bidder = defineAgent({
  type: 'bidder',
  config: z.object({ cost: z.number(), bidMs: z.number().default(0), workMs: z.number().default(0) }),
  bid: async (_call, { config }) => {
    await sleep(config.bidMs);
    return { cost: config.cost };
  },
  capability: 'bidder.work',
  input: z.unknown(),
  output: z.object({ by: z.string() }),
  handle: async (_input, ctx) => {
    await ctx.sleep(ctx.config.workMs);
    return { by: ctx.name };
  },
});
