// What tells one pattern over a graph from another: how many at once, when enough is enough, what is left over, what the result is.

import type { StopReason } from '../../runtime/contracts/coordination.ts';
import type { Join } from '../common/joins.ts';
import type { DagPlan } from './plan.ts';

export interface DagPolicy {
  readonly maxConcurrency: number;
  readonly join: Join;
  /** Reason of a run that failed. */
  readonly failure: Extract<StopReason, 'step_failed' | 'join_unsatisfiable'>;
  /** What becomes of steps that never started when the run ends early. */
  readonly leftover: 'skipped' | 'cancelled';
  /** The value under `sink` of the output. */
  sink(plan: DagPlan, ended: EndedSteps): unknown;
}

export interface EndedSteps {
  /** Of a completed step, else null. */
  resultOf(node: number): unknown;
  /** The candidate of the join that ended first. */
  readonly first: number | null;
}
