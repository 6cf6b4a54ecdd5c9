// An agent that writes all the time: it saves its state again and again and notes in a file of its own what became of it and when. Who
// acts for it though it is not his any more shows there.

import { appendFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineAgent } from 'troupe/agents';

const EVERY_MS = 3;

export const stubborn = defineAgent({
  type: 'stubborn',
  state: () => ({ count: 0, disorder: [], next: {}, saves: 0 }),
  on: {
    /** Starts to save, once an incarnation. */
    begin: ({ body: { file } }, ctx) => {
      void (async () => {
        while (!ctx.signal?.aborted) {
          const begunAt = Date.now();
          const entry = { agent: ctx.id, node: ctx.node, begunAt };
          ctx.state = { ...ctx.state, saves: ctx.state.saves + 1 };
          try {
            await ctx.save();
            appendFileSync(file, `${JSON.stringify({ ...entry, at: 'saved', doneAt: Date.now() })}\n`);
          } catch (error) {
            appendFileSync(file, `${JSON.stringify({ ...entry, at: 'refused', code: error.code })}\n`);
          }
          await sleep(EVERY_MS);
        }
      })();
      return ctx.node;
    },
    add: ({ body: { n, lane } }, ctx) => {
      const { state } = ctx;
      const expected = state.next[lane] ?? 0;
      const disorder = n === expected ? state.disorder : [...state.disorder, { lane, n, expected }].slice(-20);
      ctx.state = { ...state, count: state.count + 1, disorder, next: { ...state.next, [lane]: n + 1 } };
    },
    where: (_message, ctx) => ctx.node,
    read: (_message, ctx) => ctx.state,
  },
});
