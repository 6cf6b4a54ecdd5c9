// Keeps the free slots of this node's agents busy: claims tasks, has them run, claims again; drains and resumes.
// States: stopped -> open <-> draining -> stopped. Beside them the lease: while it is in doubt nothing starts, once lost all is aborted.
// The life of one attempt is in attempts.ts, the choice of queues in claimer.ts; agents belong to the workforce.

import type { Queue } from '../contracts/agent.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Ambient, Bus, Dispose, EventFeed, TakenSlot, TaskRunner, Workforce } from '../contracts/ports.ts';
import type { EventStore, InboxEvent, TaskStore } from '../contracts/store.ts';
import { SAFETY_POLLS } from '../contracts/store-pulse.ts';
import type { CancelEffect, ClaimedTask } from '../contracts/task.ts';
import { type AttemptCounters, Attempts, type AttemptsParts, type RunningTask } from './attempts.ts';
import type { CapabilityResolver } from './capability-resolver.ts';
import { Claimer } from './claimer.ts';
import { OrphanWatch } from './orphan-watch.ts';
import { settledWithin } from './pause.ts';

export interface DispatcherConfig {
  /** How often the store is asked when no hint came. */
  readonly pollMs: number;
  /** A pulse tells of every queue that holds tasks (see pulse-chore.ts): the store is asked without a hint only at every tenth poll. */
  readonly pulsed?: boolean;
  /** From the abort of an attempt to its abandon or kill. */
  readonly graceMs: number;
  /** Crashes that make a task dead. */
  readonly poisonAfter: number;
}

export interface DispatcherParts {
  readonly store: TaskStore;
  /** With it, the event of a commit whose answer was lost is published too. */
  readonly events?: Pick<EventStore, 'read'>;
  readonly workforce: Workforce;
  readonly runner: TaskRunner;
  readonly bus: Bus;
  readonly feed: EventFeed;
  readonly ambient: Ambient;
  readonly config: DispatcherConfig;
  /** Finds whom a handler hands its task to. Without it a handoff fails the attempt. */
  readonly resolve?: CapabilityResolver['resolve'];
  /** See {@link AttemptsParts}. */
  readonly settleStep?: NonNullable<AttemptsParts['settleStep']>;
  /** The mail that the end of a step wrote to its run; true: the run is here and takes it. */
  readonly onMail?: (mail: InboxEvent) => boolean;
  /** A task will be due in this long: the sweeper promotes it then. */
  readonly onScheduled?: (inMs: number) => void;
}

/** Share of the poll by which nodes are kept from asking in step. */
const POLL_JITTER = 0.1;

