// Looking at runs and waiting for them. A run that is held here is shown from memory, any other from its rows.

import type { StepView } from '../contracts/coordination.ts';
import { RuntimeError, toWireError, type WireError } from '../contracts/errors.ts';
import { isId, type TaskId, type WorkflowId } from '../contracts/ids.ts';
import type { CallContext, WorkflowOutcome, WorkflowsApi } from '../contracts/runtime.ts';
import type { Advance, WorkflowRow } from '../contracts/store.ts';
import type { TaskView } from '../contracts/task.ts';
import { isTerminalWorkflow, type WorkflowView } from '../contracts/workflow.ts';
import type { Coordinator } from './coordinator.ts';
import { type Definition, definitionOf, type Strategies } from './definition.ts';
import { EndedRuns } from './ended-runs.ts';
import type { RunLoopParts } from './ports.ts';
import { recover } from './recovery.ts';
import type { RunLoop } from './run-loop.ts';
import type { RunMemory } from './run-memory.ts';
import { asStored } from './step-end.ts';
import { type ReadSteps, type StepsWanted, stepPage } from './step-page.ts';
import { viewOf } from './workflow-view.ts';

/** Slower polls for a run of this node: only a change of owner could hide its end from the feed. */
const HELD_POLLS = 10;
const END: ReadonlySet<string> = new Set(['workflow.ended']);
const TURNS: ReadonlySet<string> = new Set(['workflow.paused', 'workflow.resumed', 'workflow.ended']);
/** Holds for every task of the capability, not only for the one that was asked about. */
const NOBODY = 'no_agent_offers_capability';
const MOST_EXPLAINED = 5;
const LARGEST_WAIT_MS = 2 ** 31 - 1;

type Wait = Parameters<WorkflowsApi['wait']>[1];

export class RunReader {
  readonly #parts: RunLoopParts;
  readonly #strategies: Strategies;
  readonly #loop: RunLoop;
  readonly #ended: EndedRuns;

  constructor(parts: RunLoopParts, strategies: Strategies, loop: RunLoop) {
    this.#parts = parts;
    this.#strategies = strategies;
    this.#loop = loop;
    this.#ended = new EndedRuns(parts.store);
  }

  /** Throws `workflow_not_found`. */
  async row(id: string, { tenant }: CallContext) {
    const row = isId('workflow', id) ? await this.#parts.store.get(id, tenant) : null;
    if (!row) throw notFound(id);
    return row;
  }

  async get(id: string, call: CallContext, page: StepsWanted = {}): Promise<WorkflowView> {
    // Of a run held here the definition need not be read again.
    const held = isId('workflow', id) ? this.#loop.coordinatorOf(id) : undefined;
    const brief = held && (await this.#parts.store.brief(held.id, call.tenant));
    if (held && brief && brief.endedAt === null) {
      const { definition, memory } = held;
      return this.viewOf({ ...brief, spec: definition.spec, output: null, metrics: null }, definition, memory, page);
    }
    const ended = await this.#ended.get(id, call);
    if (ended) return this.viewOf(ended.row, ended.definition, ended.memory, page);
    return this.#look(await this.row(id, call), page);
  }

  /** `known` decided on the run until now: what it remembers holds as long as the row is of the version it committed. */
  async #look(
    row: WorkflowRow & { readonly metrics: unknown },
    page: StepsWanted,
    known?: Coordinator,
  ): Promise<WorkflowView> {
    const { definition, memory } = known?.version === row.version ? known : await this.#remembered(row);
    this.#ended.keep({ row, definition, memory });
    return this.viewOf(row, definition, memory, page);
  }

