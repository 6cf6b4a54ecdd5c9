// The threads of the pool: starts them in Piscina, watches how they live, ends them, tells what went with them and starts new
// ones in place of the dead. Who lives where is the directory's matter, who shall live where that of cells.ts.

import type { Piscina } from 'piscina';
import { RuntimeError, toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Ambient, Dispose, ThreadPoolOptions } from '../contracts/ports.ts';
import type { PoolNotice, ThreadStats } from '../contracts/wire.ts';
import {
  HEAP_KB,
  MESSAGES_IN,
  MESSAGES_OUT,
  ON_STACK,
  OVERDUE,
  PEER_DOWN,
  TASK_ON_STACK,
  UTILIZATION_PERMILLE,
} from '../transport/frames.ts';
import type { DataPort, Link } from '../transport/link.ts';
import type { Directory, Entry, Thread } from './directory.ts';
import { createPiscina, reasonOf } from './host-piscina.ts';
import { lostMail } from './lost-mail.ts';
import type { RunningTask, TaskTable } from './task-table.ts';
import { type DownReason, ThreadHandle } from './thread-handle.ts';
import { judge, type Liveness, Pulse } from './watchdog.ts';

/** Longest wait for the threads at the start. */
export const START_TIMEOUT_MS = 30_000;
/** Waits before a dead thread is replaced: doubled each time, forgotten after a calm life. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 5_000;
const CALM_MS = 10_000;
/** From the order to end until a host is cut off. */
const END_TIMEOUT_MS = 5_000;

interface Seat {
  handle: Thread;
  pulse: Pulse;
  liveness: Liveness;
}

export interface ThreadsOwner {
  readonly options: ThreadPoolOptions;
  readonly ambient: Ambient;
  readonly directory: Directory;
  readonly tasks: TaskTable;
  connect(thread: number, port: DataPort): Link;
  emit(notice: PoolNotice): void;
}

export class Threads {
  /** Shared threads there shall be. */
  target: number;
  stopping = false;
  readonly #owner: ThreadsOwner;
  readonly #options: ThreadPoolOptions;
  readonly #ambient: Ambient;
  readonly #directory: Directory;
  readonly #tasks: TaskTable;
  readonly #piscina: Piscina;
  readonly #threads = new Map<number, Seat>();
  readonly #upWaiters = new Set<() => void>();
  readonly #timers = new Set<Dispose>();
  #lastThread = 0;
  #failures = 0;
  #lastFailure: WireError | undefined;
  #watching: Dispose | null = null;
  #watchedAtMs = 0;

  constructor(owner: ThreadsOwner) {
    this.#owner = owner;
    this.#options = owner.options;
    this.#ambient = owner.ambient;
    this.#directory = owner.directory;
    this.#tasks = owner.tasks;
    this.target = owner.options.threads;
    this.#piscina = createPiscina(owner.options);
    // A worker that fails without a task, or while it boots, is told here only; its host promise tells the rest.
    this.#piscina.on('error', (error) => this.#bootFailed(error));
  }

  async start(): Promise<void> {
    this.#watchedAtMs = this.#nowMs();
    this.#watching = this.#ambient.clock.setInterval(() => this.#watch(), this.#options.beatMs);
    for (let count = 0; count < this.target; count++) this.startThread();
    await this.untilUp(this.target, START_TIMEOUT_MS);
  }

