// A user's statechart of one state with assign, in a cell, against plain XState.

import { assign, createMachine } from 'xstate';
import { userLogic } from '../user-logic.ts';

const counter = createMachine({
  id: 'counter',
  types: {} as { context: { count: number; sum: number }; events: { type: 'inc'; n: number } },
  initial: 'counting',
  context: { count: 0, sum: 0 },
  states: {
    counting: {
      on: {
        inc: {
          actions: assign({
            count: ({ context }) => context.count + 1,
            sum: ({ context, event }) => context.sum + event.n,
          }),
        },
      },
    },
  },
});

export const scenario = userLogic('user-statechart', 'events/s of a one-state machine with assign', counter, {
  count: 100_000,
  floor: 0.8,
});
