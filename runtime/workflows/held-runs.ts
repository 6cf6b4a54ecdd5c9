// The runs that this node has in memory: who they are, what waits for them, and who is told when they are held no longer.

import type { WorkflowId } from '../contracts/ids.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { Advance, InboxEvent, WorkflowRow } from '../contracts/store.ts';
import { Coordinator, type CoordinatorParts } from './coordinator.ts';
import type { Definition, Strategies } from './definition.ts';
import type { HeldEnd } from './held-ends.ts';
import type { RunLoopParts } from './ports.ts';

/** A run in memory, and what waits for its next decision. */
export interface HeldRun {
  readonly coordinator: Coordinator;
  /** A decision is being committed. */
  busy: boolean;
  /** Decisions so far: what was read from the store before the last one began may have been taken by it. */
  turns: number;
  /** Its inbox is being read. */
  reading: boolean;
  /** Mail that came without being read, in its order. */
  readonly direct: InboxEvent[];
  /** Ends of its steps that are not settled yet. */
  readonly ends: HeldEnd[];
  /** Who wants to know how it ends. */
  readonly waiting: Set<(end: Advance['end']) => void>;
}

/** What is known of a run before its first decision. */
export const FRESH = { memory: null, snapshotEvents: 0, recorded: null };

export class HeldRuns {
  readonly #parts: Pick<RunLoopParts, 'capabilities' | 'observer'>;
  readonly #strategies: Strategies;
  readonly #runs = new Map<WorkflowId, HeldRun>();

  constructor(parts: Pick<RunLoopParts, 'capabilities' | 'observer'>, strategies: Strategies) {
    this.#parts = parts;
    this.#strategies = strategies;
  }

  get size(): number {
    return this.#runs.size;
  }

  ids(): WorkflowId[] {
    return [...this.#runs.keys()];
  }

  get(id: WorkflowId): HeldRun | undefined {
    return this.#runs.get(id);
  }

  has(id: WorkflowId): boolean {
    return this.#runs.has(id);
  }

  coordinator(
    row: Pick<WorkflowRow, 'id' | 'tenant' | 'version' | 'depth'>,
    definition: Definition,
    known: Pick<CoordinatorParts, 'memory' | 'snapshotEvents' | 'recorded'>,
  ): Coordinator {
    const { id, tenant, version, depth } = row;
    const { capabilities } = this.#parts;
    return new Coordinator({
      id,
      tenant,
      version,
      definition,
      capabilities,
      strategies: this.#strategies,
      depth,
      ...known,
    });
  }

  hold(coordinator: Coordinator, pattern: string, state: 'free' | 'busy' = 'free'): HeldRun {
    const { observer } = this.#parts;
    const { id, tenant } = coordinator;
    const busy = state === 'busy';
    const run: HeldRun = { coordinator, busy, turns: 0, reading: false, direct: [], ends: [], waiting: new Set() };
    this.#runs.set(id, run);
    observer?.runStarted?.({ id, tenant, pattern });
    for (const step of coordinator.inFlight) observer?.stepStarted?.(id, step);
    return run;
  }

  /**
   * Told once: how a run that is held here ended, or undefined when it is held here no longer. Undefined: it is not here.
   */
  onEnd(id: WorkflowId, listener: (end: Advance['end']) => void): Dispose | undefined {
    const run = this.#runs.get(id);
    if (!run) return undefined;
    run.waiting.add(listener);
    return () => void run.waiting.delete(listener);
  }

  /** The run that was held, if it was; who waits for its end is told. `end`: how it ended. */
  drop(id: WorkflowId, outcome: 'ended' | 'detached', end?: Advance['end']): HeldRun | undefined {
    const run = this.#runs.get(id);
    if (!run) return undefined;
    this.#runs.delete(id);
    for (const listener of run.waiting) listener(end);
    const { observer } = this.#parts;
    for (const step of run.coordinator.inFlight)
      observer?.stepEnded?.(id, step, outcome === 'ended' ? 'cancelled' : 'detached');
    observer?.runEnded?.(id, outcome);
    return run;
  }
}
