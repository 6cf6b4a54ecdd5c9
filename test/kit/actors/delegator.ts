// A coordinator for tests: on level 0 it hands half of the work to a coordinator of the next level, on the next it does it by itself.
// What it plans is told by what it is told, so that a turn may run twice.

import { capability, defineAgent, z } from '../../../actors/index.ts';

const told = z.looseObject({
  goal: z.string(),
  round: z.number(),
  depth: z.number(),
  results: z.array(z.looseObject({ id: z.string(), status: z.string(), result: z.unknown().optional() })),
});

export const delegator = defineAgent({
  type: 'delegator',
  capabilities: {
    'plan.delegate': capability({
      version: 1,
      input: told,
      output: z.unknown(),
      handle: ({ goal, round, depth, results }) => {
        if (round > 0)
          return { done: true, output: { goal, depth, got: results.map(({ id, status }) => `${id} ${status}`) } };
        const own = { id: 'own', capability: 'work.half', input: { of: goal } };
        if (depth > 0) return { tasks: [own] };
        return { tasks: [own, { id: 'deeper', goal: `${goal}, further down`, dependsOn: ['own'] }] };
      },
    }),
    'work.half': capability({
      version: 1,
      input: z.object({ of: z.string() }),
      output: z.object({ half: z.string() }),
      handle: ({ of }) => ({ half: of.slice(0, of.length / 2) }),
    }),
  },
});
