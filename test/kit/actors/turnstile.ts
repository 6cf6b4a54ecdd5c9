// A plain actor made from a machine: locked, unlocked by a coin, locked again by a push. Made for inspectors to look at.

import { assign, setup } from 'xstate';
import { defineActor } from '../../../actors/index.ts';

const machine = setup({
  types: {
    context: {} as { coins: number; note: unknown },
    events: {} as { type: 'coin'; body?: unknown } | { type: 'push' },
  },
}).createMachine({
  id: 'turnstile',
  context: { coins: 0, note: null },
  initial: 'locked',
  states: {
    locked: {
      on: {
        coin: {
          target: 'unlocked',
          actions: assign({ coins: ({ context }) => context.coins + 1, note: ({ event }) => event }),
        },
      },
    },
    unlocked: { on: { push: 'locked' } },
  },
});

export const turnstile = defineActor({ type: 'turnstile', logic: machine });
