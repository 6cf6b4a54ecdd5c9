// The end of a run that cannot be decided any more.

import { toWireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import { isTerminalTask } from '../contracts/task.ts';
import type { RunLoopParts } from './ports.ts';

/** Ends it as failed, with everything it has open. */
export async function giveUp(
  { store, tasks, feed, stopRunning }: RunLoopParts,
  { id, tenant, version }: { readonly id: WorkflowId; readonly tenant: string; readonly version: number },
  error: unknown,
): Promise<void> {
  const row = await store.get(id, tenant);
  const result = await store.advance({
    workflowId: id,
    tenant,
    version,
    consumed: [],
    journal: [],
    schedule: [],
    cancel: [],
    timers: [],
    decisions: [{ kind: 'stop', rule: 'definition_changed', chosen: 'failed' }],
    events: [],
    progress: row?.progress ?? { done: 0, total: 0 },
    end: { status: 'failed', stopReason: 'definition_changed', output: null, error: toWireError(error) },
  });
  if (result.outcome === 'conflict') return;
  feed.publish(result.events);
  // Its memory cannot be trusted, so what is open is asked of the tasks themselves.
  const open = (await tasks.byWorkflow(id)).filter((task) => !isTerminalTask(task.status));
  for (const task of open) {
    const cancelled = await tasks.cancel(task.id, tenant);
    if (cancelled.outcome !== 'cancelled') continue;
    feed.publish(cancelled.events);
    if (cancelled.wasRunning) stopRunning([{ taskId: task.id, fence: cancelled.fence, node: cancelled.node }]);
  }
}
