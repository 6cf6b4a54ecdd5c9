// Gives every running workflow its place in the supervision tree: a coordinator child, and under it a child per step in flight.

import { wireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { SupervisionTree } from '../supervision/supervision-tree.ts';
import type { RunObserver } from '../workflows/ports.ts';

type Tree = SupervisionTree['workflows'];
type Coordinator = ReturnType<Tree['spawn']>;
type Step = NonNullable<ReturnType<Tree['step']>>;

/** The steps' outcomes are settled in the store; the tree mirrors them. `onStepFailed` pokes the run that has to answer. */
export function createRunObserver(tree: Tree, onStepFailed: (id: WorkflowId) => Promise<unknown>): RunObserver {
  const coordinators = new Map<WorkflowId, Coordinator>();
  const steps = new Map<string, Step>();
  return {
    runStarted({ id, tenant, pattern }) {
      const about = { tenant, pattern };
      const spec = { about, start() {}, stop() {}, onStepFailed: () => void onStepFailed(id) };
      coordinators.set(id, tree.spawn(id, spec));
    },
    stepStarted(id, { step, round, taskId }) {
      const child = tree.step(id, stepName(step, round), { taskId, cancel() {} });
      if (child) steps.set(`${id}/${stepName(step, round)}`, child);
    },
    stepEnded(id, { step, round }, outcome) {
      const key = `${id}/${stepName(step, round)}`;
      const child = steps.get(key);
      steps.delete(key);
      if (outcome === 'completed') child?.done();
      else if (outcome === 'failed') child?.failed(wireError('handler_failed', `step ${step} failed`));
      else child?.stop();
    },
    runEnded(id) {
      coordinators.get(id)?.done();
      coordinators.delete(id);
    },
  };
}

function stepName(step: string, round: number): string {
  return round === 0 ? step : `${step}#${round}`;
}
