// Keeps the free slots of this node's agents busy: claims tasks, runs them, writes their outcomes, claims again.
// States: stopped -> open <-> draining -> stopped. Beside them the lease: while it is in doubt nothing starts, once lost all is aborted.
// It decides nothing about outcomes (retry-policy does) and owns no agent (the workforce does).

import type { Queue } from '../contracts/agent.ts';
import { toWireError } from '../contracts/errors.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Ambient, Bus, Dispose, EventFeed, TakenSlot, TaskRunner, Workforce } from '../contracts/ports.ts';
import type { EventStore, TaskStore } from '../contracts/store.ts';
import {
  type CancelEffect,
  type CancelReport,
  type ClaimedTask,
  isTerminalTask,
  type SettleTask,
  type TaskOutcome,
  type TaskState,
} from '../contracts/task.ts';
import { Claimer } from './claimer.ts';
import { OrphanWatch } from './orphan-watch.ts';
import { settledWithin } from './pause.ts';
import { judgeAttempt, releasedAfter, type Verdict } from './retry-policy.ts';
import { settleUntilKnown } from './settler.ts';

export interface DispatcherConfig {
  /** How often the store is asked when no hint came. */
  readonly pollMs: number;
  /** From the abort of an attempt to its abandon or kill. */
  readonly graceMs: number;
  /** Crashes that make a task dead. */
  readonly poisonAfter: number;
}

export interface DispatcherParts {
  readonly store: TaskStore;
  readonly events?: Pick<EventStore, 'read'>;
  readonly workforce: Workforce;
  readonly runner: TaskRunner;
  readonly bus: Bus;
  readonly feed: EventFeed;
  readonly ambient: Ambient;
  readonly config: DispatcherConfig;
  /** A task will be due in this long: the sweeper promotes it then. */
  readonly onScheduled?: (inMs: number) => void;
}

export interface RunningTask {
  readonly taskId: TaskId;
  readonly fence: number;
  readonly attempt: number;
  readonly capability: string;
  readonly tenant: string;
  readonly agentId: AgentId;
  readonly thread: number;
  readonly forMs: number;
  /** `settling`: the handler is done, its outcome is being written. */
  readonly phase: 'running' | 'settling';
}

export interface DispatcherCounters {
  readonly started: number;
  readonly committed: number;
  /** Outcomes the fence refused. */
  readonly fenced: number;
  readonly released: number;
}

interface Entry {
  readonly task: ClaimedTask;
  readonly slot: TakenSlot;
  readonly startedAtMs: number;
  phase: 'running' | 'settling';
  /** `give-back`: an outcome that is no success returns the task uncharged. `revoked`: the claim is gone, nothing is written. */
  intent: 'run' | 'give-back' | 'revoked';
  done: Promise<void>;
}

