// An agent that hands its task to whom its input names, and says who did the work in the end.

import { defineAgent, z } from '../../../actors/index.ts';

export const passer = defineAgent({
  type: 'passer',
  capability: 'passer.do',
  input: z.object({
    to: z.array(z.union([z.string(), z.object({ capability: z.string() })])).default([]),
    for: z.string().optional(),
    forever: z.boolean().default(false),
    swallow: z.boolean().default(false),
  }),
  output: z.object({ by: z.string(), attempt: z.number() }),
  handle: ({ to, forever, swallow }, ctx) => {
    const [next, ...rest] = to;
    if (next === undefined) return { by: ctx.name, attempt: ctx.attempt };
    const input = typeof next === 'string' ? { to: forever ? to : rest, forever } : { answer: 'done by another kind' };
    try {
      return ctx.handoff(next, input, 'it knows more');
    } catch (error) {
      if (!swallow) throw error;
      return { by: 'nobody', attempt: 0 };
    }
  },
});
