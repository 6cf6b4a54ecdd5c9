// An agent that asks people before it answers, and says how often its handler was run for it.

import { defineAgent, z } from '../../../actors/index.ts';

export const inquirer = defineAgent({
  type: 'inquirer',
  capability: 'inquirer.do',
  input: z.object({
    /** Each asks for a number. */
    prompts: z.array(z.string()).default(['how many?']),
    expiresMs: z.number().optional(),
    /** Instead of failing when nobody answers. */
    otherwise: z.number().optional(),
    swallow: z.boolean().default(false),
    schema: z.record(z.string(), z.unknown()).default({ type: 'number' }),
  }),
  output: z.object({ answers: z.array(z.unknown()), attempt: z.number() }),
  async handle({ prompts, expiresMs, otherwise, swallow, schema }, ctx) {
    const answers: unknown[] = [];
    ctx.usage({ tokens: 1 });
    for (const prompt of prompts) {
      try {
        answers.push(await ctx.askHuman({ prompt, schema, ...(expiresMs === undefined ? {} : { expiresMs }) }));
      } catch (error) {
        const { code } = error as { code?: string };
        if (code === 'input_expired' && otherwise !== undefined) answers.push(otherwise);
        else if (!swallow) throw error;
      }
    }
    return { answers, attempt: ctx.attempt };
  },
});
