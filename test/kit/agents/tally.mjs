// An agent that counts durable messages in its state, where every message must show exactly once and in the order of its lane; and one
// whose handlers fail in all the ways there are.

import { setTimeout as sleep } from 'node:timers/promises';
import { defineAgent, z } from 'troupe/agents';

const counted = z.object({
  /** Of the sender: its messages are 0, 1, 2, ... */
  lane: z.string().default('one'),
  n: z.number(),
  /** Milliseconds between two changes of the state. */
  slowMs: z.number().default(0),
  /** Attempts that throw after a change of the state. */
  failTimes: z.number().default(0),
  /** Attempts that end the thread. */
  exitTimes: z.number().default(0),
  /** Told to this agent for every message. */
  relayTo: z.string().optional(),
});

export const tally = defineAgent({
  type: 'tally',
  state: () => ({ count: 0, halves: 0, next: {}, disorder: [], ways: [] }),
  on: {
    add: {
      input: counted,
      async handle({ lane, n, slowMs, failTimes, exitTimes, relayTo }, ctx) {
        const { attempt, messageId, topic, channel } = ctx.message;
        const { state } = ctx;
        const expected = state.next[lane] ?? 0;
        const disorder =
          n === expected ? state.disorder : [...state.disorder, { lane, n, expected, attempt, messageId }].slice(-20);
        ctx.state = { ...state, halves: state.halves + 1, next: { ...state.next, [lane]: n + 1 }, disorder };
        if (attempt <= exitTimes) process.exit(7);
        if (attempt <= failTimes) throw new Error(`told to fail at attempt ${attempt}`);
        if (slowMs > 0) await sleep(slowMs);
        if (relayTo) await ctx.tell(relayTo, 'add', { lane: ctx.id, n: ctx.state.count }, { durable: true });
        const ways = [...ctx.state.ways, topic ?? channel ?? null].slice(0, 3);
        ctx.state = { ...ctx.state, count: ctx.state.count + 1, ways };
        return { count: ctx.state.count };
      },
    },
    quick: (message, ctx) => {
      const { lane = 'one', n } = message.body;
      const { state } = ctx;
      const expected = state.next[lane] ?? 0;
      const disorder = n === expected ? state.disorder : [...state.disorder, { lane, n, expected }].slice(-20);
      ctx.state = { ...state, count: state.count + 1, next: { ...state.next, [lane]: n + 1 }, disorder };
    },
    /** Tells `count` durable messages to another agent. */
    burst: async (message, ctx) => {
      const { to, count, from = 0 } = message.body;
      const told = [];
      for (let n = from; n < from + count; n++) told.push(ctx.tell(to, 'add', { lane: ctx.id, n }, { durable: true }));
      await Promise.all(told);
      return told.length;
    },
    exit: () => process.exit(7),
    crash: () =>
      new Promise(() => {
        setTimeout(() => {
          throw new Error('outside of any handler');
        }, 1);
      }),
    fail: () => {
      throw new Error('never works');
    },
    unstorable: (_message, ctx) => {
      ctx.state = { ...ctx.state, bad: '\u0000' };
    },
    read: (_message, ctx) => ctx.state,
  },
});
