// Sequential (WCP-1 Sequence; prompt chaining): one step at a time in topological order, of equals the one declared first.

import { z } from 'zod';
import type { CoordinationStrategy } from '../runtime/contracts/coordination.ts';
import { checkDag } from './dag/check.ts';
import { dagPlan } from './dag/plan.ts';
import type { DagPolicy } from './dag/policy.ts';
import { decideDag, startDag } from './dag/run.ts';
import type { DagState } from './dag/state.ts';
import { dagPage, dagProgress, dagSteps, orderPicture } from './dag/view.ts';

const optionsSchema = z.strictObject({});
export type SequentialOptions = z.infer<typeof optionsSchema>;

const policy: DagPolicy = {
  maxConcurrency: 1,
  join: 'all',
  failure: 'step_failed',
  leftover: 'skipped',
  sink: (plan, { resultOf }) => resultOf(plan.order.at(-1) ?? 0),
};

/**
 * Input: tasks with dependencies. Output: `{ [taskId]: result, sink }`, `sink` being the result of the last step in order.
 * A step that failed (its retries used up) ends the run `failed`/`step_failed`; under `continue` its dependants are skipped
 * (`upstream_failed`), the rest runs and the run ends `partial`; under `compensate` finished steps are undone first.
 * Guarantee: a step never starts before the one before it has ended and its outcome is committed.
 */
export const sequential: CoordinationStrategy<SequentialOptions, DagState> = {
  name: 'sequential',
  revision: 1,
  options: optionsSchema,
  check: checkDag,
  start: (workflow) => {
    const verdict = startDag(workflow, policy);
    const { order, tasks } = dagPlan(workflow);
    const candidates = order.slice(0, 100).map((node) => ({ id: tasks[node]?.id ?? '' }));
    const chosen = candidates[0]?.id ?? '';
    return {
      ...verdict,
      decisions: [{ kind: 'schedule', rule: 'topological_order', chosen, candidates }, ...verdict.decisions],
    };
  },
  decide: (workflow, _options, state, event) => decideDag(workflow, policy, state, event),
  steps: (workflow, _options, state) => dagSteps(workflow, state),
  page: (workflow, _options, state, range) => dagPage(workflow, state, range),
  progress: dagProgress,
  picture: (workflow, _options, state) => orderPicture(workflow, state),
};
