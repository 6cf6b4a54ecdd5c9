// The workflows part of the API: create, start, look, cancel, wait. Deciding is the coordinators' matter, keeping them going the run loop's.

import type { CoordinationEvent, CoordinationStrategy, Decision } from '../contracts/coordination.ts';
import { RuntimeError, toWireError } from '../contracts/errors.ts';
import { isId, type WorkflowId } from '../contracts/ids.ts';
import type { CallContext, WorkflowsApi } from '../contracts/runtime.ts';
import type { Page, WorkflowRow } from '../contracts/store.ts';
import type { TaskView } from '../contracts/task.ts';
import { parseInput } from '../contracts/validation.ts';
import {
  type AppendItems,
  appendItemsSchema,
  type CreateWorkflow,
  type ForkWorkflow,
  forkWorkflowSchema,
  type InputAnswer,
  type InputView,
  isTerminalWorkflow,
  type WorkflowSignal,
  type WorkflowSpec,
  type WorkflowState,
  type WorkflowSummary,
  type WorkflowView,
  workflowSignalSchema,
} from '../contracts/workflow.ts';
import type { WorkflowPlan } from '../contracts/workflow-plan.ts';
import {
  capabilitiesOf,
  type Definition,
  define,
  definitionOf,
  hashOf,
  refused,
  type Strategies,
  strategiesByName,
} from './definition.ts';
import { planned, statisticsOf, stuckRuns } from './figures.ts';
import { recordedOf } from './fork.ts';
import { answerInput, inputView } from './human-inputs.ts';
import type { RunLoopParts } from './ports.ts';
import { recover } from './recovery.ts';
import { RunLoop } from './run-loop.ts';
import type { RunMemory } from './run-memory.ts';
import { type StepsWanted, stepPage } from './step-page.ts';
import { summaryOf, viewOf } from './workflow-view.ts';

export interface WorkflowServiceParts extends RunLoopParts {
  readonly strategies: readonly CoordinationStrategy[];
  /** While true nothing is created or started; what runs goes on. */
  readonly draining: () => boolean;
}

const LIBRARY: CallContext = { tenant: 'default' };
const LIST_LIMIT = 50;
const LARGEST_LIST = 500;
/** Slower polls for a run of this node: only a change of owner could hide its end from the feed. */
const HELD_POLLS = 10;
const END: ReadonlySet<string> = new Set(['workflow.ended']);
const TURNS: ReadonlySet<string> = new Set(['workflow.paused', 'workflow.resumed', 'workflow.ended']);
const LARGEST_WAIT_MS = 2 ** 31 - 1;

type Filter = Parameters<WorkflowsApi['list']>[0];
type Wait = Parameters<WorkflowsApi['wait']>[1];

export class WorkflowService implements WorkflowsApi {
  readonly #parts: WorkflowServiceParts;
  readonly #strategies: Strategies;
  readonly #loop: RunLoop;

  constructor(parts: WorkflowServiceParts) {
    this.#parts = parts;
    this.#strategies = strategiesByName(parts.strategies);
    this.#loop = new RunLoop(parts, this.#strategies);
  }

  /** Takes up the runs this node owns and those nobody owns, then goes on with all of them. Idempotent. */
  open(): Promise<void> {
    return this.#loop.start();
  }

  /** Takes no event any more; resolves when the commits under way have ended. */
  close(): Promise<void> {
    return this.#loop.stop();
  }

  /** Looks for ownerless runs and unread mail now; otherwise it happens by hints and polls. */
  poll(): Promise<void> {
    return this.#loop.poll();
  }

  /** Runs in memory here, and the patterns that can be asked for. */
  status(): { readonly runs: number; readonly patterns: readonly string[] } {
    return { runs: this.#loop.size, patterns: [...this.#strategies.keys()].sort() };
  }

  async create(
    body: CreateWorkflow,
    call: CallContext = LIBRARY,
    options: { start?: boolean } = {},
  ): Promise<WorkflowView> {
    this.#refuseWhileDraining();
    const definition = define(this.#strategies, body);
    await this.#checkCapabilities(definition, call.tenant);
    const { spec } = definition;
    const key = call.idempotencyKey ?? definition.idempotencyKey;
    return this.#create(definition, call, {
      start: options.start ?? false,
      ...(key === undefined ? {} : { idempotency: { key, bodyHash: hashOf(spec) } }),
    });
  }

