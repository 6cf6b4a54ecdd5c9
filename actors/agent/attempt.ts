// One attempt of a task in this thread: input checked, handler run under a signal, output checked, and one outcome.

import { toWireError, type WireError } from '../../runtime/contracts/errors.ts';
import type { TaskAssignment, TaskOutcome } from '../../runtime/contracts/task.ts';
import type { AgentCore } from './agent-core.ts';
import { AttemptContext } from './attempt-context.ts';
import type { Capability } from './capability.ts';
import { runInHand } from './task-in-hand.ts';
import { validateAsync } from './validation.ts';

/**
 * Runs one attempt; never rejects. The cell keeps its time: `signal` aborts with the code `task_timeout` when it is over,
 * with any other reason at a cancel. After an abort the handler is still waited for, and what it gives no longer counts:
 * it may be half a result. A handler that ignores its signal is the cell's matter (abandoned or killed after the grace).
 */
export async function runAttempt(
  core: AgentCore,
  capability: Capability,
  task: TaskAssignment,
  signal: AbortSignal,
): Promise<TaskOutcome> {
  const startedAt = core.cell.nowMs();
  const runMs = (): number => Math.max(0, core.cell.nowMs() - startedAt);
  const ctx = new AttemptContext(core, task, signal);
  const ended = (outcome: Ended): TaskOutcome => {
    const usage = ctx.used;
    return usage === undefined ? outcome : { ...outcome, usage };
  };
  try {
    const result = await handle(ctx, core, capability, task, signal);
    if (signal.aborted) return ended(aborted(signal, runMs()));
    if (ctx.left) return ended({ ...ctx.left, runMs: runMs() });
    const snapshot = core.dirty ? { snapshot: core.snapshot() } : {};
    core.dirty = false;
    return ended({ type: 'completed', result, ...snapshot, runMs: runMs() });
  } catch (error) {
    if (signal.aborted) return ended(aborted(signal, runMs()));
    if (ctx.left) return ended({ ...ctx.left, runMs: runMs() });
    return ended({ type: 'failed', error: failureOf(error), runMs: runMs() });
  }
}

/** The ends of an attempt that its own thread reports. */
type Ended = Exclude<TaskOutcome, { type: 'lost' | 'released' }>;

async function handle(
  ctx: AttemptContext,
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
  const result = await core.cell.attribute(() => runInHand(ctx, () => capability.handle(input.value, ctx)));
  if (ctx.left) return undefined;
  const output = await validateAsync(capability.output, result, 'invalid_output', 'result');
  if (!output.ok) throw output.error;
  return output.value;
}

function aborted(signal: AbortSignal, runMs: number): Ended {
  const timedOut = toWireError(signal.reason).code === 'task_timeout';
  return timedOut ? { type: 'timed_out', runMs } : { type: 'cancelled', runMs };
}

/** An error that does not say whether a retry can help may be retried: most unforeseen failures are transient. */
function failureOf(error: unknown): WireError {
  const wire = toWireError(error, 'handler_failed');
  const says = typeof error === 'object' && error !== null && 'retryable' in error;
  return says ? wire : { ...wire, retryable: true };
}
