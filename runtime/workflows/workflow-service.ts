// The workflows part of the API: create, start, look, cancel, wait. Deciding is the coordinators' matter, keeping them going the run loop's.

import type { CoordinationStrategy, Decision } from '../contracts/coordination.ts';
import { RuntimeError, toWireError } from '../contracts/errors.ts';
import { isId } from '../contracts/ids.ts';
import type { CallContext, WorkflowsApi } from '../contracts/runtime.ts';
import type { Page, WorkflowRow } from '../contracts/store.ts';
import type { TaskView } from '../contracts/task.ts';
import {
  type CreateWorkflow,
  isTerminalWorkflow,
  type WorkflowState,
  type WorkflowSummary,
  type WorkflowView,
} from '../contracts/workflow.ts';
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
import type { RunLoopParts } from './ports.ts';
import { recover } from './recovery.ts';
import { RunLoop } from './run-loop.ts';
import type { RunMemory } from './run-memory.ts';
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

  async create(body: CreateWorkflow, call: CallContext = LIBRARY): Promise<WorkflowView> {
    this.#refuseWhileDraining();
    const definition = define(this.#strategies, body);
    await this.#checkCapabilities(definition, call.tenant);
    const { store, ambient, feed } = this.#parts;
    const { spec, strategy, options, defHash } = definition;
    const key = call.idempotencyKey ?? definition.idempotencyKey;
    const result = await store.create({
      id: ambient.newId('workflow'),
      tenant: call.tenant,
      spec,
      defHash,
      total: strategy.steps(spec, options, null).length,
      ...(key === undefined ? {} : { idempotency: { key, bodyHash: hashOf(spec) } }),
    });
    if (result.outcome === 'mismatch')
      throw new RuntimeError('idempotency_mismatch', 'the idempotency key was used with another body');
    if (result.outcome === 'duplicate') return this.get(result.row.id, call);
    feed.publish(result.events);
    return this.#viewOf({ ...result.row, metrics: null }, definition, null);
  }

  async start(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    this.#refuseWhileDraining();
    const known = await this.#row(id, call);
    const definition = definitionOf(this.#strategies, known);
    const row = await this.#start(known, call);
    this.#loop.begin(row, definition);
    // Nothing has been decided yet: no task to look for.
    return this.#viewOf({ ...row, metrics: null }, definition, null, []);
  }

  async get(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    const row = await this.#row(id, call);
    const held = this.#loop.coordinatorOf(row.id);
    if (held) return this.#viewOf(row, held.definition, held.memory);
    const { definition, memory } = await this.#remembered(row);
    return this.#viewOf(row, definition, memory);
  }

  async list(filter: Filter, call: CallContext = LIBRARY): Promise<Page<WorkflowSummary>> {
    const { status, pattern, cursor } = filter;
    const limit = Math.max(1, Math.min(LARGEST_LIST, Math.floor(filter.limit ?? LIST_LIMIT)));
    const page = await this.#parts.store.list({
      tenant: call.tenant,
      limit,
      ...(status === undefined ? {} : { status }),
      ...(pattern === undefined ? {} : { pattern }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { items: page.items.map(summaryOf), nextCursor: page.nextCursor };
  }

  /** Reaches every step in flight. Idempotent; a run that ended otherwise is `workflow_state`. */
  async cancel(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    const { store, ambient, bus } = this.#parts;
    const row = await this.#row(id, call);
    if (row.status === 'cancelled') return this.get(row.id, call);
    if (isTerminalWorkflow(row.status)) throw wrongState(row.id, row.status);
    // A run that never started is started and cancelled in one decision: nothing of it runs, and it ends like any other.
    const begun = row.status === 'created' ? await this.#start(row, call).catch(ignoreState) : undefined;
    await store.post(row.id, call.tenant, 'cancel', { type: 'cancel', atMs: ambient.clock.nowMs(), reason: 'user' });
    if (begun) this.#loop.begin(begun, definitionOf(this.#strategies, begun));
    this.#loop.poke(row.id);
    bus.publish({ type: 'workflow', workflowId: row.id });
    return this.wait(row.id, { timeoutMs: 2 * this.#parts.pollMs }, call);
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
      const end = this.#nextEnd(id, Math.max(0, Math.min(leftMs, pollMs)), signal);
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
    known?: readonly TaskView[],
  ): Promise<WorkflowView> {
    const tasks = known ?? (row.status === 'created' ? [] : await this.#parts.tasks.byWorkflow(row.id));
    const steps = definition
      ? definition.strategy.steps(definition.spec, definition.options, memory?.state ?? null)
      : row.spec.tasks.map(({ id, dependsOn, capability }) => ({
          id,
          dependsOn,
          ...(capability === undefined ? {} : { capability }),
          state: 'blocked' as const,
          round: 0,
        }));
    return viewOf({ row, steps, tasks, memory, nowMs: this.#parts.ambient.clock.nowMs() });
  }

  /** Resolves at the end of the run, after `waitMs`, when the signal aborts or when it is stopped. */
  #nextEnd(id: string, waitMs: number, signal: AbortSignal | undefined): { come: Promise<void>; stop(): void } {
    const { feed, ambient } = this.#parts;
    let stop = (): void => {};
    const come = new Promise<void>((resolve) => {
      const disposeTimer = ambient.clock.setTimeout(() => stop(), waitMs);
      const disposeFeed = feed.subscribe(
        (event) => {
          if (event.type === 'workflow.ended') stop();
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
