// Steps of a graph that wait for a signal. A signal is a latch: the first one of a key holds for every step that names it, also for those
// that start later. Pure.

import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { type WireError, wireError } from '../../runtime/contracts/errors.ts';
import type { WorkflowTask } from '../../runtime/contracts/workflow.ts';
import type { DagPlan } from './plan.ts';
import { changeStep, type DagState, type Draft, type StepEnd, stepAt, taskAt } from './state.ts';

const DEFAULT_EXPIRY_MS = 7 * 86_400_000;

/** No step id can hold a colon. */
const timerOf = (task: WorkflowTask): string => `${task.id}:signal`;

const has = (signals: DagState['signals'], key: string): boolean =>
  signals !== undefined && Object.hasOwn(signals, key);

/** A step that waits, from now on; or its end, if the signal has come already. */
export function waitForSignal(
  draft: Draft,
  node: number,
  signal: NonNullable<WorkflowTask['signal']>,
): StepEnd | undefined {
  const { state, plan } = draft;
  if (has(state.signals, signal.key)) return { state: 'completed', result: state.signals?.[signal.key] };
  changeStep(draft, node, { state: 'running', next: 1, open: [0] });
  state.ready.shift();
  state.inFlight += 1;
  const afterMs = signal.expiresMs ?? DEFAULT_EXPIRY_MS;
  draft.commands.push({ type: 'timer', key: timerOf(taskAt(plan, node)), afterMs });
  return undefined;
}

/** Steps of the plan that wait for it now; undefined: no step ever does, or it came before. */
export function waitingFor(
  plan: DagPlan,
  state: DagState,
  { key }: Extract<CoordinationEvent, { type: 'input' }>,
): readonly number[] | undefined {
  const named = plan.tasks.flatMap((task, node) => (task.signal?.key === key ? [node] : []));
  if (named.length === 0 || has(state.signals, key)) return undefined;
  return named.filter((node) => stepAt(state, node).state === 'running');
}

/** The step whose time to wait is over, and how it failed. */
export function expired(
  plan: DagPlan,
  state: DagState,
  { key }: Extract<CoordinationEvent, { type: 'timer' }>,
): { readonly node: number; readonly error: WireError } | undefined {
  const node = plan.tasks.findIndex((task) => task.signal && timerOf(task) === key);
  if (node < 0 || stepAt(state, node).state !== 'running') return undefined;
  const name = taskAt(plan, node).signal?.key;
  return { node, error: wireError('input_expired', `the signal "${name}" did not come in time`, { key: name }) };
}
