// One attempt of a task in this thread: input checked, handler run under a signal, output checked, and one outcome.

import type { CellContext } from '../../runtime/contracts/actor.ts';
import { RuntimeError, toWireError, type WireError } from '../../runtime/contracts/errors.ts';
import type { TaskAssignment, TaskOutcome } from '../../runtime/contracts/task.ts';
import type { Capability } from './capability.ts';
import { type AgentCore, AttemptContext } from './contexts.ts';
import { validateAsync } from './validation.ts';

/**
 * Runs one attempt; never rejects. After an abort it still waits for the handler: one that ignores its signal is
 * the pool's matter (abandoned or killed after the grace).
 */
export async function runAttempt(
  core: AgentCore,
  capability: Capability,
  task: TaskAssignment,
  cancel: AbortSignal,
): Promise<TaskOutcome> {
  const startedAt = core.cell.nowMs();
  const runMs = (): number => Math.max(0, core.cell.nowMs() - startedAt);
  const stop = attemptSignal(core.cell, task.timeoutMs, cancel);
  try {
    const result = await handle(core, capability, task, stop.signal);
    if (stop.signal.aborted) return aborted(stop.signal, runMs());
    const snapshot = core.dirty ? { snapshot: core.snapshot() } : {};
    core.dirty = false;
    return { type: 'completed', result, ...snapshot, runMs: runMs() };
  } catch (error) {
    if (stop.signal.aborted) return aborted(stop.signal, runMs());
    return { type: 'failed', error: failureOf(error), runMs: runMs() };
  } finally {
    stop.dispose();
  }
}

async function handle(
  core: AgentCore,
  capability: Capability,
  task: TaskAssignment,
  signal: AbortSignal,
): Promise<unknown> {
  const checked = validateAsync(capability.input, task.input, 'invalid_input', 'input');
  const input = 'ok' in checked ? checked : await checked;
  if (!input.ok) throw input.error;
  // Last moment before the handler: one that only listens for `abort` would never hear of an earlier one.
  signal.throwIfAborted();
  const ctx = new AttemptContext(core, task, signal);
  const result = await core.cell.attribute(() => capability.handle(input.value, ctx));
  const output = await validateAsync(capability.output, result, 'invalid_output', 'result');
  if (!output.ok) throw output.error;
  return output.value;
}

/** Aborts with `task_timeout` when the attempt's time is over, or with the reason of the cell's own signal. */
function attemptSignal(
  cell: CellContext,
  timeoutMs: number,
  cancel: AbortSignal,
): { readonly signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const clearTimer = cell.setTimer(timeoutMs, () =>
    controller.abort(new RuntimeError('task_timeout', `no result within ${timeoutMs} ms`)),
  );
  const onCancel = (): void => controller.abort(cancel.reason);
  if (cancel.aborted) onCancel();
  else cancel.addEventListener('abort', onCancel, { once: true });
  return {
    signal: controller.signal,
    dispose() {
      clearTimer();
      cancel.removeEventListener('abort', onCancel);
    },
  };
}

function aborted(signal: AbortSignal, runMs: number): TaskOutcome {
  const timedOut = toWireError(signal.reason).code === 'task_timeout';
  return timedOut ? { type: 'timed_out', runMs } : { type: 'cancelled', runMs };
}

/** An error that does not say whether a retry can help may be retried: most unforeseen failures are transient. */
function failureOf(error: unknown): WireError {
  const wire = toWireError(error, 'handler_failed');
  const says = typeof error === 'object' && error !== null && 'retryable' in error;
  return says ? wire : { ...wire, retryable: true };
}