  async fork(id: string, body: ForkWorkflow = {}, call: CallContext = LIBRARY): Promise<WorkflowView> {
    this.#refuseWhileDraining();
    const { fromStep, name, start = true } = parseInput(forkWorkflowSchema, body);
    const row = await this.#row(id, call);
    const definition = definitionOf(this.#strategies, row);
    const recorded = recordedOf(definition, row.id, await this.#parts.store.journal(row.id), fromStep);
    // Under another name it is the same definition: the hash is taken anew.
    const forked = define(this.#strategies, { ...withoutSelection(row.spec), ...(name === undefined ? {} : { name }) });
    return this.#create(forked, call, { start, fork: { of: row.id, fromStep: fromStep ?? null, recorded } });
  }

  async #create(
    definition: Definition,
    call: CallContext,
    how: Pick<Parameters<WorkflowServiceParts['store']['create']>[0], 'start' | 'fork' | 'idempotency'>,
  ): Promise<WorkflowView> {
    const { store, ambient, feed } = this.#parts;
    const { spec, strategy, options, defHash } = definition;
    const result = await store.create({
      id: ambient.newId('workflow'),
      tenant: call.tenant,
      spec,
      defHash,
      total: strategy.steps(spec, options, null).length,
      ...how,
    });
    if (result.outcome === 'mismatch')
      throw new RuntimeError('idempotency_mismatch', 'the idempotency key was used with another body');
    if (result.outcome === 'duplicate') return this.get(result.row.id, call);
    feed.publish(result.events);
    if (how.start) this.#loop.begin(result.row, definition, how.fork?.recorded ?? null);
    return this.#viewOf({ ...result.row, metrics: null }, definition, null, {}, []);
  }

  async start(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    this.#refuseWhileDraining();
    const known = await this.#row(id, call);
    const definition = definitionOf(this.#strategies, known);
    const row = await this.#start(known, call);
    // A fork's outcomes are in its row: it is loaded like a run that was taken over.
    if (row.forkOf) await this.#loop.take(row.id);
    else this.#loop.begin(row, definition);
    // Nothing has been decided yet: no task to look for.
    return this.#viewOf({ ...row, metrics: null }, definition, null, {}, []);
  }

  async get(id: string, call: CallContext = LIBRARY, page: StepsWanted = {}): Promise<WorkflowView> {
    // Of a run held here the definition need not be read again.
    const held = isId('workflow', id) ? this.#loop.coordinatorOf(id) : undefined;
    const brief = held && (await this.#parts.store.brief(held.id, call.tenant));
    if (held && brief && brief.endedAt === null) {
      const { definition, memory } = held;
      return this.#viewOf({ ...brief, spec: definition.spec, output: null, metrics: null }, definition, memory, page);
    }
    const row = await this.#row(id, call);
    const { definition, memory } = await this.#remembered(row);
    return this.#viewOf(row, definition, memory, page);
  }

  async plan(body: CreateWorkflow, call: CallContext = LIBRARY): Promise<WorkflowPlan> {
    const definition = define(this.#strategies, body);
    await this.#checkCapabilities(definition, call.tenant);
    return planned(definition, this.#strategies, this.#parts, call.tenant);
  }

  statistics(filter: Parameters<WorkflowsApi['statistics']>[0] = {}, call: CallContext = LIBRARY) {
    return statisticsOf(this.#parts, filter, call.tenant);
  }

  stuck(filter: Parameters<WorkflowsApi['stuck']>[0] = {}, call: CallContext = LIBRARY) {
    return stuckRuns(this.#parts, filter, call.tenant);
  }

  async list(filter: Filter, call: CallContext = LIBRARY): Promise<Page<WorkflowSummary>> {
    const { status, pattern, parent, cursor } = filter;
    if (parent !== undefined && !isId('workflow', parent)) return { items: [], nextCursor: null };
    const limit = Math.max(1, Math.min(LARGEST_LIST, Math.floor(filter.limit ?? LIST_LIMIT)));
    const page = await this.#parts.store.list({
      tenant: call.tenant,
      limit,
      ...(status === undefined ? {} : { status }),
      ...(pattern === undefined ? {} : { pattern }),
      ...(parent === undefined ? {} : { parent }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { items: page.items.map(summaryOf), nextCursor: page.nextCursor };
  }

  /** Reaches every step in flight and every run below. Idempotent; a run that ended otherwise is `workflow_state`. */
  async cancel(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    const { ambient } = this.#parts;
    const row = await this.#row(id, call);
    if (row.status === 'cancelled') return this.get(row.id, call);
    if (isTerminalWorkflow(row.status)) throw wrongState(row.id, row.status);
    // A run that never started is started and cancelled in one decision: nothing of it runs, and it ends like any other.
    const begun = row.status === 'created' ? await this.#start(row, call).catch(ignoreState) : undefined;
    await this.#post(row, 'cancel', { type: 'cancel', atMs: ambient.clock.nowMs(), reason: 'user' });
    if (begun) this.#loop.begin(begun, definitionOf(this.#strategies, begun));
    this.#hint(row.id);
    return this.wait(row.id, { timeoutMs: 2 * this.#parts.pollMs }, call);
  }

  pause(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    return this.#setPaused(id, 'pause', call);
  }

  resume(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    return this.#setPaused(id, 'resume', call);
  }

  /** The run and all below: a pause that left children running would pause nothing. Resolves when the run itself has taken it. */
  async #setPaused(id: string, type: 'pause' | 'resume', call: CallContext): Promise<WorkflowView> {
    const { store, ambient } = this.#parts;
    const row = await this.#row(id, call);
    const wanted = type === 'pause' ? 'paused' : 'running';
    if (row.status !== 'running' && row.status !== 'paused') throw wrongState(row.id, row.status);
    const event = { type, atMs: ambient.clock.nowMs() } as const;
    const name = `${type}/${ambient.newId('message')}`;
    const ids = [row.id, ...(await store.openDescendants(row.id))];
    await Promise.all(ids.map((one) => store.post(one, row.tenant, name, event)));
    for (const one of ids) this.#hint(one);
    return this.#until(row.id, ({ status }) => status === wanted || isTerminalWorkflow(status), call);
  }

  async signal(id: string, body: WorkflowSignal, call: CallContext = LIBRARY): Promise<void> {
    const { key, value = null, id: signalId } = parseInput(workflowSignalSchema, body);
    const row = await this.#running(id, call);
    const { clock } = this.#parts.ambient;
    await this.#post(row, this.#eventId('signal', signalId), { type: 'input', atMs: clock.nowMs(), key, value });
    this.#hint(row.id);
  }

  async append(id: string, body: AppendItems, call: CallContext = LIBRARY): Promise<void> {
    const { items, end, id: batchId } = parseInput(appendItemsSchema, body);
    const row = await this.#running(id, call);
    if (row.spec.open !== true)
      throw new RuntimeError('workflow_state', 'the run takes no more items: it was not created with open: true', {
        details: { workflowId: row.id, status: row.status },
      });
    const { clock } = this.#parts.ambient;
    await this.#post(row, this.#eventId('items', batchId), { type: 'items', atMs: clock.nowMs(), items, end });
    this.#hint(row.id);
  }

  async inputs(
    filter: Parameters<WorkflowsApi['inputs']>[0],
    { tenant }: CallContext = LIBRARY,
  ): Promise<readonly InputView[]> {
    const { workflowId, state, limit = LIST_LIMIT } = filter;
    if (workflowId !== undefined) await this.#row(workflowId, { tenant });
    const rows = await this.#parts.store.asks({
      tenant,
      limit: Math.max(1, Math.min(LARGEST_LIST, Math.floor(limit))),
      ...(workflowId === undefined ? {} : { workflowId: workflowId as WorkflowId }),
      ...(state === undefined ? {} : { state }),
    });
    return rows.map(inputView);
  }

  async answer(id: string, step: string, answer: InputAnswer, call: CallContext = LIBRARY): Promise<InputView> {
    const row = await this.#row(id, call);
    const by = { tenant: row.tenant, by: call.subject ?? null, atMs: this.#parts.ambient.clock.nowMs() };
    const view = await answerInput(this.#parts.store, row.id, step, answer, by);
    this.#hint(row.id);
    return view;
  }

  async wait(id: string, { timeoutMs, signal }: Wait, call: CallContext = LIBRARY): Promise<WorkflowView> {
    const { clock } = this.#parts.ambient;
    const untilMs = clock.monotonicMs() + Math.min(LARGEST_WAIT_MS, Math.max(0, timeoutMs));
    for (;;) {
      signal?.throwIfAborted();
      const leftMs = untilMs - clock.monotonicMs();
      // Listens before it reads, so that an end in between is not missed.
      // Of a run held here the feed tells the end for sure, so a thousand callers need not ask the store every second.
      const held = isId('workflow', id) && this.#loop.coordinatorOf(id) !== undefined;
      const pollMs = held ? HELD_POLLS * this.#parts.pollMs : this.#parts.pollMs;
      const end = this.#next(id, END, Math.max(0, Math.min(leftMs, pollMs)), signal);
      try {
        const { status } = await this.#row(id, call);
        if (isTerminalWorkflow(status) || leftMs <= 0) return await this.get(id, call);
        await end.come;
      } finally {
        end.stop();
      }
    }
  }

  async decisions(
    id: string,
    page: { limit?: number; after?: number },
    call: CallContext = LIBRARY,
  ): Promise<readonly (Decision & { seq: number; at: string })[]> {
    const row = await this.#row(id, call);
    const limit = Math.max(1, Math.min(LARGEST_LIST, Math.floor(page.limit ?? LIST_LIMIT)));
    return this.#parts.store.decisions(row.id, limit, Math.max(0, page.after ?? 0));
  }

  // ---- parts -----------------------------------------------------------------------------------------------------------

  async #running(id: string, call: CallContext) {
    const row = await this.#row(id, call);
    if (row.status === 'created' || isTerminalWorkflow(row.status)) throw wrongState(row.id, row.status);
    return row;
  }

  /** Mail of a run; it may have ended meanwhile. */
  async #post(row: WorkflowRow, eventId: string, event: CoordinationEvent): Promise<void> {
    if (await this.#parts.store.post(row.id, row.tenant, eventId, event)) return;
    const { status } = await this.#row(row.id, { tenant: row.tenant });
    if (event.type !== 'cancel') throw wrongState(row.id, status);
  }

  #eventId(kind: string, given: string | undefined): string {
    return `${kind}/${given ?? this.#parts.ambient.newId('message')}`;
  }

  #hint(id: WorkflowId): void {
    this.#loop.poke(id);
    this.#parts.bus.publish({ type: 'workflow', workflowId: id });
  }

  /** The view once the row is as wanted, or as it is after two polls. */
  async #until(id: WorkflowId, there: (row: WorkflowRow) => boolean, call: CallContext): Promise<WorkflowView> {
    const { clock } = this.#parts.ambient;
    const untilMs = clock.monotonicMs() + 2 * this.#parts.pollMs;
    for (;;) {
      const leftMs = untilMs - clock.monotonicMs();
      const turn = this.#next(id, TURNS, Math.max(0, Math.min(leftMs, this.#parts.pollMs)));
      try {
        if (there(await this.#row(id, call)) || leftMs <= 0) return await this.get(id, call);
        await turn.come;
      } finally {
        turn.stop();
      }
    }
  }

  #refuseWhileDraining(): void {
    if (this.#parts.draining()) throw new RuntimeError('draining', 'this node takes no new work');
  }

  async #row(id: string, { tenant }: CallContext) {
    const row = isId('workflow', id) ? await this.#parts.store.get(id, tenant) : null;
    if (!row) throw notFound(id);
    return row;
  }

  async #start(row: WorkflowRow, { tenant }: CallContext): Promise<WorkflowRow> {
    const result = await this.#parts.store.start(row.id, tenant, row.spec.seed);
    if (result.outcome === 'not_found') throw notFound(row.id);
    if (result.outcome === 'wrong_state') throw wrongState(row.id, result.status);
    this.#parts.feed.publish(result.events);
    return result.row;
  }

  /** A name that no known type offers is refused now; later, when a step is due, it would fail the step. */
  async #checkCapabilities(definition: Definition, tenant: string): Promise<void> {
    const places = new Map<string, string>();
    for (const { capability, path } of capabilitiesOf(definition))
      if (!places.has(capability)) places.set(capability, path);
    const check = async ([capability, path]: [string, string]) => {
      try {
        await this.#parts.capabilities.resolve({ capability }, tenant);
        return undefined;
      } catch (thrown) {
        const { code, message, details } = toWireError(thrown);
        return code === 'unknown_capability' ? refused(path, message, { ...details, reason: code }) : undefined;
      }
    };
    const problem = (await Promise.all([...places].map(check))).find((found) => found !== undefined);
    if (problem) throw problem;
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

  async #viewOf(
    row: WorkflowRow & { readonly metrics: unknown },
    definition: Definition | null,
    memory: RunMemory | null,
    wanted: StepsWanted,
    known?: readonly TaskView[],
  ): Promise<WorkflowView> {
    const steps = definition
      ? definition.strategy.steps(definition.spec, definition.options, memory?.state ?? null)
      : row.spec.tasks.map(({ id, dependsOn, capability }) => ({
          id,
          dependsOn,
          ...(capability === undefined ? {} : { capability }),
          state: 'blocked' as const,
          round: 0,
        }));
    const page = stepPage(steps, wanted);
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
    return viewOf({ row, steps, page, tasks, memory, children, picture, nowMs: clock.nowMs() });
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

const notFound = (id: string): RuntimeError =>
  new RuntimeError('workflow_not_found', `no workflow with the id "${id}"`, { details: { workflowId: id } });

const wrongState = (id: string, status: WorkflowState): RuntimeError =>
  new RuntimeError('workflow_state', `the workflow is ${status}`, { details: { workflowId: id, status } });

/** Somebody else started it meanwhile: then the cancel finds it running. */
function ignoreState(error: unknown): undefined {
  if (toWireError(error).code !== 'workflow_state') throw error;
}

/** Patterns other than graphs may always start runs inside; a graph says so in its tasks. */
const mayHaveChildren = (definition: Definition | null): boolean =>
  !definition || definition.spec.tasks.length === 0 || definition.spec.tasks.some(({ workflow }) => workflow);

/** As it was asked for: a pattern that was chosen is chosen again. */
function withoutSelection({ selected, ...spec }: WorkflowSpec): CreateWorkflow {
  return selected ? { ...spec, pattern: selected.from } : spec;
}
