// An agent whose work costs: it says what it used, tells others what it was told to, and fails or waits for its abort on request.

import { defineAgent, TaskError, z } from '../../../actors/index.ts';
import type { AgentId } from '../../../runtime/contracts/ids.ts';

export const spender = defineAgent({
  type: 'spender',
  capability: 'spender.do',
  input: z.object({
    tokens: z.number().default(0),
    cost: z.number().default(0),
    /** Tells itself this often, and asks itself and publishes once when it does. */
    tells: z.number().default(0),
    failTimes: z.number().default(0),
    forGood: z.boolean().default(false),
    hang: z.boolean().default(false),
    /** The first attempt waits and heeds no abort. */
    deaf: z.boolean().default(false),
  }),
  output: z.object({ attempt: z.number() }),
  async handle({ tokens, cost, tells, failTimes, forGood, hang, deaf }, ctx) {
    ctx.usage({ tokens, cost });
    for (let told = 0; told < tells; told++) ctx.tell(ctx.id as AgentId, 'heard');
    if (tells > 0) {
      await ctx.ask(ctx.id as AgentId, 'heard');
      await ctx.publish('news', 'heard');
    }
    if (deaf && ctx.attempt === 1) await new Promise<never>(() => {});
    if (hang) await ctx.sleep(60_000);
    if (ctx.attempt <= failTimes) throw new TaskError('spent', 'spent for nothing', { retryable: !forGood });
    return { attempt: ctx.attempt };
  },
  on: { heard: () => 'yes' },
});
