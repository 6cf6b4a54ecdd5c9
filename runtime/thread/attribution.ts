// Whose code runs: told to main in shared memory, for when the thread hangs or dies, and to asynchronous context, for what is
// thrown where nobody catches it.

import { ON_STACK, PROGRESS, TASK_ON_STACK } from '../transport/frames.ts';
import type { Cell, Scope } from './cell.ts';
import type { ScopeStore } from './host-env.ts';

export class Attribution {
  readonly #life: Int32Array;
  readonly #scope: ScopeStore;
  /** The cell whose code is on the stack. */
  #onStack: Cell | null = null;
  /** The asynchronous context entered last. */
  #entered: Cell | null = null;

  constructor(life: Int32Array, scope: ScopeStore) {
    this.#life = life;
    this.#scope = scope;
  }

  /** A message goes to a handler. The context entered stays until {@link leave}: entering costs, and runs of messages share it. */
  handling(cell: Cell): void {
    if (this.#entered !== cell) {
      this.#entered = cell;
      this.#scope.enterWith(cell.scope);
    }
    this.#onStack = cell;
    this.#life[ON_STACK] = cell.slot;
  }

  handled(): void {
    this.#onStack = null;
    this.#life[ON_STACK] = 0;
    this.#life[PROGRESS] = ((this.#life[PROGRESS] ?? 0) + 1) | 0;
  }

  leave(): void {
    if (this.#entered === null) return;
    this.#entered = null;
    this.#scope.enterWith(undefined);
  }

  /** Runs code of a cell: what it throws later, outside its promises, is laid to the cell (and task). */
  within<T>(cell: Cell, task: number, fn: () => T): T {
    const life = this.#life;
    const [cellBefore, taskBefore] = [life[ON_STACK] ?? 0, life[TASK_ON_STACK] ?? 0];
    life[ON_STACK] = cell.slot;
    life[TASK_ON_STACK] = task;
    try {
      return this.#scope.run(task === 0 ? cell.scope : { cell, task }, fn);
    } finally {
      life[ON_STACK] = cellBefore;
      life[TASK_ON_STACK] = taskBefore;
      life[PROGRESS] = ((life[PROGRESS] ?? 0) + 1) | 0;
    }
  }

  /** Key of the task of this cell whose code runs, 0 outside of tasks. */
  taskOf(cell: Cell): number {
    const scope = this.#scope.getStore();
    return scope?.cell === cell ? scope.task : 0;
  }

  /** Whose exception it is that nobody caught; nothing is on the stack from now on. */
  culprit(): Scope | undefined {
    const scope = this.#scope.getStore() ?? (this.#onStack ? this.#onStack.scope : undefined);
    if (!scope) return undefined;
    this.#onStack = null;
    this.#life[ON_STACK] = 0;
    this.#life[TASK_ON_STACK] = 0;
    return scope;
  }
}
