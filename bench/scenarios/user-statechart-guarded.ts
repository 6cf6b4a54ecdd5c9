// A user's statechart of two states with guards, in a cell, against plain XState.

import { assign, createMachine } from 'xstate';
import { userLogic } from '../user-logic.ts';

const guarded = createMachine({
  id: 'guarded',
  types: {} as { context: { count: number; sum: number }; events: { type: 'inc'; n: number } },
  initial: 'even',
  context: { count: 0, sum: 0 },
  states: {
    even: { on: { inc: { guard: ({ event }) => event.n > 0, target: 'odd', actions: 'add' } } },
    odd: { on: { inc: { guard: ({ event }) => event.n > 0, target: 'even', actions: 'add' } } },
  },
}).provide({
  actions: {
    add: assign({
      count: ({ context }) => context.count + 1,
      sum: ({ context, event }) => context.sum + event.n,
    }),
  },
});

export const scenario = userLogic(
  'user-statechart-guarded',
  'events/s of a two-state machine with guard and assign',
  guarded,
  { count: 50_000, floor: 0.8 },
);