  async stop(): Promise<void> {
    if (this.stopping) return;
    this.stopping = true;
    this.#watching?.();
    for (const cancel of this.#timers) cancel();
    for (const wake of [...this.#upWaiters]) wake();
    this.#directory.stop();
    const handles = [...this.#threads.values()].map((seat) => seat.handle);
    await Promise.all(handles.map((handle) => this.endHost(handle)));
  }

  /** After {@link stop}: nothing of Piscina is left either. */
  async destroy(): Promise<void> {
    await this.#piscina.destroy();
  }

  get(id: number): Thread | undefined {
    return this.#threads.get(id)?.handle;
  }

  all(): Thread[] {
    return [...this.#threads.values()].map((seat) => seat.handle);
  }

  shared(): Thread[] {
    return [...this.#threads.values()]
      .map((seat) => seat.handle)
      .filter((handle) => !handle.dedicatedTo && handle.state !== 'retiring' && handle.state !== 'down');
  }

  /** Of the shared threads that are up. */
  leastLoaded(): Thread | undefined {
    let best: Thread | undefined;
    for (const { handle } of this.#threads.values()) {
      if (!handle.dedicatedTo && handle.up && (best === undefined || handle.load < best.load)) best = handle;
    }
    return best;
  }

  startThread(dedicatedTo?: AgentId): Thread {
    const { node, beatMs, graceMs } = this.#options;
    const { clock } = this.#ambient;
    const handle = new ThreadHandle<Entry>({ id: ++this.#lastThread, node, beatMs, graceMs, clock, dedicatedTo });
    handle.link = this.#owner.connect(handle.id, handle.data as DataPort);
    const seat: Seat = { handle, pulse: new Pulse(handle.life, this.#nowMs()), liveness: 'idle' };
    this.#threads.set(handle.id, seat);
    handle.ended = this.#piscina
      .run(handle.init, { transferList: [handle.init.data, handle.init.control], signal: handle.abort.signal })
      .then(
        () => this.#down(handle, 'drained', undefined),
        (error) => this.#down(handle, handle.killedAs ?? reasonOf(error), handle.killError ?? toWireError(error)),
      );
    const late = () => new RuntimeError('thread_lost', `thread ${handle.id} did not start in time`);
    handle
      .order({ op: 'stats' }, { timeoutMs: START_TIMEOUT_MS, late }, () => this.#up(seat))
      .catch((error) => {
        if (handle.state === 'starting') this.kill(handle, 'exited', toWireError(error));
      });
    return handle;
  }

  /** A worker died before it had its host task, which Piscina would now leave queued for ever. */
  #bootFailed(thrown: unknown): void {
    const error = toWireError(thrown);
    this.#ambient.log.warn('a thread failed', { error });
    this.#lastFailure = error;
    for (const { handle } of this.#threads.values()) {
      if (handle.state === 'starting') this.kill(handle, 'threw', error);
    }
  }

  #up(seat: Seat): void {
    const { handle } = seat;
    if (handle.state !== 'starting') return;
    handle.state = 'up';
    handle.upAtMs = this.#nowMs();
    seat.pulse = new Pulse(handle.life, handle.upAtMs);
    const { id, dedicatedTo } = handle;
    this.#owner.emit({ type: 'thread.up', thread: id, ...(dedicatedTo ? { dedicatedTo } : {}) });
    for (const wake of [...this.#upWaiters]) wake();
  }

  /** Ends a thread at once. */
  kill(handle: Thread, as: DownReason, error: WireError): void {
    if (handle.state === 'down' || handle.killedAs) return;
    handle.killedAs = as;
    handle.killError = error;
    handle.abort.abort();
  }

  #down(handle: Thread, reason: DownReason, error: WireError | undefined): void {
    const seat = this.#threads.get(handle.id);
    if (!seat) return;
    this.#threads.delete(handle.id);
    const now = this.#nowMs();
    const running = this.#tasks.of(handle);
    const onStack = handle.slots.get(handle.life[ON_STACK] ?? 0);
    const busy = new Set(running.map(({ entry }) => entry.id));
    if (onStack && reason !== 'drained') busy.add(onStack.id);
    const mail = handle.mail();
    const cells = [...handle.slots.values()].filter(
      ({ phase }) => phase === 'up' || phase === 'moving' || phase === 'leaving',
    );
    const lost = error ?? wireError('thread_lost', `thread ${handle.id} has ended`);
    const culprit = this.#culprit(handle, reason, running);
    const calm = handle.upAtMs > 0 && now - handle.upAtMs > CALM_MS;
    const expected = reason === 'drained' && (handle.state === 'retiring' || this.stopping);
    for (const entry of [...handle.slots.values()]) this.lose(entry);
    handle.close();
    for (const { handle: other } of this.#threads.values()) other.link?.control([PEER_DOWN, handle.id]);
    this.#tasks.lose(handle, lost, culprit, now);
    this.#owner.emit({
      type: 'thread.down',
      thread: handle.id,
      reason: expected ? 'drained' : reason === 'drained' ? 'exited' : reason,
      ...(error ? { error } : {}),
      cells: cells.map((entry) => entry.id),
      busy: [...busy],
      detectedAfterMs: Math.round(seat.pulse.silentMs(now)),
    });
    for (const { id, count } of mail)
      this.#owner.emit({
        type: 'dead-letter',
        letter: lostMail(this.#options.node, handle.id, id, count, this.#ambient.clock.nowMs()),
      });
    for (const { id, spec } of cells) {
      this.#owner.emit({ type: 'cell.lost', id, incarnation: spec.incarnation, error: lost, busy: busy.has(id) });
    }
    if (expected || handle.dedicatedTo || this.stopping) return;
    this.#failures = calm ? 0 : this.#failures + 1;
    this.#replaceLater();
  }

  /** Its thread is gone. Unless the whole pool ends, its supervisor is given the time of a spawn to start it anew. */
  lose(entry: Entry): void {
    if (this.stopping) this.#directory.delete(entry);
    else this.#directory.lose(entry, this.#options.spawnTimeoutMs);
  }

  /** Always through a timer: a thread that dies at once would otherwise be replaced in a loop without end. */
  #replaceLater(): void {
    const backoff = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** Math.max(0, this.#failures - 1));
    const waitMs = Math.round(backoff * (0.8 + 0.4 * this.#ambient.random()));
    const cancel = this.#ambient.clock.setTimeout(() => {
      this.#timers.delete(cancel);
      if (!this.stopping && this.shared().length < this.target) this.startThread();
    }, waitMs);
    this.#timers.add(cancel);
  }

  #culprit(handle: Thread, reason: DownReason, running: readonly RunningTask[]): RunningTask | undefined {
    if (handle.chaos || (reason !== 'stuck' && reason !== 'exited' && reason !== 'out_of_memory')) return undefined;
    const onStack = this.#tasks.get(handle.life[TASK_ON_STACK] ?? 0);
    if (onStack?.thread === handle) return onStack;
    // Code of a cell outside of its tasks is on the stack: no task did it.
    if ((handle.life[ON_STACK] ?? 0) !== 0) return undefined;
    return running.length === 1 ? running[0] : undefined;
  }

  async endHost(handle: Thread): Promise<void> {
    if (handle.state === 'starting') {
      this.kill(handle, 'drained', wireError('thread_lost', 'the pool is stopping'));
    } else {
      handle.state = 'retiring';
      handle.end();
    }
    const cancel = this.#ambient.clock.setTimeout(
      () => this.kill(handle, 'drained', wireError('thread_lost', 'it did not end when told to')),
      END_TIMEOUT_MS,
    );
    await handle.ended;
    cancel();
  }

  async untilUp(count: number, timeoutMs: number): Promise<void> {
    const up = () => this.shared().filter((handle) => handle.up).length;
    const done = await this.until(() => up() >= count || this.target < count, timeoutMs);
    if (!done) {
      const why = this.#lastFailure ? `; the last failure: ${this.#lastFailure.message}` : '';
      throw new RuntimeError('no_thread_up', `${up()} of ${count} threads came up within ${timeoutMs} ms${why}`);
    }
  }

  /** Resolves with true once the condition holds, looked at whenever a thread comes up; false when the time is over. */
  until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (held: boolean) => {
        this.#upWaiters.delete(look);
        cancel();
        resolve(held);
      };
      const look = () => {
        if (this.stopping) finish(false);
        else if (condition()) finish(true);
      };
      const cancel = this.#ambient.clock.setTimeout(() => finish(false), timeoutMs);
      this.#upWaiters.add(look);
    });
  }

  #watch(): void {
    const now = this.#nowMs();
    const { beatMs, stuckAfterMs, stuckKillMs } = this.#options;
    // A node that stood still (suspended, or its own loop blocked) must not take its threads for stuck.
    const pausedMs = Math.max(0, now - this.#watchedAtMs - 2 * beatMs);
    this.#watchedAtMs = now;
    for (const seat of [...this.#threads.values()]) {
      const { handle, pulse } = seat;
      if (handle.state === 'starting') continue;
      pulse.read(now, pausedMs);
      const running = this.#tasks.of(handle);
      const onStack = this.#tasks.get(handle.life[TASK_ON_STACK] ?? 0);
      const verdict = judge({
        motionlessMs: pulse.motionlessMs(now),
        nowMs: now,
        dueAtMs: running.map((task) => task.dueAtMs),
        onStackDueMs: onStack?.thread === handle ? onStack.dueAtMs : undefined,
        working: running.length > 0 || (handle.life[ON_STACK] ?? 0) !== 0,
        stuckAfterMs,
        stuckKillMs,
      });
      seat.liveness = verdict.liveness;
      // After a pause of this loop the outcomes are still to be read.
      if (pausedMs === 0) for (const task of running) if (now > task.dueAtMs + stuckAfterMs) this.#overdue(task, now);
      if (verdict.liveness === 'stuck' && !pulse.told) this.#tellStuck(seat, running, pulse.motionlessMs(now));
      if (verdict.kill) {
        const message = `the loop of thread ${handle.id} was blocked for ${Math.round(pulse.motionlessMs(now))} ms`;
        this.kill(handle, 'stuck', wireError('thread_stuck', message));
      }
    }
  }

  /**
   * The loop may well turn, yet no outcome came: not at the time limit, not after the grace, nor for as long as a thread may
   * stand still. The attempt is lost, and its cell fails so that a clean one can start.
   */
  #overdue(running: RunningTask, now: number): void {
    const { task, thread, entry, key, startedAtMs } = running;
    const message = `the task ${task.taskId} had no outcome long after its time limit of ${task.timeoutMs} ms`;
    const error = wireError('agent_crashed', message, { taskId: task.taskId });
    thread.link?.control([OVERDUE, entry.slot, key, error]);
    running.settle({ type: 'lost', error, culprit: true, runMs: now - startedAtMs });
  }

  #tellStuck({ handle, pulse }: Seat, running: readonly RunningTask[], sinceMs: number): void {
    pulse.told = true;
    const busy = new Set(running.map(({ entry }) => entry.id));
    const onStack = handle.slots.get(handle.life[ON_STACK] ?? 0);
    if (onStack) busy.add(onStack.id);
    this.#owner.emit({ type: 'thread.stuck', thread: handle.id, sinceMs: Math.round(sinceMs), busy: [...busy] });
  }

  stats(): readonly ThreadStats[] {
    const now = this.#nowMs();
    return [...this.#threads.values()].map(({ handle, pulse, liveness }) => ({
      thread: handle.id,
      cells: handle.slots.size,
      heapBytes: (handle.life[HEAP_KB] ?? 0) * 1_024,
      utilization: (handle.life[UTILIZATION_PERMILLE] ?? 0) / 1_000,
      liveness: handle.state === 'starting' ? 'dead' : liveness,
      lastBeatAgoMs: Math.round(pulse.silentMs(now)),
      messagesIn: (handle.life[MESSAGES_IN] ?? 0) >>> 0,
      messagesOut: (handle.life[MESSAGES_OUT] ?? 0) >>> 0,
      ...(handle.dedicatedTo ? { dedicatedTo: handle.dedicatedTo } : {}),
    }));
  }

  #nowMs(): number {
    return this.#ambient.clock.monotonicMs();
  }
}