const POLL_JITTER = 0.1;
/** Beyond the grace: what the runner may need to abandon or kill. */
const STOP_MARGIN_MS = 1_000;

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #claimer: Claimer;
  readonly #running = new Set<Entry>();
  /** Gifts back to the store that are still being written, without a slot. */
  readonly #returning = new Set<Promise<unknown>>();
  readonly #subscriptions: Dispose[] = [];
  readonly #counters = { started: 0, committed: 0, fenced: 0, released: 0 };
  #state: 'stopped' | 'open' | 'draining' = 'stopped';
  #lease: 'held' | 'doubtful' | 'lost' = 'held';
  #giveUp = new AbortController();
  readonly #orphans = new OrphanWatch();

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#claimer = new Claimer({
      store: parts.store,
      workforce: parts.workforce,
      ambient: parts.ambient,
      open: () => this.#isOpen(),
      start: (task, slot) => this.#start(task, slot),
      surplus: (task) => this.#return(task, 0),
      onUnknown: () => this.suspectClaims(),
    });
  }

  // ---- life ------------------------------------------------------------------------------------------------------------

  /** Starts claiming; after a drain it starts again. Idempotent. */
  start(): void {
    if (this.#state === 'open') return;
    const fresh = this.#state === 'stopped';
    this.#state = 'open';
    if (fresh) this.#attach();
    this.#claimer.poll();
  }

  /**
   * Stops claiming, waits up to `timeoutMs` for what runs, then aborts the rest and gives it back with its attempt uncharged.
   * Ends within `timeoutMs` + grace + 1 s; answers what was given back.
   */
  async drain(timeoutMs: number): Promise<readonly TaskId[]> {
    if (this.#state === 'stopped') return [];
    this.#state = 'draining';
    const { clock } = this.#parts.ambient;
    const until = clock.monotonicMs() + timeoutMs;
    await settledWithin(clock, this.#claimer.idle(), timeoutMs);
    await settledWithin(clock, this.#allDone(), Math.max(0, until - clock.monotonicMs()));
    const left = [...this.#running];
    await this.#giveBack(left);
    return left.map(({ task }) => task.taskId);
  }

  /** Ends at once: what runs is aborted, outcomes not yet written are left to the sweep. Call `drain` first for a good end. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#claimer.stop();
    for (const dispose of this.#subscriptions.splice(0)) dispose();
    this.#giveUp.abort();
    const aborts = [...this.#running].map((entry) => this.#revoke(entry, 0));
    const { clock } = this.#parts.ambient;
    await settledWithin(clock, Promise.all([...aborts, this.#claimer.idle(), this.#allDone()]), STOP_MARGIN_MS);
  }

  get draining(): boolean {
    return this.#state !== 'open';
  }

  running(): readonly RunningTask[] {
    const now = this.#parts.ambient.clock.monotonicMs();
    return [...this.#running].map(({ task, slot, startedAtMs, phase }) => ({
      taskId: task.taskId,
      fence: task.fence,
      attempt: task.attempt,
      capability: task.capability,
      tenant: task.tenant,
      agentId: slot.agentId,
      thread: slot.thread,
      forMs: now - startedAtMs,
      phase,
    }));
  }

  /** Tasks that run on one agent now. */
  runningOn(agentId: AgentId): readonly TaskId[] {
    return [...this.#running].flatMap(({ task, slot }) => (slot.agentId === agentId ? [task.taskId] : []));
  }

  counters(): DispatcherCounters {
    return { ...this.#counters };
  }

  // ---- work coming in --------------------------------------------------------------------------------------------------

  /** Something may have come into this queue. */
  hint(queue: Queue): void {
    this.#claimer.hint(queue);
  }

  /** Anything may have come into any queue (a sweep freed tasks). */
  hintAll(): void {
    this.#claimer.poll();
  }

  /** A slot for a task that is about to be inserted with its lease; give it to `accept` or to `unreserve`. */
  reserve(queue: Queue): TakenSlot | undefined {
    return this.#isOpen() ? this.#parts.workforce.take(queue) : undefined;
  }

  unreserve(slot: TakenSlot): void {
    this.#parts.workforce.release(slot.agentId);
  }

  /** Tasks that an insert or a coordinator's decision claimed for this node. Without a slot the task is given back at once. */
  accept(tasks: readonly ClaimedTask[], reserved?: TakenSlot): void {
    let slot = reserved;
    for (const task of tasks) {
      const mine = slot ?? (this.#isOpen() ? this.#parts.workforce.take(task.queue) : undefined);
      slot = undefined;
      if (mine) this.#start(task, mine);
      else this.#return(task, 0);
    }
    if (slot) this.unreserve(slot);
  }

  // ---- work taken away -------------------------------------------------------------------------------------------------

  /** Aborts an attempt whose task was cancelled: its claim is already gone from the store. Undefined when it does not run here. */
  async cancel(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect | undefined> {
    const entry = [...this.#running].find(({ task }) => task.taskId === taskId && task.fence === fence);
    return entry ? this.#revoke(entry, graceMs) : undefined;
  }

  /** These claims are no longer ours (cancelled elsewhere, swept, timed out): aborts them; nothing of them is written. */
  async onLost(taskIds: readonly TaskId[]): Promise<void> {
    const lost = new Set(taskIds);
    const entries = [...this.#running].filter(({ task, intent }) => lost.has(task.taskId) && intent !== 'revoked');
    await Promise.all(entries.map((entry) => this.#revokeElsewhere(entry)));
  }

  /** Asks the store which of the running claims are gone, and aborts those. */
  async checkClaims(): Promise<void> {
    const claims = [...this.#running].flatMap(({ task, intent, phase }) =>
      intent === 'revoked' || phase === 'settling' ? [] : [{ taskId: task.taskId, fence: task.fence }],
    );
    if (claims.length === 0) return;
    const lost = await this.#parts.store.lostClaims(claims);
    if (lost.length > 0) await this.onLost(lost);
  }

  /** Aborts what runs on this agent and gives it back uncharged. */
  async releaseAgent(agentId: AgentId): Promise<readonly TaskId[]> {
    const entries = [...this.#running].filter(({ slot }) => slot.agentId === agentId);
    await this.#giveBack(entries);
    return entries.map(({ task }) => task.taskId);
  }

  // ---- the lease -------------------------------------------------------------------------------------------------------

  /** The lease could not be renewed in time: nothing starts until it is back. What runs goes on; the fence guards its outcome. */
  suspend(): void {
    if (this.#lease === 'held') this.#lease = 'doubtful';
  }

  /** The lease is renewed after all. */
  resume(): void {
    if (this.#lease !== 'doubtful') return;
    this.#lease = 'held';
    this.#claimer.poll();
  }

  /** The lease is gone for good: everything is aborted and nothing is written any more. */
  loseLease(): void {
    if (this.#lease === 'lost') return;
    this.#lease = 'lost';
    this.#giveUp.abort();
    for (const entry of this.#running) void this.#revoke(entry, this.#parts.config.graceMs);
  }

  /** A claim or an insert may have committed without its answer: the next checks look for it. */
  suspectClaims(): void {
    this.#orphans.suspect();
  }

  /** Gives back claims of this node that nobody here runs. Asks the store only after a claim or an insert failed. */
  async returnOrphans(): Promise<number> {
    const orphans = await this.#orphans.find(
      this.#parts.store,
      [...this.#running].map(({ task }) => task),
    );
    await Promise.all(orphans.map((task) => this.#return(task, 0)));
    return orphans.length;
  }

  // ---- inside ----------------------------------------------------------------------------------------------------------

  #isOpen(): boolean {
    return this.#state === 'open' && this.#lease === 'held';
  }

  #attach(): void {
    this.#giveUp = new AbortController();
    const { workforce, bus, ambient, config } = this.#parts;
    this.#subscriptions.push(workforce.onChange(() => this.#claimer.wake()));
    this.#subscriptions.push(
      bus.subscribe((hint) => {
        if (hint.type === 'queue') this.#claimer.hint(hint.queue);
        else if (hint.type === 'task-cancelled') void this.#onCancelHint(hint.taskId);
      }),
    );
    let cancel: Dispose = () => {};
    const arm = () => {
      const everyMs = config.pollMs * (1 - POLL_JITTER + 2 * POLL_JITTER * ambient.random());
      cancel = ambient.clock.setTimeout(() => {
        arm();
        this.#claimer.poll();
      }, everyMs);
    };
    arm();
    this.#subscriptions.push(() => cancel());
  }

  async #onCancelHint(taskId: string): Promise<void> {
    if (![...this.#running].some(({ task }) => task.taskId === taskId)) return;
    await this.checkClaims().catch((error: unknown) => {
      this.#parts.ambient.log.debug('cannot check a cancelled task; the sweeper will', { taskId, error });
    });
  }

  #start(task: ClaimedTask, slot: TakenSlot): void {
    if (!this.#isOpen()) {
      this.#parts.workforce.release(slot.agentId);
      void this.#return(task, 0);
      return;
    }
    const { clock } = this.#parts.ambient;
    const entry: Entry = {
      task,
      slot,
      startedAtMs: clock.monotonicMs(),
      phase: 'running',
      intent: 'run',
      done: Promise.resolve(),
    };
    this.#running.add(entry);
    this.#counters.started += 1;
    this.#parts.feed.notice({
      stream: task.taskId,
      type: 'task.started',
      tenant: task.tenant,
      data: {
        attempt: task.attempt,
        capability: task.capability,
        agentId: slot.agentId,
        thread: slot.thread,
        queuedForMs: task.queuedForMs,
      },
    });
    entry.done = this.#run(entry);
  }

  async #run(entry: Entry): Promise<void> {
    const { workforce, ambient } = this.#parts;
    try {
      const outcome = await this.#attempt(entry);
      entry.phase = 'settling';
      if (entry.intent !== 'revoked') await this.#settle(entry, outcome);
    } catch (error) {
      ambient.log.error('a task left the dispatcher by an exception', { taskId: entry.task.taskId, error });
    } finally {
      this.#running.delete(entry);
      workforce.release(entry.slot.agentId);
      this.#claimer.wake();
    }
  }

  /** One attempt, no longer than what is left of the task's deadline. */
  async #attempt({ task, slot }: Entry): Promise<TaskOutcome> {
    const timeoutMs = Math.max(1, Math.min(task.timeoutMs, task.deadlineInMs ?? task.timeoutMs));
    try {
      return await this.#parts.runner.runTask(
        slot.agentId,
        timeoutMs === task.timeoutMs ? task : { ...task, timeoutMs },
      );
    } catch (thrown) {
      return { type: 'lost', error: toWireError(thrown, 'agent_crashed'), culprit: false, runMs: 0 };
    }
  }

  async #settle(entry: Entry, outcome: TaskOutcome): Promise<void> {
    const { task, slot } = entry;
    const { ambient, config } = this.#parts;
    const verdict = givenBack(entry, outcome)
      ? givenBackVerdict(ambient.random)
      : judgeAttempt(task, outcome, { random: ambient.random, poisonAfter: config.poisonAfter });
    const snapshot = outcome.type === 'completed' && slot.epoch !== undefined ? outcome.snapshot : undefined;
    await this.#write(task, verdict, {
      agentId: slot.agentId,
      thread: slot.thread,
      runMs: outcome.type === 'released' ? 0 : outcome.runMs,
      ...(snapshot === undefined || slot.epoch === undefined
        ? {}
        : { agentSnapshot: { id: slot.agentId, epoch: slot.epoch, snapshot } }),
    });
  }

  /** Gives back a claim that has no slot. */
  #return(task: ClaimedTask, delayMs: number): Promise<void> {
    const verdict: Verdict = {
      outcome: 'released',
      crashed: false,
      settlement: releasedAfter(delayMs, this.#parts.ambient.random),
    };
    const writing = this.#write(task, verdict, { agentId: null, thread: null, runMs: 0 }).finally(() =>
      this.#returning.delete(writing),
    );
    this.#returning.add(writing);
    return writing;
  }

  async #write(
    task: ClaimedTask,
    verdict: Verdict,
    ran: Pick<SettleTask, 'agentId' | 'thread' | 'runMs' | 'agentSnapshot'>,
  ): Promise<void> {
    const { store, events, ambient, feed } = this.#parts;
    const settle: SettleTask = { taskId: task.taskId, fence: task.fence, attempt: task.attempt, ...verdict, ...ran };
    const settled = await settleUntilKnown(
      { store, ambient, ...(events ? { events } : {}) },
      settle,
      task.tenant,
      this.#giveUp.signal,
    );
    if (settled.type === 'committed') {
      this.#counters.committed += 1;
      if (verdict.outcome === 'released') this.#counters.released += 1;
      feed.publish(settled.events);
      this.#tell(task, settled.state, verdict);
    } else if (settled.type === 'fenced') {
      this.#counters.fenced += 1;
      ambient.log.info('a late outcome was refused: the task has another owner or has ended', {
        taskId: task.taskId,
        fence: task.fence,
      });
    }
  }

  /** Hints after a commit: callers that wait on any node, the coordinator, the queue the task went back to. */
  #tell(task: ClaimedTask, state: TaskState, { settlement }: Verdict): void {
    const { bus, onScheduled } = this.#parts;
    if (isTerminalTask(state)) {
      bus.publish({ type: 'task-ended', taskId: task.taskId });
      if (task.workflowId) bus.publish({ type: 'workflow', workflowId: task.workflowId });
    } else if (settlement.type === 'retry') {
      if (settlement.delayMs > 0) onScheduled?.(settlement.delayMs);
      else {
        this.#claimer.hint(task.queue);
        bus.publish({ type: 'queue', queue: task.queue });
      }
    }
  }

  #revoke(entry: Entry, graceMs: number): Promise<CancelEffect> {
    entry.intent = 'revoked';
    return this.#abort(entry, graceMs);
  }

  async #abort({ task }: Entry, graceMs: number): Promise<CancelEffect> {
    try {
      return await this.#parts.runner.cancelTask(task.taskId, task.fence, graceMs);
    } catch (error) {
      this.#parts.ambient.log.warn('cannot abort an attempt', { taskId: task.taskId, error });
      return { how: 'not_running', collateral: [] };
    }
  }

  /** Another node took the claim away. If it was a cancel, that node waits for the report of how it went here. */
  async #revokeElsewhere(entry: Entry): Promise<void> {
    const { store, ambient, config } = this.#parts;
    const { taskId, tenant } = entry.task;
    const from = ambient.clock.monotonicMs();
    const effect = await this.#revoke(entry, config.graceMs);
    try {
      const now = await store.get(taskId, tenant);
      if (now?.status !== 'cancelled') return;
      await store.recordCancel(reportOf(taskId, effect, ambient.clock.monotonicMs() - from));
    } catch (error) {
      ambient.log.warn('cannot record how a cancelled task ended', { taskId, error });
    }
  }

  async #giveBack(entries: readonly Entry[]): Promise<void> {
    const { graceMs } = this.#parts.config;
    for (const entry of entries) if (entry.intent === 'run') entry.intent = 'give-back';
    const aborts = entries.filter(({ phase }) => phase === 'running').map((entry) => this.#abort(entry, graceMs));
    const all = Promise.all([...aborts, ...entries.map(({ done }) => done), ...this.#returning]);
    await settledWithin(this.#parts.ambient.clock, all, graceMs + STOP_MARGIN_MS);
  }

  async #allDone(): Promise<void> {
    while (this.#running.size + this.#returning.size > 0) {
      await Promise.all([...[...this.#running].map(({ done }) => done), ...this.#returning]);
    }
  }
}

/** After the abort for a drain only a success counts; what the abort itself caused is no failure of the task. */
function givenBack({ intent }: Entry, outcome: TaskOutcome): boolean {
  return intent === 'give-back' && outcome.type !== 'completed' && !(outcome.type === 'lost' && outcome.culprit);
}

function givenBackVerdict(random: Ambient['random']): Verdict {
  return { outcome: 'released', crashed: false, settlement: releasedAfter(0, random) };
}

/** How an abort went, as the answer to a cancel. */
export function reportOf(id: TaskId, { how, collateral }: CancelEffect, afterMs: number): CancelReport {
  const outcome = how === 'not_running' ? 'cooperative' : how;
  return { id, outcome, afterMs: Math.round(afterMs), collateral: [...collateral] };
}
