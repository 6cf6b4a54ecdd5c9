// What runs on this node: each claimed task from its start to its written outcome, and the ways to stop it early.
// Owns the slot of every attempt until then. Claims nothing and decides no outcome (retry-policy does).

import type { Queue } from '../contracts/agent.ts';
import { toWireError } from '../contracts/errors.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Ambient, Bus, EventFeed, RanTask, TakenSlot, TaskRunner, Workforce } from '../contracts/ports.ts';
import type { EventStore, InboxEvent, SettleAnswer, TaskStore } from '../contracts/store.ts';
import {
  type CancelEffect,
  type CancelReport,
  type ClaimedTask,
  type HandoffOutcome,
  isTerminalTask,
  type SettleTask,
  type TaskOutcome,
  type TaskState,
} from '../contracts/task.ts';
import type { CapabilityResolver } from './capability-resolver.ts';
import { judgeHandoff } from './handoff.ts';
import { settledWithin } from './pause.ts';
import { judgeAttempt, releasedAfter, runsIsolated, type Verdict } from './retry-policy.ts';
import { settleUntilKnown } from './settler.ts';

export interface AttemptsParts {
  readonly store: TaskStore;
  /** With it, the event of a commit whose answer was lost is published too. */
  readonly events?: Pick<EventStore, 'read'>;
  readonly workforce: Workforce;
  readonly runner: TaskRunner;
  readonly bus: Bus;
  readonly feed: EventFeed;
  readonly ambient: Ambient;
  readonly config: { readonly graceMs: number; readonly poisonAfter: number };
  /** Finds whom a handler hands its task to. */
  readonly resolve: CapabilityResolver['resolve'];
  /** A task will be due in this long. */
  readonly onScheduled?: (inMs: number) => void;
  /** A task went back into this queue and may start at once. */
  readonly onQueued: (queue: Queue) => void;
  /** Settles the attempt of a step, with the decision of its run in the same commit where that can be; default `store.settle`. */
  readonly settleStep?: (
    settle: SettleTask,
    ended: { readonly task: ClaimedTask; readonly endedAtMs: number },
  ) => Promise<SettleAnswer & { readonly decided?: boolean }>;
  /** The mail that the end of a step wrote to its run; true: the run is here and takes it. */
  readonly onMail?: (mail: InboxEvent) => boolean;
  /** An attempt is over and its slot is free. */
  readonly onFreed: () => void;
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

export interface AttemptCounters {
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
  /** The slot was given back. */
  freed: boolean;
  done: Promise<void>;
}

/** Beyond the grace: what the runner may need to abandon or kill. */
const STOP_MARGIN_MS = 1_000;

export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #running = new Set<Entry>();
  /** Claims without a slot that are being given back. */
  readonly #returning = new Set<Promise<unknown>>();
  readonly #counters = { started: 0, committed: 0, fenced: 0, released: 0 };
  #giveUp = new AbortController();

  constructor(parts: AttemptsParts) {
    this.#parts = parts;
  }

