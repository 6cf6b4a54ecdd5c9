// Agents that patterns are tried with from outside: a coordinator that plans anew around a failure, and one whose bids are late.
// Plain JavaScript over the package's door, as a user's module would be.

import { setTimeout as sleep } from 'node:timers/promises';
import { capability, defineAgent, z } from 'troupe/agents';

const told = z.looseObject({
  goal: z.string(),
  round: z.number(),
  results: z.array(z.looseObject({ id: z.string(), status: z.string(), error: z.unknown().optional() })),
});

/** Five subtasks of the probe, of which the third fails; what failed is planned once more under another id. */
export const chief = defineAgent({
  type: 'chief',
  capabilities: {
    'chief.plan': capability({
      version: 1,
      input: told,
      output: z.unknown(),
      handle({ goal, results }) {
        const part = (id, more = {}) => ({ id, capability: 'probe.run', input: { answer: id, ...more } });
        if (results.length === 0) {
          const retry = { maxAttempts: 1 };
          const ids = ['s1', 's2', 's3', 's4', 's5'];
          return { tasks: ids.map((id) => (id === 's3' ? { ...part(id, { failTimes: 9 }), retry } : part(id))) };
        }
        const done = new Set(results.filter(({ status }) => status === 'completed').map(({ id }) => id));
        const again = results.filter(({ id }) => !done.has(id) && !done.has(`${id}-again`));
        if (again.length > 0) return { tasks: again.map(({ id }) => part(`${id}-again`)) };
        return { done: true, output: { goal, parts: [...done].sort() } };
      },
    }),
  },
});

export const merchant = defineAgent({
  type: 'merchant',
  config: z.object({ cost: z.number(), bidMs: z.number().default(0), workMs: z.number().default(0) }),
  bid: async (_call, { config }) => {
    await sleep(config.bidMs);
    return { cost: config.cost, etaMs: 10, confidence: 1 };
  },
  capabilities: {
    'merchant.deliver': capability({
      version: 1,
      input: z.unknown(),
      output: z.object({ by: z.string() }),
      async handle(_input, ctx) {
        await sleep(ctx.config.workMs, undefined, { signal: ctx.signal });
        return { by: ctx.id };
      },
    }),
  },
});

/** Decides among the options of a vote: the last one, by the alphabet. */
export const judge = defineAgent({
  type: 'judge',
  capabilities: {
    'judge.decide': capability({
      version: 1,
      input: z.looseObject({ answers: z.array(z.unknown()), options: z.array(z.string()).optional() }),
      output: z.object({ decision: z.unknown(), reason: z.string() }),
      handle: ({ options = [] }) => ({ decision: [...options].sort().at(-1) ?? null, reason: 'by the alphabet' }),
    }),
  },
});

/** Its handler asks a person. */
export const inquirer = defineAgent({
  type: 'inquirer',
  capabilities: {
    'inquirer.ask': capability({
      version: 1,
      input: z.object({ prompt: z.string() }),
      output: z.unknown(),
      handle: ({ prompt }, ctx) => ctx.askHuman({ prompt, schema: { type: 'number' } }),
    }),
  },
});
