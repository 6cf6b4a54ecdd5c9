// agents/greeter.mjs: a module, because functions cannot cross threads
import { capability, defineAgent, z } from 'troupe/agents';

export const greeter = defineAgent({
  type: 'greeter',
  capabilities: {
    'text.greet': capability({
      version: 1,
      input: z.object({ name: z.string() }),
      output: z.object({ greeting: z.string() }),
      handle: ({ name }) => ({ greeting: `Hello, ${name}!` }),
    }),
  },
  on: {
    'name.asked': (_message, ctx) => ctx.reply('a greeter'),
  },
});
