// Which task the running code belongs to, for whoever meters what tasks use without being handed their context: the model.
// Followed only in threads that asked for it ({@link meterTasks}): asynchronous context costs every promise a little.

import { AsyncLocalStorage } from 'node:async_hooks';
import type { TaskUsage } from '../../runtime/contracts/usage.ts';

export interface Metered {
  usage(used: TaskUsage): void;
}

let inHand: AsyncLocalStorage<Metered> | undefined;

/** From now on {@link usedByTask} finds the task of this thread that it is called in. */
export function meterTasks(): void {
  inHand ??= new AsyncLocalStorage();
}

/** Runs the handler of a task; what its code calls and awaits belongs to the task. */
export function runInHand<T>(task: Metered, handler: () => T): T {
  return inHand === undefined ? handler() : inHand.run(task, handler);
}

/** Adds to what the task around this call has used; without effect outside of tasks. */
export function usedByTask(used: TaskUsage): void {
  inHand?.getStore()?.usage(used);
}
