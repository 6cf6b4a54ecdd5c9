// What particles and ants differ in: where a member goes, what is learnt from a score, what the objective is asked.

import type { Random } from '../common/random.ts';
import type { Draft, Member, Place, SwarmState } from './state.ts';

type Step = Pick<Member, 'at' | 'velocity'>;

export interface Search {
  /** A member that begins, or begins anew. */
  scatter(state: SwarmState, random: Random): Step;
  /** A member whose last place was evaluated. */
  move(state: SwarmState, random: Random, member: Member): Step;
  /** Takes in a score; the best of all is up to date already. */
  learn(draft: Draft, at: Place, score: number): void;
  /** What the objective is given beside its own input. */
  input(at: Place): Readonly<Record<string, unknown>>;
  /** A place as a person names it. */
  shown(at: Place): unknown;
}