export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #claimer: Claimer;
  readonly #attempts: Attempts;
  readonly #orphans = new OrphanWatch();
  readonly #subscriptions: Dispose[] = [];
  #state: 'stopped' | 'open' | 'draining' = 'stopped';
  #lease: 'held' | 'doubtful' | 'lost' = 'held';

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
    this.#attempts = new Attempts({
      ...parts,
      resolve:
        parts.resolve ?? (() => Promise.reject(new RuntimeError('unknown_capability', 'nobody takes handoffs here'))),
      onQueued: (queue) => this.hint(queue),
      onFreed: () => this.#claimer.wake(),
    });
    this.#claimer = new Claimer({
      store: parts.store,
      workforce: parts.workforce,
      ambient: parts.ambient,
      open: () => this.#isOpen(),
      start: (task, slot) => this.#start(task, slot),
      surplus: (task) => void this.#attempts.giveBackClaim(task),
      onUnknown: () => this.suspectClaims(),
    });
  }

  // ---- life ------------------------------------------------------------------------------------------------------------

  /** Starts claiming; after a drain it starts again. Idempotent. */
  start(): void {
    if (this.#state === 'open') return;
    if (this.#state === 'stopped') this.#attach();
    this.#state = 'open';
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
    await settledWithin(clock, this.#attempts.done(), Math.max(0, until - clock.monotonicMs()));
    return this.#attempts.giveBack();
  }

  /** Ends at once: what runs is aborted, outcomes not yet written are left to the sweep. Call `drain` first for a good end. */
  async stop(): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'stopped';
    this.#claimer.stop();
    for (const dispose of this.#subscriptions.splice(0)) dispose();
    await this.#attempts.abandon(0);
  }

  get draining(): boolean {
    return this.#state !== 'open';
  }

  running(): readonly RunningTask[] {
    return this.#attempts.list();
  }

  /** Tasks that run on one agent now. */
  runningOn(agentId: AgentId): readonly TaskId[] {
    return this.#attempts.list().flatMap((task) => (task.agentId === agentId ? [task.taskId] : []));
  }

  counters(): AttemptCounters {
    return this.#attempts.counters();
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
      const mine = slot ?? this.reserve(task.queue);
      slot = undefined;
      if (mine) this.#start(task, mine);
      else void this.#attempts.giveBackClaim(task);
    }
    if (slot) this.unreserve(slot);
  }

  // ---- work taken away -------------------------------------------------------------------------------------------------

  /** Aborts an attempt whose task was cancelled: its claim is already gone from the store. Undefined when it does not run here. */
  cancel(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect | undefined> {
    return this.#attempts.revoke(taskId, fence, graceMs);
  }

  /** These claims are no longer ours (cancelled elsewhere, swept, timed out): aborts them; nothing of them is written. */
  onLost(taskIds: readonly TaskId[]): Promise<void> {
    return this.#attempts.revokeElsewhere(taskIds);
  }

  /** Asks the store which of the running claims are gone, and aborts those. */
  async checkClaims(): Promise<void> {
    const claims = this.#attempts.claims();
    if (claims.length === 0) return;
    const lost = await this.#parts.store.lostClaims(claims);
    if (lost.length > 0) await this.onLost(lost);
  }

  /** Aborts what runs on this agent and gives it back uncharged. */
  releaseAgent(agentId: AgentId): Promise<readonly TaskId[]> {
    return this.#attempts.giveBack(agentId);
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
  async loseLease(): Promise<void> {
    this.#lease = 'lost';
    await this.#attempts.abandon(this.#parts.config.graceMs);
  }

  /** A claim or an insert may have committed without its answer: the next checks look for it. */
  suspectClaims(): void {
    this.#orphans.suspect();
  }

  /** Gives back claims of this node that nobody here runs. Asks the store only after a claim or an insert failed. */
  async returnOrphans(): Promise<number> {
    const orphans = await this.#orphans.find(this.#parts.store, () => this.#attempts.list());
    await Promise.all(orphans.map((task) => this.#attempts.giveBackClaim(task)));
    return orphans.length;
  }

  // ---- inside ----------------------------------------------------------------------------------------------------------

  #isOpen(): boolean {
    return this.#state === 'open' && this.#lease === 'held';
  }

  /** What was claimed before the node closed goes back; closing waits for it. */
  #start(task: ClaimedTask, slot: TakenSlot): void {
    if (this.#isOpen()) {
      this.#attempts.start(task, slot);
      return;
    }
    this.#parts.workforce.release(slot.agentId);
    void this.#attempts.giveBackClaim(task);
  }

  #attach(): void {
    this.#attempts.reopen();
    const { workforce, bus, ambient, config } = this.#parts;
    this.#subscriptions.push(workforce.onChange(() => this.#claimer.wake()));
    this.#subscriptions.push(
      bus.subscribe((hint) => {
        if (hint.type === 'queue') this.#claimer.hint(hint.queue);
        else if (hint.type === 'task-cancelled') void this.#onCancelHint(hint.taskId);
      }),
    );
    let cancel: Dispose = () => {};
    const pollMs = config.pollMs * (config.pulsed ? SAFETY_POLLS : 1);
    const arm = () => {
      const everyMs = pollMs * (1 - POLL_JITTER + 2 * POLL_JITTER * ambient.random());
      cancel = ambient.clock.setTimeout(() => {
        arm();
        this.#claimer.poll();
      }, everyMs);
    };
    arm();
    this.#subscriptions.push(() => cancel());
  }

  async #onCancelHint(taskId: string): Promise<void> {
    if (!this.#attempts.has(taskId)) return;
    await this.checkClaims().catch((error: unknown) => {
      this.#parts.ambient.log.debug('cannot check a cancelled task; the sweeper will', { taskId, error });
    });
  }
}
