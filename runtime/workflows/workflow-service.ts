// The workflows part of the API: create, start, look, cancel, wait. Deciding is the coordinators' matter, keeping them going the run loop's.

import type { CoordinationStrategy, Decision } from '../contracts/coordination.ts';
import { RuntimeError, toWireError } from '../contracts/errors.ts';
import { isId } from '../contracts/ids.ts';
import type { CallContext, WorkflowOutcome, WorkflowsApi } from '../contracts/runtime.ts';
import type { InboxEvent, NewWorkflow, Page } from '../contracts/store.ts';
import type { SettleTask } from '../contracts/task.ts';
import { parseInput } from '../contracts/validation.ts';
import type { CreateWorkflow, WorkflowSpec, WorkflowSummary, WorkflowView } from '../contracts/workflow.ts';
import {
  type AppendItems,
  type ForkWorkflow,
  forkWorkflowSchema,
  type InputAnswer,
  type InputView,
  type WorkflowSignal,
} from '../contracts/workflow-control.ts';
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
import { recordedOf, withAppended } from './fork.ts';
import type { DecidedAnswer } from './held-ends.ts';
import type { RunLoopParts } from './ports.ts';
import { RunControl } from './run-control.ts';
import { RunLoop } from './run-loop.ts';
import { RunReader } from './run-reader.ts';
import type { EndedAttempt } from './step-end.ts';
import type { StepsWanted } from './step-page.ts';
import { summaryOf } from './workflow-view.ts';

export interface WorkflowServiceParts extends RunLoopParts {
  readonly strategies: readonly CoordinationStrategy[];
  /** While true nothing is created or started; what runs goes on. */
  readonly draining: () => boolean;
}

const LIBRARY: CallContext = { tenant: 'default' };
const LIST_LIMIT = 50;
const LARGEST_LIST = 500;
type Filter = Parameters<WorkflowsApi['list']>[0];

export class WorkflowService implements WorkflowsApi {
  readonly #parts: WorkflowServiceParts;
  readonly #strategies: Strategies;
  readonly #loop: RunLoop;
  readonly #reader: RunReader;
  readonly #control: RunControl;

  constructor(parts: WorkflowServiceParts) {
    this.#parts = parts;
    this.#strategies = strategiesByName(parts.strategies);
    this.#loop = new RunLoop(parts, this.#strategies);
    this.#reader = new RunReader(parts, this.#strategies, this.#loop);
    this.#control = new RunControl(parts, this.#strategies, this.#loop, this.#reader);
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

  /** Mail that a commit of this node wrote, so that it need not be read; false: the run is not here. */
  deliver(mail: InboxEvent): boolean {
    return this.#loop.deliver(mail);
  }

  /** Settles the attempt of a step, with the decision of its run in the same commit where that can be. */
  settle(settle: SettleTask, ended: EndedAttempt): Promise<DecidedAnswer> {
    return this.#loop.settle(settle, ended);
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
    const row = await this.#reader.row(id, call);
    const definition = definitionOf(this.#strategies, row);
    const journal = await this.#parts.store.journal(row.id);
    const recorded = recordedOf(definition, row.id, journal, fromStep);
    const spec = withoutSelection(withAppended(row.spec, journal));
    // Under another name it is the same definition: the hash is taken anew.
    const forked = define(this.#strategies, { ...spec, ...(name === undefined ? {} : { name }) });
    return this.#create(forked, call, { start, fork: { of: row.id, fromStep: fromStep ?? null, recorded } });
  }

  async #create(
    definition: Definition,
    call: CallContext,
    how: Pick<NewWorkflow, 'start' | 'fork' | 'idempotency'>,
  ): Promise<WorkflowView> {
    const { store, ambient, feed } = this.#parts;
    const { spec, strategy, options, defHash } = definition;
    const workflow = {
      id: ambient.newId('workflow'),
      tenant: call.tenant,
      spec,
      defHash,
      total: strategy.steps(spec, options, null).length,
      ...how,
    };
    const decided = how.start ? await this.#loop.createDecided(workflow, definition) : undefined;
    const result = decided ?? (await store.create(workflow));
    if (result.outcome === 'mismatch')
      throw new RuntimeError('idempotency_mismatch', 'the idempotency key was used with another body');
    if (result.outcome === 'duplicate') return this.get(result.row.id, call);
    if (!decided) feed.publish(result.events);
    if (how.start && !decided) this.#loop.beginNew(result.row, definition, how.fork?.recorded ?? null);
    return this.#reader.viewOf({ ...result.row, metrics: null }, definition, null, {}, []);
  }

  async start(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    this.#refuseWhileDraining();
    const known = await this.#reader.row(id, call);
    const definition = definitionOf(this.#strategies, known);
    const row = await this.#control.start(known);
    // A fork's outcomes are in its row: it is loaded like a run that was taken over.
    if (row.forkOf) await this.#loop.take(row.id);
    else this.#loop.begin(row, definition);
    // Nothing has been decided yet: no task to look for.
    return this.#reader.viewOf({ ...row, metrics: null }, definition, null, {}, []);
  }

  get(id: string, call: CallContext = LIBRARY, page: StepsWanted = {}): Promise<WorkflowView> {
    return this.#reader.get(id, call, page);
  }

  wait(id: string, options: Parameters<WorkflowsApi['wait']>[1], call: CallContext = LIBRARY): Promise<WorkflowView> {
    return this.#reader.wait(id, options, call);
  }

  outcome(
    id: string,
    options: Parameters<WorkflowsApi['outcome']>[1],
    call: CallContext = LIBRARY,
  ): Promise<WorkflowOutcome> {
    return this.#reader.outcome(id, options, call);
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

  async decisions(
    id: string,
    page: { limit?: number; after?: number },
    call: CallContext = LIBRARY,
  ): Promise<readonly (Decision & { seq: number; at: string })[]> {
    const row = await this.#reader.row(id, call);
    const limit = Math.max(1, Math.min(LARGEST_LIST, Math.floor(page.limit ?? LIST_LIMIT)));
    return this.#parts.store.decisions(row.id, limit, Math.max(0, page.after ?? 0));
  }

  cancel(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    return this.#control.cancel(id, call);
  }

  pause(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    return this.#control.setPaused(id, 'pause', call);
  }

  resume(id: string, call: CallContext = LIBRARY): Promise<WorkflowView> {
    return this.#control.setPaused(id, 'resume', call);
  }

  signal(id: string, body: WorkflowSignal, call: CallContext = LIBRARY): Promise<void> {
    return this.#control.signal(id, body, call);
  }

  append(id: string, body: AppendItems, call: CallContext = LIBRARY): Promise<void> {
    return this.#control.append(id, body, call);
  }

  inputs(filter: Parameters<WorkflowsApi['inputs']>[0], call: CallContext = LIBRARY): Promise<readonly InputView[]> {
    return this.#control.inputs(filter, call);
  }

  answer(id: string, step: string, answer: InputAnswer, call: CallContext = LIBRARY): Promise<InputView> {
    return this.#control.answer(id, step, answer, call);
  }

  // ---- parts -----------------------------------------------------------------------------------------------------------

  #refuseWhileDraining(): void {
    if (this.#parts.draining()) throw new RuntimeError('draining', 'this node takes no new work');
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
}

/** As it was asked for: a pattern that was chosen is chosen again. */
function withoutSelection({ selected, ...spec }: WorkflowSpec): CreateWorkflow {
  return selected ? { ...spec, pattern: selected.from } : spec;
}
