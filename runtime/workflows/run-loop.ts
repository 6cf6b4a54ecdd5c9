// Keeps the runs of this node going: reads their inboxes together, lets each decide for itself, one commit at a time per run.
// Hints only make it sooner; a poll finds mail without a hint and runs that nobody owns. States: stopped -> open -> stopped.

import { RuntimeError, toWireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { Advance, CreateAnswer, InboxEvent, NewWorkflow, Recorded, WorkflowRow } from '../contracts/store.ts';
import { SAFETY_POLLS } from '../contracts/store-pulse.ts';
import type { SettleTask } from '../contracts/task.ts';
import { isTerminalWorkflow } from '../contracts/workflow.ts';
import { Consultations } from './consultations.ts';
import type { Coordinator, Prepared } from './coordinator.ts';
import { type Definition, definitionOf, type Strategies } from './definition.ts';
import { giveUp } from './give-up.ts';
import { commitWithEnds, type DecidedAnswer, type HeldEnd, settleAlone } from './held-ends.ts';
import { FRESH, type HeldRun, HeldRuns } from './held-runs.ts';
import type { RunLoopParts } from './ports.ts';
import { recover } from './recovery.ts';
import { RunCommit } from './run-commit.ts';
import { type EndedAttempt, stepEnd } from './step-end.ts';

/** Events of one run that one commit takes. */
const BATCH = 100;
/** Runs whose inboxes are read by one query, and runs that are taken over at once. */
const READ_TOGETHER = 500;
const ADOPT_AT_ONCE = 50;
const LOAD_AT_ONCE = 10;

/** Steps of a run whose first decision is committed with its creation; of a larger one the creation is answered first. */
const MOST_FIRST_STEPS = 100;
export class RunLoop {
  readonly #parts: RunLoopParts;
  readonly #strategies: Strategies;
  readonly #consultations: Consultations;
  readonly #commits: RunCommit;
  readonly #runs: HeldRuns;
  readonly #mail = new Set<WorkflowId>();
  /** Runs whose last commit has an unknown outcome, or whose load failed: read again by the next poll. */
  readonly #doubtful = new Set<WorkflowId>();
  readonly #subscriptions: Dispose[] = [];
  readonly #working = new Set<Promise<void>>();
  #open = false;
  #reading = false;
  #ticks = 0;
  #polling: Promise<void> | undefined;

  constructor(parts: RunLoopParts, strategies: Strategies) {
    this.#parts = parts;
    this.#strategies = strategies;
    this.#runs = new HeldRuns(parts, strategies);
    this.#commits = new RunCommit(parts, {
      lost: ({ id }) => {
        this.#drop(id, 'detached');
        this.#doubtful.add(id);
      },
      ended: ({ id }, end) => this.#drop(id, 'ended', end),
      began: (child) => this.#beginChild(child),
      told: (id) => {
        this.poke(id);
        parts.bus.publish({ type: 'workflow', workflowId: id });
      },
      consult: (coordinator) => this.#consult(coordinator),
    });
    this.#consultations = new Consultations(
      parts,
      (id) => this.poke(id),
      (id) => {
        const coordinator = this.coordinatorOf(id);
        if (coordinator) this.#consult(coordinator);
      },
    );
  }

  /** Takes back what this node owns, takes over what nobody owns, then listens and polls. */
  async start(): Promise<void> {
    if (this.#open) return;
    this.#open = true;
    const { bus, ambient, pollMs, store } = this.#parts;
    this.#subscriptions.push(
      bus.subscribe((hint) => {
        if (hint.type === 'workflow') this.poke(hint.workflowId as WorkflowId);
      }),
      ambient.clock.setInterval(() => this.#tick(), pollMs),
    );
    await this.#loadAll((await store.owned()).map((row) => row.id));
    await this.poll();
  }

  /** No event is taken any more; resolves when the commits under way have ended. Runs stay owned until the lease is released. */
  async stop(): Promise<void> {
    this.#open = false;
    for (const dispose of this.#subscriptions.splice(0)) dispose();
    while (this.#working.size > 0 || this.#polling) await Promise.allSettled([...this.#working, this.#polling]);
    for (const id of this.#runs.ids()) this.#drop(id, 'detached');
    await Promise.allSettled(this.#working);
  }

  /** Runs held in memory here. */
  get size(): number {
    return this.#runs.size;
  }

  /** See {@link HeldRuns.onEnd}. */
  onEnd(id: WorkflowId, listener: (end: Advance['end']) => void): Dispose | undefined {
    return this.#runs.onEnd(id, listener);
  }

  coordinatorOf(id: WorkflowId): Coordinator | undefined {
    return this.#runs.get(id)?.coordinator;
  }

  /** A run that was started here just now. */
  begin(row: WorkflowRow, definition: Definition): void {
    if (!this.#open || this.#runs.has(row.id)) return;
    this.#runs.hold(this.#runs.coordinator(row, definition, FRESH), row.pattern);
    this.poke(row.id);
  }

  /** A run that came into being started: the commit that made it wrote its first mail, and only that, so nothing need be read. */
  beginNew(row: WorkflowRow, definition: Definition, recorded: Recorded | null = null): void {
    if (!this.#open || this.#runs.has(row.id) || row.startedAt === null) return;
    this.#runs.hold(this.#runs.coordinator(row, definition, { ...FRESH, recorded }), row.pattern);
    const event = { type: 'started', atMs: Date.parse(row.startedAt), seed: row.spec.seed } as const;
    this.deliver({ workflowId: row.id, eventId: 'started', event });
  }

  /** A run of this node that is to be loaded from its rows. */
  take(id: WorkflowId): Promise<void> {
    return this.#load(id);
  }

  /** Mail that was written by a commit of this node. Should it be lost here, it is in the inbox all the same. */
  deliver(mail: InboxEvent): boolean {
    const run = this.#open ? this.#runs.get(mail.workflowId) : undefined;
    if (!run) return false;
    run.direct.push(mail);
    // Outcomes of one commit are told one after the other: they are one decision.
    if (run.direct.length === 1) queueMicrotask(() => this.#goOn(mail.workflowId, run));
    return true;
  }

  /** There may be mail for this run. Of others' runs nothing is known here, and nothing is done. */
  poke(id: WorkflowId): void {
    if (!this.#open || !this.#runs.has(id)) return;
    this.#mail.add(id);
    this.#read();
  }

  #tick(): void {
    this.#ticks = (this.#ticks + 1) % SAFETY_POLLS;
    if (!this.#parts.pulsed || this.#doubtful.size > 0 || this.#ticks === 0) void this.poll();
  }

  /** Looks for mail, doubtful runs and ownerless ones. */
  poll(): Promise<void> {
    if (!this.#open) return Promise.resolve();
    this.#polling ??= this.#look()
      .catch((error: unknown) => {
        this.#parts.ambient.log.warn('cannot look for workflows', { error: toWireError(error).message });
      })
      .finally(() => {
        this.#polling = undefined;
      });
    return this.#polling;
  }

  async #look(): Promise<void> {
    const { store } = this.#parts;
    const doubtful = [...this.#doubtful];
    this.#doubtful.clear();
    await this.#loadAll(doubtful);
    for (;;) {
      const rows = await store.adopt(ADOPT_AT_ONCE);
      await this.#loadAll(rows.map((row) => row.id));
      if (rows.length < ADOPT_AT_ONCE || !this.#open) break;
    }
    const withMail = await store.withMail(READ_TOGETHER);
    await this.#loadAll(withMail.filter((id) => !this.#runs.has(id)));
    for (const id of withMail) this.poke(id);
  }

  // ---- reading and deciding ----------------------------------------------------------------------------------------------

  /** One read at a time; what is poked meanwhile is read together by the next. */
  #read(): void {
    if (this.#reading) return;
    const runs = [...this.#mail].flatMap((id) => this.#runs.get(id) ?? []);
    const ids = runs
      .filter(({ busy }) => !busy)
      .slice(0, READ_TOGETHER)
      .map((run) => {
        run.reading = true;
        return run.coordinator.id;
      });
    if (ids.length === 0) return;
    this.#reading = true;
    for (const id of ids) this.#mail.delete(id);
    this.#track(
      this.#deal(ids).finally(() => {
        this.#reading = false;
        if (this.#open) this.#read();
      }),
    );
  }

  async #deal(ids: readonly WorkflowId[]): Promise<void> {
    const turns = new Map(ids.map((id) => [id, this.#runs.get(id)?.turns]));
    const events = await this.#parts.store.inbox(ids, BATCH).catch((error: unknown) => {
      // The poll finds the mail again when the store is back.
      this.#parts.ambient.log.warn('cannot read the inboxes of workflows', { error: toWireError(error).message });
      return [];
    });
    const byRun = new Map<WorkflowId, InboxEvent[]>();
    for (const event of events) {
      const list = byRun.get(event.workflowId);
      if (list) list.push(event);
      else byRun.set(event.workflowId, [event]);
    }
    for (const id of ids) {
      const run = this.#runs.get(id);
      if (!run) continue;
      run.reading = false;
      const own = byRun.get(id);
      // A decision that began meanwhile may have taken some of these: they are read again after it.
      if (own && (run.busy || run.turns !== turns.get(id))) this.#mail.add(id);
      else if (own) this.#turn(id, run, own);
      else this.#goOn(id, run);
    }
  }

  #goOn(id: WorkflowId, run: HeldRun): void {
    const something = run.direct.length > 0 || run.ends.length > 0;
    // What waits in the inbox goes before what keeps coming: a cancel must not wait for the last of ten thousand steps.
    if (!this.#open || !something || run.busy || run.reading || this.#mail.has(id) || this.#runs.get(id) !== run)
      return;
    this.#turn(id, run, []);
  }

  /** One decision over what was read, what came directly and what has just ended. */
  #turn(id: WorkflowId, run: HeldRun, read: readonly InboxEvent[]): void {
    const known = new Set(read.map(({ eventId }) => eventId));
    const direct = run.direct.filter(({ eventId }) => !known.has(eventId)).slice(0, BATCH);
    run.direct.splice(0, read.length === 0 ? direct.length : run.direct.length);
    const ends = run.ends.splice(0, BATCH);
    run.busy = true;
    run.turns += 1;
    this.#track(this.#advance(id, run, [...read, ...direct], ends));
  }

  async #advance(id: WorkflowId, run: HeldRun, mail: readonly InboxEvent[], ends: readonly HeldEnd[]): Promise<void> {
    try {
      await this.#decide(run.coordinator, mail, ends);
      if (mail.length >= BATCH) this.#mail.add(id);
      this.#free(id, run);
    } catch (error) {
      // A decision that cannot be stored would be made again and again.
      if (toWireError(error).code !== 'invalid_input') this.#doubt(id, error);
      else await this.#giveUp(run.coordinator, error).catch((failure: unknown) => this.#doubt(id, failure));
    }
  }

  /** It can decide again. */
  #free(id: WorkflowId, run: HeldRun): void {
    run.busy = false;
    if (this.#open) this.#read();
    this.#goOn(id, run);
  }

  /** Whether its last decision was committed is not known. */
  #doubt(id: WorkflowId, error: unknown): void {
    this.#parts.ambient.log.warn('a decision of a workflow was not committed for sure', {
      workflowId: id,
      error: toWireError(error).message,
    });
    this.#drop(id, 'detached');
    this.#doubtful.add(id);
    if (this.#open) this.#read();
  }

  async #decide(coordinator: Coordinator, mail: readonly InboxEvent[], ends: readonly HeldEnd[]): Promise<void> {
    let prepared: Prepared;
    try {
      prepared = await coordinator.prepare([...mail, ...ends.map((end) => end.mail)]);
    } catch (error) {
      const failure = new RuntimeError('definition_changed', 'the strategy of the run cannot go on', { cause: error });
      this.#parts.ambient.log.error('a strategy threw', { workflowId: coordinator.id, error });
      await settleAlone(this.#parts.tasks, ends);
      await this.#giveUp(coordinator, failure);
      return;
    }
    const { store } = this.#parts;
    if (ends.length === 0)
      await this.#commits.run(coordinator, prepared, async (advance) => ({ advanced: await store.advance(advance) }));
    else await commitWithEnds(this.#parts, this.#commits, { coordinator, prepared, mail, ends });
  }

  // ---- decisions in the commit of what they are about ------------------------------------------------------------------------

  /**
   * Settles the attempt of a step; where its run is here, the decision on it is in the same commit (`decided`), and its events are told.
   * Rejects as `TaskStore.settle` does.
   */
  settle(settle: SettleTask, ended: EndedAttempt): Promise<DecidedAnswer> {
    const id = ended.task.workflowId;
    const run = this.#open && id !== undefined ? this.#runs.get(id) : undefined;
    const mail = run && stepEnd(settle, ended);
    if (!run || !mail) return this.#parts.tasks.settle(settle);
    return new Promise((resolve, reject) => {
      run.ends.push({ settle, mail, resolve, reject });
      // Ends of one turn are one decision.
      if (run.ends.length === 1) queueMicrotask(() => this.#goOn(run.coordinator.id, run));
    });
  }

  /**
   * Creates a run that starts, with its first decision in the same commit, and holds it. Undefined where that cannot be and nothing was
   * done: create it, then {@link beginNew}. Rejects as `WorkflowStore.create` does.
   */
  async createDecided(workflow: NewWorkflow, definition: Definition): Promise<CreateAnswer | undefined> {
    const { store, feed } = this.#parts;
    const { id, tenant, spec, fork } = workflow;
    if (!this.#open || spec.tasks.length > MOST_FIRST_STEPS) return undefined;
    const coordinator = this.#runs.coordinator({ id, tenant, version: 1, depth: 0 }, definition, {
      memory: null,
      snapshotEvents: 0,
      recorded: fork?.recorded ?? null,
    });
    const event = { type: 'started', atMs: Math.floor(store.nowMs()), seed: spec.seed } as const;
    const started = { workflowId: id, eventId: 'started', event };
    const prepared = await coordinator.prepare([started]).catch(() => undefined);
    if (!prepared) return undefined;
    let run: HeldRun | undefined;
    const creating = this.#commits.run(coordinator, prepared, async (advance) => {
      const both = await store.createDecided(workflow, { ...advance, consumed: [] });
      if (both.created.outcome === 'created') {
        feed.publish(both.created.events);
        run = this.#runs.hold(coordinator, spec.pattern, 'busy');
      }
      return both;
    });
    const { created } = await creating.catch((error: unknown) => {
      // It may be there all the same, with nothing in its inbox that would tell of it.
      this.#doubtful.add(id);
      throw error;
    });
    if (run) this.#free(id, run);
    return created;
  }

  #beginChild(row: WorkflowRow): void {
    try {
      this.beginNew(row, definitionOf(this.#strategies, row));
    } catch {
      // It was defined a moment ago; should it not be now, loading it says why and ends it.
      this.#doubtful.add(row.id);
    }
  }

  /** Carries out what was asked and not answered: directory look-ups and calls for bids. After a crash they are asked again. */
  #consult(coordinator: Coordinator): void {
    const { memory } = coordinator;
    if (memory) this.#consultations.go(coordinator, memory);
  }

  // ---- holding and giving up -----------------------------------------------------------------------------------------------

  async #loadAll(ids: readonly WorkflowId[]): Promise<void> {
    for (let at = 0; at < ids.length; at += LOAD_AT_ONCE) {
      await Promise.all(ids.slice(at, at + LOAD_AT_ONCE).map((id) => this.#load(id)));
    }
  }

  async #load(id: WorkflowId): Promise<void> {
    if (!this.#open || this.#runs.has(id)) return;
    const { store, tasks, node, ambient } = this.#parts;
    try {
      const stored = await store.load(id);
      if (!stored || stored.row.owner !== node || isTerminalWorkflow(stored.row.status)) return;
      const taskIds = new Set((await tasks.byWorkflow(id)).map((task) => task.id));
      try {
        const { definition, memory, snapshotEvents } = recover(this.#strategies, stored, taskIds);
        if (!this.#open || this.#runs.has(id)) return;
        const coordinator = this.#runs.coordinator(stored.row, definition, {
          memory,
          snapshotEvents,
          recorded: stored.recorded,
        });
        this.#runs.hold(coordinator, stored.row.pattern);
        this.#consult(coordinator);
        this.poke(id);
      } catch (error) {
        ambient.log.error('a run cannot be taken up again', { workflowId: id, error: toWireError(error).message });
        await this.#giveUp(stored.row, error);
      }
    } catch (error) {
      ambient.log.warn('a run could not be loaded', { workflowId: id, error: toWireError(error).message });
      this.#doubtful.add(id);
    }
  }

  #drop(id: WorkflowId, outcome: 'ended' | 'detached', end?: Advance['end']): void {
    const run = this.#runs.drop(id, outcome, end);
    if (!run) return;
    this.#mail.delete(id);
    this.#consultations.forget(id);
    if (run.ends.length > 0) this.#track(settleAlone(this.#parts.tasks, run.ends.splice(0)));
  }

  async #giveUp(run: { readonly id: WorkflowId; readonly tenant: string; readonly version: number }, error: unknown) {
    await giveUp(this.#parts, run, error);
    this.#drop(run.id, 'ended');
  }

  #track(work: Promise<void>): void {
    const tracked: Promise<void> = work.finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }
}
