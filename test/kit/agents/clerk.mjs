// Members of every pattern for tests under kill -9: works, votes, plans, bids; each handler writes its start and its end to a file.
// The `end` line is the effect of a step: its name must be there once it was committed, and under one idempotency key only.

import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { capability, defineAgent, TaskError, z } from 'troupe/agents';

const effect = {
  file: z.string(),
  key: z.string(),
  sleepMs: z.number().default(0),
};

async function perform({ file, sleepMs }, name, ctx) {
  const line = { name, key: ctx.idempotencyKey, task: ctx.taskId, attempt: ctx.attempt };
  const note = (at) => appendFileSync(file, `${JSON.stringify({ at, ...line })}\n`);
  note('start');
  if (sleepMs > 0) await sleep(sleepMs, undefined, { signal: ctx.signal });
  note('end');
}

/** Two subtasks and one that is a run of its own; the failure of the second is mended in the next round; then the synthesis. */
function planned({ file, key, round, depth, results }) {
  const work = (id, more = {}) => ({
    id,
    capability: 'clerk.work',
    input: { file, key: `${key}/${depth}/${id}`, sleepMs: 10, ...more },
    retry: { maxAttempts: 100, backoffMs: 10 },
  });
  if (depth > 0)
    return round === 0
      ? { tasks: [work('deep')] }
      : { done: true, output: results.map(({ id, status }) => `${id} ${status}`) };
  if (round === 0)
    return {
      tasks: [work('first'), work('broken', { fail: true }), { id: 'below', goal: 'the same, one level below' }],
    };
  if (round === 1) return { tasks: [work('mended')] };
  return { done: true, output: results.map(({ id, status }) => `${id} ${status}`) };
}

export const clerk = defineAgent({
  type: 'clerk',
  config: z.object({ cost: z.number().default(1) }),
  bid: (_call, { config }) => ({ cost: config.cost }),
  capabilities: {
    'clerk.work': capability({
      version: 1,
      input: z.object({
        ...effect,
        part: z.unknown().optional(),
        fail: z.unknown().optional(),
        seen: z.unknown().optional(),
      }),
      output: z.object({ part: z.unknown(), by: z.string(), parts: z.array(z.string()) }),
      async handle(input, ctx) {
        const { key, part, fail } = input;
        await perform(input, part === undefined ? key : `${key}/${part}`, ctx);
        if (fail === true) throw new TaskError('told_to', 'fails as it was told to', { retryable: false });
        return { part: part ?? null, by: ctx.id, parts: ['x', 'y', 'z'] };
      },
    }),
    // Everybody is of an opinion of its own until it hears the others.
    'clerk.vote': capability({
      version: 1,
      input: z.looseObject(effect),
      output: z.object({ verdict: z.string() }),
      async handle(input, ctx) {
        const round = input.peers === undefined ? 0 : 1;
        await perform(input, `${input.key}/${ctx.name}/${round}`, ctx);
        return { verdict: round === 0 ? ctx.name : 'agreed' };
      },
    }),
    'clerk.plan': capability({
      version: 1,
      input: z.looseObject({ ...effect, round: z.number(), depth: z.number(), results: z.array(z.looseObject({})) }),
      output: z.unknown(),
      async handle(input, ctx) {
        await perform(input, `${input.key}/${input.depth}/plan-${input.round}`, ctx);
        return planned(input);
      },
    }),
  },
});
