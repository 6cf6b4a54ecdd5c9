// A user's transition logic (fromTransition) in a cell, against plain XState.

import { fromTransition } from 'xstate';
import { userLogic } from '../user-logic.ts';

const transition = fromTransition(
  (state: { count: number; sum: number }, event: { type: 'inc'; n: number }) => ({
    count: state.count + 1,
    sum: state.sum + event.n,
  }),
  { count: 0, sum: 0 },
);

export const scenario = userLogic('user-transition-logic', 'events/s of transition logic', transition, {
  count: 1_000_000,
  floor: 0.5,
});