  #heldFor(id: string, { tenant }: CallContext): Coordinator | undefined {
    const held = isId('workflow', id) ? this.#loop.coordinatorOf(id) : undefined;
    return held?.tenant === tenant ? held : undefined;
  }

  async wait(id: string, { timeoutMs, signal }: Wait, call: CallContext): Promise<WorkflowView> {
    const { clock } = this.#parts.ambient;
    const untilMs = clock.monotonicMs() + Math.min(LARGEST_WAIT_MS, Math.max(0, timeoutMs));
    let known: Coordinator | undefined;
    for (let first = true; ; first = false) {
      signal?.throwIfAborted();
      const leftMs = untilMs - clock.monotonicMs();
      // Listens before it reads, so that an end in between is not missed.
      // Of a run held here the feed tells the end for sure, so a thousand callers need not ask the store every second, nor at first.
      const held = this.#heldFor(id, call);
      known = held ?? known;
      const pollMs = held ? HELD_POLLS * this.#parts.pollMs : this.#parts.pollMs;
      const end = this.#next(id, END, Math.max(0, Math.min(leftMs, pollMs)), signal);
      try {
        if (!first || !held || leftMs <= 0) {
          const row = await this.row(id, call);
          if (isTerminalWorkflow(row.status)) return await this.#look(row, {}, known);
          if (leftMs <= 0) return await this.get(id, call);
        }
        await end.come;
      } finally {
        end.stop();
      }
    }
  }

  async outcome(id: string, { timeoutMs, signal }: Wait, call: CallContext): Promise<WorkflowOutcome> {
    const { clock } = this.#parts.ambient;
    const untilMs = clock.monotonicMs() + Math.min(LARGEST_WAIT_MS, Math.max(0, timeoutMs));
    signal?.throwIfAborted();
    const here = this.#heldFor(id, call);
    const end = here && (await this.#endOf(here.id, untilMs - clock.monotonicMs(), signal));
    if (end) {
      const { status, stopReason, output, error } = end;
      return { status, stopReason, output: asStored(output), error: asStored(error) as WireError | null };
    }
    // It is elsewhere, has ended before, or its time is up.
    const wait = { timeoutMs: Math.max(0, untilMs - clock.monotonicMs()), ...(signal ? { signal } : {}) };
    const { status, stopReason, output, error } = await this.wait(id, wait, call);
    return { status, stopReason, output: output ?? null, error: error ?? null };
  }

  /** How a run that is held here ends; undefined after `waitMs`, when the signal aborts, or when it is held here no longer. */
  #endOf(id: WorkflowId, waitMs: number, signal: AbortSignal | undefined): Promise<Advance['end']> {
    return new Promise((resolve) => {
      const done = (end?: Advance['end']): void => {
        stopListening?.();
        stopTimer();
        signal?.removeEventListener('abort', onAbort);
        resolve(end);
      };
      const onAbort = (): void => done();
      const stopListening = this.#loop.onEnd(id, done);
      const stopTimer = this.#parts.ambient.clock.setTimeout(done, waitMs);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** The view once the row is as wanted, or as it is after two polls. */
  async until(id: WorkflowId, there: (row: WorkflowRow) => boolean, call: CallContext): Promise<WorkflowView> {
    const { clock } = this.#parts.ambient;
    const untilMs = clock.monotonicMs() + 2 * this.#parts.pollMs;
    for (;;) {
      const leftMs = untilMs - clock.monotonicMs();
      const turn = this.#next(id, TURNS, Math.max(0, Math.min(leftMs, this.#parts.pollMs)));
      try {
        if (there(await this.row(id, call)) || leftMs <= 0) return await this.get(id, call);
        await turn.come;
      } finally {
        turn.stop();
      }
    }
  }

  /** Of a run that is not held here: from its snapshot and journal. What can no longer be replayed is shown by its tasks alone. */
  async #remembered(row: WorkflowRow): Promise<{ definition: Definition | null; memory: RunMemory | null }> {
    try {
      const stored = row.status === 'created' ? null : await this.#parts.store.load(row.id);
      if (stored) return recover(this.#strategies, stored);
      return { definition: definitionOf(this.#strategies, row), memory: null };
    } catch (error) {
      if (toWireError(error).code !== 'definition_changed') throw error;
      return { definition: null, memory: null };
    }
  }

  async viewOf(
    row: WorkflowRow & { readonly metrics: unknown },
    definition: Definition | null,
    memory: RunMemory | null,
    wanted: StepsWanted,
    known?: readonly TaskView[],
  ): Promise<WorkflowView> {
    const steps = () => stepsOf(row, definition, memory);
    const page = stepPage((range) => partOf(definition, memory, range) ?? cut(steps(), range), wanted);
    const tasks =
      known ??
      (row.status === 'created'
        ? []
        : await this.#parts.tasks.bySteps(
            row.id,
            page.steps.map(({ id }) => id),
          ));
    const children =
      row.status === 'created' || !mayHaveChildren(definition) ? [] : await this.#parts.store.children(row.id);
    const picture = memory && definition?.strategy.picture?.(definition.spec, definition.options, memory.state);
    const { clock } = this.#parts.ambient;
    const view = viewOf({ row, steps, page, tasks, memory, children, picture, nowMs: clock.nowMs() });
    return row.status === 'running' ? this.#withReasons(view, row.tenant) : view;
  }

  /** Queued steps of capabilities that nobody is at work with say why: a run that waits for an agent there is not looks like any other. */
  async #withReasons(view: WorkflowView, tenant: string): Promise<WorkflowView> {
    const { waiting } = this.#parts;
    const busy = new Set(view.tasks.flatMap(({ state, capability }) => (state === 'running' ? [capability] : [])));
    const first = new Map<string, TaskId>();
    for (const { state, capability, taskId, reason } of view.tasks) {
      const asked = state === 'queued' && reason === undefined && taskId !== undefined && isId('task', taskId);
      if (asked && capability !== undefined && !busy.has(capability) && !first.has(capability))
        first.set(capability, taskId);
    }
    if (!waiting || first.size === 0) return view;
    const asked = [...first].slice(0, MOST_EXPLAINED);
    const reasons = await Promise.all(
      asked.map(async ([capability, id]) => ({ id, capability, reason: await waiting({ id, capability }, tenant) })),
    );
    const reasonOf = ({ state, capability, taskId }: WorkflowView['tasks'][number]): string | undefined => {
      if (state !== 'queued' || taskId === undefined) return undefined;
      const known = reasons.find((one) => one.capability === capability);
      return known && (known.id === taskId || known.reason === NOBODY) ? known.reason : undefined;
    };
    const tasks = view.tasks.map((step) => {
      const reason = step.reason ?? reasonOf(step);
      return reason === undefined ? step : { ...step, reason };
    });
    return { ...view, tasks };
  }

  /** Resolves at the next event of these types, after `waitMs`, when the signal aborts or when it is stopped. */
  #next(
    id: string,
    types: ReadonlySet<string>,
    waitMs: number,
    signal?: AbortSignal,
  ): { come: Promise<void>; stop(): void } {
    const { feed, ambient } = this.#parts;
    let stop = (): void => {};
    const come = new Promise<void>((resolve) => {
      const disposeTimer = ambient.clock.setTimeout(() => stop(), waitMs);
      const disposeFeed = feed.subscribe(
        (event) => {
          if (types.has(event.type)) stop();
        },
        { stream: id },
      );
      const onAbort = () => stop();
      signal?.addEventListener('abort', onAbort, { once: true });
      stop = () => {
        disposeTimer();
        disposeFeed();
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
    });
    return { come, stop: () => stop() };
  }
}

function stepsOf(
  row: Pick<WorkflowRow, 'spec'>,
  definition: Definition | null,
  memory: RunMemory | null,
): readonly StepView[] {
  if (definition) return definition.strategy.steps(definition.spec, definition.options, memory?.state ?? null);
  return row.spec.tasks.map(({ id, dependsOn, capability }) => ({
    id,
    dependsOn,
    ...(capability === undefined ? {} : { capability }),
    state: 'blocked',
    round: 0,
  }));
}

type Part = ReturnType<ReadSteps>;
type Range = Parameters<ReadSteps>[0];

/** Undefined: the pattern builds all or none. */
function partOf(definition: Definition | null, memory: RunMemory | null, range: Range): Part | undefined {
  if (!definition) return undefined;
  const { strategy, spec, options } = definition;
  return strategy.page?.(spec, options, memory?.state ?? null, range);
}

const cut = (steps: readonly StepView[], { from, to }: Range): Part => ({
  steps: steps.slice(from, to),
  total: steps.length,
});

/** Patterns other than graphs may always start runs inside; a graph says so in its tasks. */
const mayHaveChildren = (definition: Definition | null): boolean =>
  !definition || definition.spec.tasks.length === 0 || definition.spec.tasks.some(({ workflow }) => workflow);

const notFound = (id: string): RuntimeError =>
  new RuntimeError('workflow_not_found', `no workflow with the id "${id}"`, { details: { workflowId: id } });
