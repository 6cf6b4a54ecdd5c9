// Keeps the runs of this node going: reads their inboxes together, lets each decide for itself, one commit at a time per run.
// Hints only make it sooner; a poll finds mail without a hint and runs that nobody owns. States: stopped -> open -> stopped.

import { RuntimeError, toWireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { Dispose, TakenSlot } from '../contracts/ports.ts';
import type { Advance, InboxEvent, Recorded, WorkflowRow } from '../contracts/store.ts';
import { SAFETY_POLLS } from '../contracts/store-pulse.ts';
import { isTerminalTask } from '../contracts/task.ts';
import { isTerminalWorkflow } from '../contracts/workflow.ts';
import { Consultations } from './consultations.ts';
import { Coordinator, type CoordinatorParts, type Prepared } from './coordinator.ts';
import { type Definition, definitionOf, type Strategies } from './definition.ts';
import type { RunLoopParts } from './ports.ts';
import { recover } from './recovery.ts';

/** Events of one run that one commit takes. */
const BATCH = 100;
/** Runs whose inboxes are read by one query, and runs that are taken over at once. */
const READ_TOGETHER = 500;
const ADOPT_AT_ONCE = 50;
const LOAD_AT_ONCE = 10;

interface Run {
  readonly coordinator: Coordinator;
  /** A decision is being committed. */
  busy: boolean;
  /** Decisions so far: what was read from the store before the last one began may have been taken by it. */
  turns: number;
  /** Mail that came without being read, in its order. */
  readonly direct: InboxEvent[];
}

export class RunLoop {
  readonly #parts: RunLoopParts;
  readonly #strategies: Strategies;
  readonly #consultations: Consultations;
  readonly #runs = new Map<WorkflowId, Run>();
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
    for (const id of [...this.#runs.keys()]) this.#drop(id, 'detached');
  }

  /** Runs held in memory here. */
  get size(): number {
    return this.#runs.size;
  }

  coordinatorOf(id: WorkflowId): Coordinator | undefined {
    return this.#runs.get(id)?.coordinator;
  }

  /** A run that was started here just now. */
  begin(row: WorkflowRow, definition: Definition): void {
    if (!this.#open || this.#runs.has(row.id)) return;
    this.#hold(row, definition, { memory: null, snapshotEvents: 0, recorded: null });
    this.poke(row.id);
  }

  /** A run that came into being started: the commit that made it wrote its first mail, and only that, so nothing need be read. */
  beginNew(row: WorkflowRow, definition: Definition, recorded: Recorded | null = null): void {
    if (!this.#open || this.#runs.has(row.id) || row.startedAt === null) return;
    this.#hold(row, definition, { memory: null, snapshotEvents: 0, recorded });
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
    const ids = [...this.#mail].filter((id) => this.#runs.get(id)?.busy === false).slice(0, READ_TOGETHER);
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
    for (const [id, own] of byRun) {
      const run = this.#runs.get(id);
      if (!run) continue;
      // A decision that began meanwhile may have taken some of these: they are read again after it.
      if (run.busy || run.turns !== turns.get(id)) this.#mail.add(id);
      else this.#turn(id, run, own);
    }
  }

  #goOn(id: WorkflowId, run: Run): void {
    if (this.#open && !run.busy && run.direct.length > 0 && this.#runs.get(id) === run) this.#turn(id, run, []);
  }

  /** One decision over what was read and what came directly. */
  #turn(id: WorkflowId, run: Run, read: readonly InboxEvent[]): void {
    const known = new Set(read.map(({ eventId }) => eventId));
    const direct = run.direct.filter(({ eventId }) => !known.has(eventId)).slice(0, BATCH);
    run.direct.splice(0, read.length === 0 ? direct.length : run.direct.length);
    run.busy = true;
    run.turns += 1;
    this.#track(this.#advance(id, run, read.length === 0 ? direct : [...read, ...direct]));
  }

  async #advance(id: WorkflowId, run: Run, events: readonly InboxEvent[]): Promise<void> {
    try {
      await this.#decide(run.coordinator, events);
      run.busy = false;
      if (events.length >= BATCH) this.#mail.add(id);
      this.#goOn(id, run);
    } catch (error) {
      this.#parts.ambient.log.warn('a decision of a workflow was not committed for sure', {
        workflowId: id,
        error: toWireError(error).message,
      });
      this.#drop(id, 'detached');
      this.#doubtful.add(id);
    }
    if (this.#open) this.#read();
  }

  async #decide(coordinator: Coordinator, events: readonly InboxEvent[]): Promise<void> {
    let prepared: Prepared;
    try {
      prepared = await coordinator.prepare(events);
    } catch (error) {
      const failure = new RuntimeError('definition_changed', 'the strategy of the run cannot go on', { cause: error });
      this.#parts.ambient.log.error('a strategy threw', { workflowId: coordinator.id, error });
      await this.#giveUp(coordinator.id, coordinator.tenant, coordinator.version, failure);
      return;
    }
    await this.#commit(coordinator, prepared);
  }

  async #commit(coordinator: Coordinator, prepared: Prepared): Promise<void> {
    const { store, slots, feed } = this.#parts;
    const { advance } = prepared;
    const reserved = advance.schedule.map((task) =>
      task.runAt === undefined && !task.delayMs ? slots.reserve(task.queue) : undefined,
    );
    try {
      const result = await store.advance({ ...advance, claim: reserved.map((slot) => slot !== undefined) });
      if (result.outcome === 'conflict') {
        this.#drop(coordinator.id, 'detached');
        this.#doubtful.add(coordinator.id);
        return;
      }
      coordinator.committed(prepared, result.version);
      feed.publish(result.events);
      this.#tell(coordinator, prepared);
      for (const row of result.began) this.#beginChild(row);
      for (const id of result.told) this.#hint(id);
      this.#consult(coordinator);
      this.#startClaimed(advance, reserved, new Map(result.claimed.map((task) => [task.taskId, task])));
      if (result.cancelledRunning.length > 0) this.#parts.stopRunning(result.cancelledRunning);
      if (prepared.ended) this.#drop(coordinator.id, 'ended');
    } catch (error) {
      slots.suspectClaims?.();
      throw error;
    } finally {
      for (const slot of reserved) if (slot) slots.unreserve(slot);
    }
  }

  #beginChild(row: WorkflowRow): void {
    try {
      this.beginNew(row, definitionOf(this.#strategies, row));
    } catch {
      // It was defined a moment ago; should it not be now, loading it says why and ends it.
      this.#doubtful.add(row.id);
    }
  }

  #hint(id: WorkflowId): void {
    this.poke(id);
    this.#parts.bus.publish({ type: 'workflow', workflowId: id });
  }

  /** Carries out what was asked and not answered: directory look-ups and calls for bids. After a crash they are asked again. */
  #consult(coordinator: Coordinator): void {
    const { memory } = coordinator;
    if (memory) this.#consultations.go(coordinator, memory);
  }

  #startClaimed(
    advance: Advance,
    reserved: (TakenSlot | undefined)[],
    claimed: ReadonlyMap<string, Parameters<RunLoopParts['slots']['accept']>[0][number]>,
  ): void {
    const { slots, bus } = this.#parts;
    const waiting = new Set<string>();
    advance.schedule.forEach((task, index) => {
      const claim = claimed.get(task.id);
      const slot = reserved[index];
      if (!claim) {
        waiting.add(task.queue);
        return;
      }
      reserved[index] = undefined;
      slots.accept([claim], slot);
    });
    for (const queue of waiting) bus.publish({ type: 'queue', queue });
  }

  #tell({ id, tenant }: Coordinator, { began, over, advance }: Prepared): void {
    const { observer, feed } = this.#parts;
    for (const { round, outcome } of over) observer?.stepEnded?.(id, round, outcome);
    for (const step of began) {
      observer?.stepStarted?.(id, step);
      const data = { step: step.step, round: step.round, state: 'queued', taskId: step.taskId };
      feed.notice({ stream: id, type: 'workflow.step', tenant, data });
    }
    for (const decision of advance.decisions)
      feed.notice({ stream: id, type: 'workflow.decision', tenant, data: { ...decision } });
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
        this.#hold(stored.row, definition, { memory, snapshotEvents, recorded: stored.recorded });
        const coordinator = this.coordinatorOf(id);
        if (coordinator) this.#consult(coordinator);
        this.poke(id);
      } catch (error) {
        ambient.log.error('a run cannot be taken up again', { workflowId: id, error: toWireError(error).message });
        await this.#giveUp(id, stored.row.tenant, stored.row.version, error);
      }
    } catch (error) {
      ambient.log.warn('a run could not be loaded', { workflowId: id, error: toWireError(error).message });
      this.#doubtful.add(id);
    }
  }

  #hold(
    row: WorkflowRow,
    definition: Definition,
    known: Pick<CoordinatorParts, 'memory' | 'snapshotEvents' | 'recorded'>,
  ): Run {
    const { capabilities, observer } = this.#parts;
    const { id, tenant, version, pattern, depth } = row;
    const strategies = this.#strategies;
    const coordinator = new Coordinator({ id, tenant, version, definition, capabilities, strategies, depth, ...known });
    const run = { coordinator, busy: false, turns: 0, direct: [] };
    this.#runs.set(id, run);
    observer?.runStarted?.({ id, tenant, pattern });
    for (const step of coordinator.inFlight) observer?.stepStarted?.(id, step);
    return run;
  }

  #drop(id: WorkflowId, outcome: 'ended' | 'detached'): void {
    const run = this.#runs.get(id);
    if (!run) return;
    this.#runs.delete(id);
    this.#mail.delete(id);
    this.#consultations.forget(id);
    const { observer } = this.#parts;
    for (const step of run.coordinator.inFlight)
      observer?.stepEnded?.(id, step, outcome === 'ended' ? 'cancelled' : 'detached');
    observer?.runEnded?.(id, outcome);
  }

  /** Ends a run that cannot be decided any more, with everything it has open. */
  async #giveUp(id: WorkflowId, tenant: string, version: number, error: unknown): Promise<void> {
    const { store, tasks, feed, stopRunning } = this.#parts;
    const row = await store.get(id, tenant);
    const result = await store.advance({
      workflowId: id,
      tenant,
      version,
      consumed: [],
      journal: [],
      schedule: [],
      cancel: [],
      timers: [],
      decisions: [{ kind: 'stop', rule: 'definition_changed', chosen: 'failed' }],
      events: [],
      progress: row?.progress ?? { done: 0, total: 0 },
      end: { status: 'failed', stopReason: 'definition_changed', output: null, error: toWireError(error) },
    });
    this.#drop(id, 'ended');
    if (result.outcome === 'conflict') return;
    feed.publish(result.events);
    // Its memory cannot be trusted, so what is open is asked of the tasks themselves.
    const open = (await tasks.byWorkflow(id)).filter((task) => !isTerminalTask(task.status));
    for (const task of open) {
      const cancelled = await tasks.cancel(task.id, tenant);
      if (cancelled.outcome !== 'cancelled') continue;
      feed.publish(cancelled.events);
      if (cancelled.wasRunning) stopRunning([{ taskId: task.id, fence: cancelled.fence, node: cancelled.node }]);
    }
  }

  #track(work: Promise<void>): void {
    const tracked: Promise<void> = work.finally(() => this.#working.delete(tracked));
    this.#working.add(tracked);
  }
}
