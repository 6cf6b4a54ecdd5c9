// An agent that writes every start and end of its handler to a file of its own: the ground truth of what really ran.
// Plain JavaScript over the package's door, as a user's module would be.

import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { capability, defineAgent, z } from 'troupe/agents';

const note = (file, entry) => appendFileSync(file, `${JSON.stringify(entry)}\n`);

export const ledger = defineAgent({
  type: 'ledger',
  capabilities: {
    'ledger.write': capability({
      version: 1,
      input: z.object({
        file: z.string(),
        key: z.string(),
        sleepMs: z.number().default(0),
        seen: z.unknown().optional(),
      }),
      output: z.object({ key: z.string(), attempt: z.number() }),
      async handle({ file, key, sleepMs }, ctx) {
        note(file, { at: 'start', key, task: ctx.taskId, attempt: ctx.attempt, pid: process.pid });
        if (sleepMs > 0) await sleep(sleepMs, undefined, { signal: ctx.signal });
        note(file, { at: 'end', key, task: ctx.taskId, attempt: ctx.attempt, pid: process.pid });
        return { key, attempt: ctx.attempt };
      },
    }),
    // One huge array is more than a thread's limits can hold back: V8 ends the whole process. Only at the first attempt.
    'ledger.burst': capability({
      version: 1,
      input: z.object({}),
      output: z.object({ attempt: z.number() }),
      handle(_input, ctx) {
        if (ctx.attempt === 1) for (const hoard = []; ; ) hoard.push(hoard.length);
        return { attempt: ctx.attempt };
      },
    }),
  },
});
