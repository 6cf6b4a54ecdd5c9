// An agent as careless with secrets as agents are: logs what it got, reports it, throws it.

import { setTimeout as sleep } from 'node:timers/promises';
import { capability, defineAgent, TaskError, tool, z } from '../../../actors/index.ts';

export const leaky = defineAgent({
  type: 'leaky',
  config: z.object({ apiKey: z.string() }),
  on: {
    'secret.told': ({ body }, ctx) => {
      ctx.log.info('was told', { body });
      throw new Error(`cannot take ${(body as { url: string }).url}`);
    },
  },
  capabilities: {
    'leaky.do': capability({
      version: 1,
      input: z.object({ password: z.string(), url: z.string(), fails: z.boolean() }),
      output: z.object({ done: z.boolean() }),
      async handle(input, ctx) {
        ctx.log.warn(`calling ${input.url}`, { input, config: ctx.config, header: `Bearer ${input.password}` });
        await tool('leaky.call', () => sleep(1));
        if (input.fails) throw new TaskError('refused', `Bearer ${input.password} was refused by ${input.url}`);
        return { done: true };
      },
    }),
  },
});
