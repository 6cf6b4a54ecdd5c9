// Large runs that ended and were looked at lately: their pages are turned without reading all of them again each time.
// An ended run never changes; whether it is still there, and whose it is, the store is asked every time.

import { isId, type WorkflowId } from '../contracts/ids.ts';
import type { CallContext } from '../contracts/runtime.ts';
import type { WorkflowRow, WorkflowStore } from '../contracts/store.ts';
import { isTerminalWorkflow } from '../contracts/workflow.ts';
import type { Definition } from './definition.ts';
import type { RunMemory } from './run-memory.ts';

export interface EndedRun {
  readonly row: WorkflowRow & { readonly metrics: unknown };
  readonly definition: Definition | null;
  readonly memory: RunMemory | null;
}

/** Steps and rounds from which on reading a run anew is felt. */
const LARGE = 500;
/** Of all runs that are kept. */
const MOST = 50_000;

export class EndedRuns {
  readonly #store: Pick<WorkflowStore, 'brief'>;
  /** The one looked at last is the last. */
  readonly #runs = new Map<WorkflowId, EndedRun>();
  #size = 0;

  constructor(store: Pick<WorkflowStore, 'brief'>) {
    this.#store = store;
  }

  async get(id: string, { tenant }: CallContext): Promise<EndedRun | undefined> {
    const run = isId('workflow', id) ? this.#runs.get(id) : undefined;
    if (!run || !isId('workflow', id)) return undefined;
    const brief = await this.#store.brief(id, tenant);
    if (brief?.version !== run.row.version) return undefined;
    this.#forget(id);
    this.keep(run);
    return run;
  }

  keep(run: EndedRun): void {
    const { id, status } = run.row;
    const size = sizeOf(run);
    if (!isTerminalWorkflow(status) || size < LARGE || size > MOST) return;
    this.#forget(id);
    this.#runs.set(id, run);
    this.#size += size;
    for (const oldest of this.#runs.keys()) {
      if (this.#size <= MOST) return;
      this.#forget(oldest);
    }
  }

  #forget(id: WorkflowId): void {
    const run = this.#runs.get(id);
    if (!run) return;
    this.#runs.delete(id);
    this.#size -= sizeOf(run);
  }
}

const sizeOf = ({ row, memory }: EndedRun): number => row.spec.tasks.length + (memory?.timings.length ?? 0);
