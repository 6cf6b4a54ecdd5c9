// Agents that write to each other over nodes: pass messages on as they are told to, keep what they heard, say where they are.

import { defineAgent } from 'troupe/agents';

const add = (ctx, list, entry) => {
  ctx.state = { ...ctx.state, [list]: [...ctx.state[list], entry] };
};

export const courier = defineAgent({
  type: 'courier',
  mailbox: { capacity: 100_000, overflow: 'reject' },
  state: { heard: [], ends: [], undelivered: [] },
  on: {
    where: (_message, ctx) => ({ id: ctx.id, node: ctx.node, thread: ctx.thread }),
    note: ({ body, from, protocol, topic }, ctx) =>
      add(ctx, 'heard', { body, from: from ?? null, protocol, topic: topic ?? null }),
    state: (_message, ctx) => ctx.state,
    save: async (_message, ctx) => {
      await ctx.save();
      return 'saved';
    },
    fail: () => {
      throw Object.assign(new Error('told to fail'), { code: 'told_to' });
    },
    never: () => new Promise(() => undefined),
    // Answers with what came of it.
    ask: async ({ body: { to, type, body, timeoutMs = 5_000 } }, ctx) => {
      try {
        return { reply: await ctx.ask(to, type, body, { timeoutMs }) };
      } catch (error) {
        return { error: error.code, message: error.message };
      }
    },
    tell: ({ body: { to, type, body } }, ctx) => ctx.tellConfirmed(to, type, body),
    tells: ({ body: { to, type, count } }, ctx) => {
      for (let n = 0; n < count; n++) ctx.tell(to, type, n);
      return 'sent';
    },
    watch: async ({ body: { id } }, ctx) => {
      await ctx.watch(id);
      return 'watching';
    },
  },
  events: {
    terminated: ({ id, reason }, ctx) => add(ctx, 'ends', { id, reason }),
    undelivered: ({ letter }, ctx) => add(ctx, 'undelivered', letter.reason),
  },
});
