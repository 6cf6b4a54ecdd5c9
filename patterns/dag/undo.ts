// onFailure "compensate": the declared undo of every finished step, last finished first, one at a time (saga, Garcia-Molina and Salem 1987).
// An undo that fails does not keep the others from being undone; it makes the run end `compensation_failed`.

import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import { resolveInput } from '../common/references.ts';
import { undoOf } from '../common/step-start.ts';
import { endRun, undoStep } from './end.ts';
import { type Draft, lookUp, stepAt, taskAt } from './state.ts';

type Ended = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;

export const isUndo = (step: string): boolean => step.endsWith(':undo');

export function beginUndo(draft: Draft, cause: WireError): void {
  const { state, plan, decisions } = draft;
  const queue = state.finished.filter((node) => taskAt(plan, node).compensate).reverse();
  state.phase = 'undoing';
  state.undo = { queue, current: null, done: [], cause };
  const candidates = queue.slice(0, 20).map((node) => ({ id: taskAt(plan, node).id }));
  decisions.push({ kind: 'compensate', rule: 'reverse_order', chosen: `${queue.length} steps`, candidates });
  undoNext(draft);
}

/** False when the event is not the end of the undo in flight. */
export function undoEnded(draft: Draft, event: Ended): boolean {
  const { undo } = draft.state;
  if (!undo || undo.current === null || event.round !== 0 || undoStep(draft.plan, undo.current) !== event.step)
    return false;
  const done = [...undo.done, { step: undo.current, ok: event.type === 'step.completed' }];
  draft.state.undo = { ...undo, current: null, done };
  undoNext(draft);
  return true;
}

function undoNext(draft: Draft): void {
  const { state, plan } = draft;
  while (state.undo) {
    const [node, ...queue] = state.undo.queue;
    if (node === undefined) break;
    const task = taskAt(plan, node);
    const undo = task.compensate;
    const resolved = resolveInput(undo?.input, {
      from: (path) => seen(draft, node, path),
      input: draft.workflow.input,
    });
    if (undo && resolved.ok) {
      state.undo = { ...state.undo, queue, current: node };
      draft.commands.push(undoOf(task, undoStep(plan, node), undo.capability, resolved.value));
      return;
    }
    state.undo = { ...state.undo, queue, done: [...state.undo.done, { step: node, ok: false }] };
  }
  const failed = state.undo?.done.some((one) => !one.ok) ?? false;
  const error = state.undo?.cause;
  endRun(draft, {
    status: 'failed',
    stopReason: failed ? 'compensation_failed' : 'compensated',
    rule: 'compensate',
    ...(error ? { error } : {}),
  });
}

function seen(draft: Draft, node: number, path: readonly string[]) {
  const looked = lookUp(draft, node, path);
  const other = draft.plan.indexOf.get(path[0] ?? '');
  const ran = other !== undefined && stepAt(draft.state, other).state === 'completed';
  return looked.type === 'absent' && !ran ? ({ type: 'value', value: null } as const) : looked;
}
