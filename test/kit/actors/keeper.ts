// An agent with state of its own: what it keeps must survive its crashes, its thread's and its node's.

import { setTimeout as sleep } from 'node:timers/promises';
import { capability, defineAgent, type TaskContext, z } from '../../../actors/index.ts';

interface Kept {
  readonly total: number;
  readonly rings: number;
}

export const keeper = defineAgent({
  type: 'keeper',
  state: { total: 0, rings: 0 } as Kept,
  supervision: { maxRestarts: 3, withinMs: 60_000, backoff: { minMs: 10, maxMs: 50, jitter: 0 } },
  capabilities: {
    'keeper.add': capability({
      version: 1,
      input: z.object({ amount: z.number(), sleepMs: z.number().default(0) }),
      output: z.object({ total: z.number() }),
      async handle({ amount, sleepMs }, ctx: TaskContext<Kept>) {
        if (sleepMs > 0) await sleep(sleepMs, undefined, { signal: ctx.signal });
        ctx.state = { ...ctx.state, total: ctx.state.total + amount };
        return { total: ctx.state.total };
      },
    }),
  },
  on: {
    total: (_message, ctx) => ctx.state.total,
    rings: (_message, ctx) => ctx.state.rings,
    crash: () => {
      setImmediate(() => {
        throw new Error('asked to crash');
      });
    },
    wake: {
      input: z.object({ afterMs: z.number() }),
      async handle({ afterMs }, ctx) {
        await ctx.timer.set('bell', afterMs, { loud: true });
        return 'set';
      },
    },
  },
  events: {
    timer: async (_event, ctx) => {
      ctx.state = { ...ctx.state, rings: ctx.state.rings + 1 };
      await ctx.save();
    },
  },
});
