// A span for each run that this node holds, and its context in every task that the run schedules: whichever node takes the task goes on
// in the same trace. Works around the store of workflows and behind its observer; the coordinator knows nothing of it.

import type { WorkflowId } from '../contracts/ids.ts';
import type { Advance, NewWorkflow, WorkflowRow, WorkflowStore } from '../contracts/store.ts';
import { activeTraceparent, type OpenSpan, openSpan, tracing } from '../contracts/tracing.ts';
import type { RunObserver } from '../workflows/ports.ts';

/** Runs that were made and not started yet, or adopted: their trace is remembered for this many. */
const MAX_KNOWN = 10_000;

export interface RunTracesOptions {
  /** The trace that steps of a run were scheduled in before it came here. */
  readonly traceOf: (id: WorkflowId) => Promise<string | undefined>;
}

export class RunTraces {
  readonly #options: RunTracesOptions;
  readonly #spans = new Map<WorkflowId, OpenSpan>();
  /** In which trace a run is to begin. */
  readonly #parents = new Map<WorkflowId, string>();
  readonly #names = new Map<WorkflowId, { readonly name: string; readonly pattern: string }>();

  constructor(options: RunTracesOptions) {
    this.#options = options;
  }

  /** The store as coordinators are to use it. */
  around(store: WorkflowStore): WorkflowStore {
    const traced: Partial<WorkflowStore> = {
      create: (workflow) => {
        if (tracing()) this.#made(workflow);
        return store.create(workflow);
      },
      createDecided: (workflow, first) => {
        if (!tracing()) return store.createDecided(workflow, first);
        this.#made(workflow);
        return store.createDecided(workflow, this.#mark(first));
      },
      start: async (id, tenant, seed) => {
        this.#remember(id, activeTraceparent());
        const started = await store.start(id, tenant, seed);
        if (started.outcome === 'started' && tracing()) this.#name(started.row);
        return started;
      },
      adopt: async (limit) => this.#adopted(await store.adopt(limit)),
      owned: async () => this.#adopted(await store.owned()),
      advance: (advance) => store.advance(tracing() ? this.#mark(advance) : advance),
      settleDecided: (ends, advance) => store.settleDecided(ends, tracing() ? this.#mark(advance) : advance),
    };
    return { ...store, ...traced };
  }

  /** The observer, and the end of a span with the end of its run. */
  observe(observer: RunObserver): RunObserver {
    return {
      ...observer,
      runEnded: (id, outcome) => {
        observer.runEnded?.(id, outcome);
        this.#spans.get(id)?.end();
        this.#spans.delete(id);
        this.#parents.delete(id);
        this.#names.delete(id);
      },
    };
  }

  #made({ id, spec }: NewWorkflow): void {
    this.#remember(id, activeTraceparent());
    this.#name({ id, ...spec });
  }

  #name({ id, name, pattern }: { readonly id: WorkflowId; readonly name: string; readonly pattern: string }): void {
    bounded(this.#names).set(id, { name, pattern });
  }

  async #adopted(rows: readonly WorkflowRow[]): Promise<readonly WorkflowRow[]> {
    if (tracing()) await Promise.all(rows.map((row) => this.#goOn(row)));
    return rows;
  }

  async #goOn(row: WorkflowRow): Promise<void> {
    this.#name(row);
    if (!this.#spans.has(row.id)) this.#remember(row.id, await this.#options.traceOf(row.id).catch(() => undefined));
  }

  #remember(id: WorkflowId, traceparent: string | undefined): void {
    if (traceparent !== undefined) bounded(this.#parents).set(id, traceparent);
  }

  /** The tasks that a decision schedules carry the span of their run; runs inside it begin in it. */
  #mark(advance: Advance): Advance {
    const { workflowId, schedule, children = [] } = advance;
    const span = this.#spanOf(workflowId, advance);
    if (!span) return advance;
    const { traceparent } = span;
    for (const child of children) {
      this.#remember(child.id, traceparent);
      this.#name({ id: child.id, ...child.spec });
    }
    if (advance.end)
      span.set({ 'troupe.workflow.status': advance.end.status, 'troupe.workflow.stop_reason': advance.end.stopReason });
    return { ...advance, schedule: schedule.map((task) => ({ traceparent, ...task })) };
  }

  #spanOf(id: WorkflowId, { tenant }: Advance): OpenSpan | undefined {
    const known = this.#spans.get(id);
    if (known) return known;
    const { name = 'workflow', pattern = 'unknown' } = this.#names.get(id) ?? {};
    const span = openSpan({
      name: `invoke_workflow ${pattern}`,
      parent: this.#parents.get(id) ?? null,
      attributes: {
        'gen_ai.operation.name': 'invoke_workflow',
        'gen_ai.workflow.name': name,
        'troupe.workflow.id': id,
        'troupe.workflow.pattern': pattern,
        'troupe.tenant': tenant,
      },
    });
    if (span) this.#spans.set(id, span);
    return span;
  }
}

/** Room for one more: the oldest goes. */
function bounded<Key, Value>(map: Map<Key, Value>): Map<Key, Value> {
  if (map.size < MAX_KNOWN) return map;
  const oldest = map.keys().next();
  if (!oldest.done) map.delete(oldest.value);
  return map;
}
