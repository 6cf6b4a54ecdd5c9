// How work comes to an agent: what the decision log of a run says of it.

/** How an agent was chosen for an attempt. */
export interface Placement {
  /** `longest_waiting`: of those with a free slot the one that was idle longest; `named`: the task asked for this one. */
  readonly rule: 'longest_waiting' | 'named';
  /** Agents of the node that had a free slot then, with the chosen one. */
  readonly free: number;
  /** Who would have been next, in order; a few at most. */
  readonly next: readonly string[];
}