  /** After `abandon`: outcomes are written again. */
  reopen(): void {
    if (this.#giveUp.signal.aborted) this.#giveUp = new AbortController();
  }

  list(): readonly RunningTask[] {
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

  counters(): AttemptCounters {
    return { ...this.#counters };
  }

  /** Claims whose handlers are at work and that nobody has taken away yet. */
  claims(): readonly { readonly taskId: TaskId; readonly fence: number }[] {
    return [...this.#running].flatMap(({ task, intent, phase }) =>
      intent === 'revoked' || phase === 'settling' ? [] : [{ taskId: task.taskId, fence: task.fence }],
    );
  }

  has(taskId: string): boolean {
    for (const { task } of this.#running) if (task.taskId === taskId) return true;
    return false;
  }

  /** Runs a claimed task on a taken slot; the slot is released when its handler is done and nothing has to wait for the outcome. */
  start(task: ClaimedTask, slot: TakenSlot): void {
    const entry: Entry = {
      task,
      slot,
      startedAtMs: this.#parts.ambient.clock.monotonicMs(),
      phase: 'running',
      intent: 'run',
      freed: false,
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
        ...(runsIsolated(task) ? { isolated: true } : { thread: slot.thread }),
        queuedForMs: task.queuedForMs,
      },
    });
    entry.done = this.#run(entry);
  }

  /** Gives back a claim that has no slot, uncharged and at once. */
  giveBackClaim(task: ClaimedTask): Promise<void> {
    const ran = { agentId: null, thread: null, runMs: 0 };
    const writing = this.#write(task, this.#releasedVerdict(), ran).finally(() => this.#returning.delete(writing));
    this.#returning.add(writing);
    return writing;
  }

  /** Aborts what runs (on one agent, or everything) and gives it back uncharged; bounded by the grace and a second. */
  async giveBack(agentId?: AgentId): Promise<readonly TaskId[]> {
    const { graceMs } = this.#parts.config;
    const entries = [...this.#running].filter(({ slot }) => agentId === undefined || slot.agentId === agentId);
    for (const entry of entries) if (entry.intent === 'run') entry.intent = 'give-back';
    const aborts = entries.filter(({ phase }) => phase === 'running').map((entry) => this.#abort(entry, graceMs));
    const all = Promise.all([...aborts, ...entries.map(({ done }) => done), ...this.#returning]);
    await settledWithin(this.#parts.ambient.clock, all, graceMs + STOP_MARGIN_MS);
    return entries.map(({ task }) => task.taskId);
  }

  /** Aborts an attempt whose claim this node took away in the store. Undefined when it does not run here. */
  async revoke(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect | undefined> {
    const entry = [...this.#running].find(({ task }) => task.taskId === taskId && task.fence === fence);
    return entry && this.#revoke(entry, graceMs);
  }

  /** Aborts attempts whose claims others took away, and reports how it went to a node that cancelled one. */
  async revokeElsewhere(taskIds: readonly TaskId[]): Promise<void> {
    const lost = new Set(taskIds);
    const entries = [...this.#running].filter(({ task, intent }) => lost.has(task.taskId) && intent !== 'revoked');
    await Promise.all(entries.map((entry) => this.#revokeAndReport(entry)));
  }

  /** Aborts everything and writes nothing any more. Resolves when all handlers are stopped, or after the grace and a second. */
  async abandon(graceMs: number): Promise<void> {
    this.#giveUp.abort();
    const aborts = [...this.#running].map((entry) => this.#revoke(entry, graceMs));
    await settledWithin(this.#parts.ambient.clock, Promise.all([...aborts, this.done()]), graceMs + STOP_MARGIN_MS);
  }

  /** Resolves when nothing runs and nothing is being written. */
  async done(): Promise<void> {
    while (this.#running.size + this.#returning.size > 0) {
      await Promise.all([...[...this.#running].map(({ done }) => done), ...this.#returning]);
    }
  }

  async #run(entry: Entry): Promise<void> {
    const { ambient } = this.#parts;
    try {
      const outcome = await this.#attempt(entry);
      entry.phase = 'settling';
      // The agent is idle again: what it takes next is claimed by the commit that carries this success. A snapshot is waited for, so
      // that the next one cannot overtake it, and so is whatever went wrong.
      if (outcome.type === 'completed' && outcome.snapshot === undefined) this.#free(entry);
      if (entry.intent !== 'revoked') await this.#settle(entry, outcome);
    } catch (error) {
      ambient.log.error('a task left the dispatcher by an exception', { taskId: entry.task.taskId, error });
    } finally {
      this.#running.delete(entry);
      this.#free(entry);
    }
  }

  #free(entry: Entry): void {
    if (entry.freed) return;
    entry.freed = true;
    this.#parts.workforce.release(entry.slot.agentId);
    this.#parts.onFreed();
  }

  /** One attempt, no longer than what is left of the task's deadline. */
  async #attempt({ task, slot }: Entry): Promise<RanTask> {
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

  async #settle(entry: Entry, outcome: RanTask): Promise<void> {
    const { task, slot } = entry;
    let verdict: Verdict;
    if (givenBack(entry, outcome)) verdict = this.#releasedVerdict();
    else if (outcome.type === 'handed_off') verdict = await this.#judgeHandoff(task, outcome);
    else verdict = this.#judge(task, outcome);
    const snapshot = outcome.type === 'completed' && slot.epoch !== undefined ? outcome.snapshot : undefined;
    const ran = {
      agentId: slot.agentId,
      thread: outcome.thread ?? slot.thread,
      runMs: outcome.type === 'released' ? 0 : outcome.runMs,
      ...('usage' in outcome && outcome.usage ? { usage: outcome.usage } : {}),
      ...(task.workflowId && slot.placed ? { placed: slot.placed } : {}),
      ...(snapshot === undefined || slot.epoch === undefined
        ? {}
        : { agentSnapshot: { id: slot.agentId, epoch: slot.epoch, snapshot } }),
    };
    const tookMs = this.#parts.ambient.clock.monotonicMs() - entry.startedAtMs;
    await this.#write(task, verdict, ran, task.claimedAtMs + tookMs);
  }

  async #judgeHandoff(task: ClaimedTask, outcome: HandoffOutcome): Promise<Verdict> {
    const { store, resolve } = this.#parts;
    try {
      return await judgeHandoff({ store, resolve }, task, outcome);
    } catch (thrown) {
      // Nobody could say where it goes (the store was away): the handler decides again.
      const error = { ...toWireError(thrown), retryable: true };
      return this.#judge(task, { type: 'failed', error, runMs: outcome.runMs });
    }
  }

  #judge(task: ClaimedTask, outcome: Exclude<TaskOutcome, HandoffOutcome>): Verdict {
    const { ambient, config } = this.#parts;
    return judgeAttempt(task, outcome, { random: ambient.random, poisonAfter: config.poisonAfter });
  }

  async #write(
    task: ClaimedTask,
    verdict: Verdict,
    ran: Pick<SettleTask, 'agentId' | 'thread' | 'runMs' | 'usage' | 'placed' | 'agentSnapshot'>,
    endedAtMs = task.claimedAtMs,
  ): Promise<void> {
    const { store, settleStep, events, ambient, feed } = this.#parts;
    const settle: SettleTask = { taskId: task.taskId, fence: task.fence, attempt: task.attempt, ...verdict, ...ran };
    const firstTry = settleStep && task.workflowId && ((first: SettleTask) => settleStep(first, { task, endedAtMs }));
    const settled = await settleUntilKnown(
      { store, ambient, ...(firstTry ? { firstTry } : {}), ...(events ? { events } : {}) },
      settle,
      task.tenant,
      this.#giveUp.signal,
    );
    if (settled.type === 'committed') {
      this.#counters.committed += 1;
      if (verdict.outcome === 'released') this.#counters.released += 1;
      feed.publish(settled.events);
      const taken = settled.decided ?? (settled.mail !== undefined && (this.#parts.onMail?.(settled.mail) ?? false));
      this.#tell(task, settled.state, verdict, taken);
    } else if (settled.type === 'fenced') {
      this.#counters.fenced += 1;
      ambient.log.info('a late outcome was refused: the task has another owner or has ended', {
        taskId: task.taskId,
        fence: task.fence,
      });
    }
  }

  /** Hints after a commit: callers that wait on any node, the coordinator, the queue the task went back to. */
  #tell(task: ClaimedTask, state: TaskState, { settlement }: Verdict, taken: boolean): void {
    const { bus, onScheduled, onQueued } = this.#parts;
    if (isTerminalTask(state)) {
      bus.publish({ type: 'task-ended', taskId: task.taskId });
      if (task.workflowId && !taken) bus.publish({ type: 'workflow', workflowId: task.workflowId });
    } else if (settlement.type === 'handed_off') {
      onQueued(settlement.target.queue);
      bus.publish({ type: 'queue', queue: settlement.target.queue });
    } else if (settlement.type === 'waiting') {
      onScheduled?.(settlement.question.expiresMs);
    } else if (settlement.type === 'retry') {
      if (settlement.delayMs > 0) onScheduled?.(settlement.delayMs);
      else {
        onQueued(task.queue);
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
  async #revokeAndReport(entry: Entry): Promise<void> {
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

  #releasedVerdict(): Verdict {
    return { outcome: 'released', crashed: false, settlement: releasedAfter(0, this.#parts.ambient.random) };
  }
}

/** After the abort for a drain only a success counts; what the abort itself caused is no failure of the task. */
function givenBack({ intent }: Entry, outcome: TaskOutcome): boolean {
  return intent === 'give-back' && outcome.type !== 'completed' && !(outcome.type === 'lost' && outcome.culprit);
}

/** How an abort went, as the answer to a cancel. */
export function reportOf(id: TaskId, { how, collateral }: CancelEffect, afterMs: number): CancelReport {
  const outcome = how === 'not_running' ? 'cooperative' : how;
  return { id, outcome, afterMs: Math.round(afterMs), collateral: [...collateral] };
}
