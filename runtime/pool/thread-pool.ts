// The pool of threads as the main thread sees it: starts hosts in Piscina, places cells, carries messages, orders and
// tasks, watches the threads and starts new ones in place of the dead. Supervision of agents is not here: it is told.

import { performance } from 'node:perf_hooks';
import { MessageChannel } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { DeadLetter, TellResult } from '../contracts/envelope.ts';
import { RuntimeError, toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import type { Ambient, Dispose, ThreadPool, ThreadPoolOptions } from '../contracts/ports.ts';
import type { CancelEffect, TaskAssignment, TaskOutcome } from '../contracts/task.ts';
import type {
  CellRequest,
  CellSignal,
  CellSpec,
  CellStarted,
  CellStats,
  PoolNotice,
  ThreadStats,
} from '../contracts/wire.ts';
import type { Residence } from '../transport/control.ts';
import type { Envelope } from '../transport/envelope.ts';
import {
  ABANDON,
  CANCEL,
  HEAP_KB,
  MESSAGES_IN,
  MESSAGES_OUT,
  NOTICES,
  ON_STACK,
  OUTCOME,
  OVERDUE,
  PEER_DOWN,
  REQUEST,
  RESOLVE,
  SETTLED,
  TASK,
  TASK_ON_STACK,
  UNROUTE,
  UTILIZATION_PERMILLE,
} from '../transport/frames.ts';
import type { DataPort, Link } from '../transport/link.ts';
import { Peer, type PeerOwner, type Route } from '../transport/peer.ts';
import { portable } from '../transport/plain.ts';
import { Wheel } from '../transport/wheel.ts';
import { Directory, type Entry, type Thread } from './directory.ts';
import { lostMail } from './lost-mail.ts';
import { type RunningTask, TaskTable } from './task-table.ts';
import { type DownReason, ThreadHandle } from './thread-handle.ts';
import { judge, type Liveness, Pulse } from './watchdog.ts';

/** Longest wait for the threads at the start. */
const START_TIMEOUT_MS = 30_000;
/** Waits before a dead thread is replaced: doubled each time, forgotten after a calm life. */
const RESTART_MIN_MS = 100;
const RESTART_MAX_MS = 5_000;
const CALM_MS = 10_000;
/** From the order to end until a host is cut off. */
const END_TIMEOUT_MS = 5_000;
/** Threads Piscina may hold; hosts are never queued. */
const MAX_THREADS = 4_096;

/** A pool over Piscina. Nothing runs before `start`. */
export function createThreadPool(options: ThreadPoolOptions, ambient: Ambient): ThreadPool {
  return new Pool(options, ambient);
}

interface Seat {
  handle: Thread;
  pulse: Pulse;
  liveness: Liveness;
}

class Pool implements ThreadPool, PeerOwner {
  readonly label: string;
  readonly #options: ThreadPoolOptions;
  readonly #ambient: Ambient;
  readonly #piscina: Piscina;
  readonly #wheel: Wheel;
  readonly #peer: Peer;
  readonly #directory: Directory;
  readonly #tasks = new TaskTable();
  readonly #threads = new Map<number, Seat>();
  readonly #listeners = new Set<(notice: PoolNotice) => void>();
  readonly #upWaiters = new Set<() => void>();
  readonly #timers = new Set<Dispose>();
  #target: number;
  #lastThread = 0;
  #failures = 0;
  #lastFailure: WireError | undefined;
  #stopping = false;
  #watching: Dispose | null = null;
  #watchedAtMs = 0;

  constructor(options: ThreadPoolOptions, ambient: Ambient) {
    this.#options = options;
    this.#ambient = ambient;
    this.#target = options.threads;
    this.label = `${options.node}.0`;
    this.#wheel = new Wheel(ambient.clock);
    this.#directory = new Directory(ambient.clock);
    this.#peer = new Peer(this, this.#wheel, {
      atEnd: (fn) => process.nextTick(fn),
      later: (fn) => void setImmediate(fn),
      nowMs: () => performance.timeOrigin + performance.now(),
    });
    this.#piscina = createPiscina(options);
    // A worker that fails without a task, or while it boots, is told here only; its host promise tells the rest.
    this.#piscina.on('error', (error) => this.#bootFailed(error));
  }

  // ---- threads --------------------------------------------------------------------------------------------------------------

  async start(): Promise<void> {
    this.#watchedAtMs = this.#nowMs();
    this.#watching = this.#ambient.clock.setInterval(() => this.#watch(), this.#options.beatMs);
    for (let count = 0; count < this.#target; count++) this.#startThread();
    try {
      await this.#untilUp(this.#target, START_TIMEOUT_MS);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async resize(threads: number): Promise<void> {
    if (!Number.isInteger(threads) || threads < 1) {
      throw new RuntimeError('invalid_input', `the number of threads must be a positive integer, not ${threads}`);
    }
    this.#target = threads;
    const shared = this.#shared();
    for (let count = shared.length; count < threads; count++) this.#startThread();
    const surplus = shared
      .filter((handle) => handle.up)
      .sort((a, b) => a.load - b.load)
      .slice(0, Math.max(0, shared.length - threads));
    for (const handle of surplus) handle.state = 'retiring';
    await Promise.all(surplus.map((handle) => this.#retire(handle)));
    if (threads > shared.length) await this.#untilUp(threads, START_TIMEOUT_MS);
  }

  killThread(thread: number, how: 'terminate' | 'exit' | 'throw' | 'spin' | 'oom'): void {
    const handle = this.#threads.get(thread)?.handle;
    if (!handle) throw new RuntimeError('thread_lost', `there is no thread ${thread}`, { details: { thread } });
    handle.chaos = true;
    if (how === 'terminate') this.#kill(handle, 'exited', wireError('thread_lost', 'terminated on purpose'));
    else handle.die(how);
  }

  async stop(): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    this.#watching?.();
    for (const cancel of this.#timers) cancel();
    for (const wake of [...this.#upWaiters]) wake();
    this.#directory.stop();
    const handles = [...this.#threads.values()].map((seat) => seat.handle);
    await Promise.all(handles.map((handle) => this.#endHost(handle)));
    this.#peer.stop();
    this.#wheel.stop();
    await this.#piscina.destroy();
  }

  #shared(): Thread[] {
    return [...this.#threads.values()]
      .map((seat) => seat.handle)
      .filter((handle) => !handle.dedicatedTo && handle.state !== 'retiring' && handle.state !== 'down');
  }

  #startThread(dedicatedTo?: AgentId): Thread {
    const { node, beatMs, graceMs } = this.#options;
    const { clock } = this.#ambient;
    const handle = new ThreadHandle<Entry>({ id: ++this.#lastThread, node, beatMs, graceMs, clock, dedicatedTo });
    handle.link = this.#peer.connect(handle.id, handle.data as DataPort);
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
        if (handle.state === 'starting') this.#kill(handle, 'exited', toWireError(error));
      });
    return handle;
  }

  /** A worker died before it had its host task, which Piscina would now leave queued for ever. */
  #bootFailed(thrown: unknown): void {
    const error = toWireError(thrown);
    this.#ambient.log.warn('a thread failed', { error });
    this.#lastFailure = error;
    for (const { handle } of this.#threads.values()) {
      if (handle.state === 'starting') this.#kill(handle, 'threw', error);
    }
  }

  #up(seat: Seat): void {
    const { handle } = seat;
    if (handle.state !== 'starting') return;
    handle.state = 'up';
    handle.upAtMs = this.#nowMs();
    seat.pulse = new Pulse(handle.life, handle.upAtMs);
    const { id, dedicatedTo } = handle;
    this.#emit({ type: 'thread.up', thread: id, ...(dedicatedTo ? { dedicatedTo } : {}) });
    for (const wake of [...this.#upWaiters]) wake();
  }

  /** Ends a thread at once. */
  #kill(handle: Thread, as: DownReason, error: WireError): void {
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
    const cells = [...handle.slots.values()].filter((entry) => entry.phase === 'up' || entry.phase === 'moving');
    const lost = error ?? wireError('thread_lost', `thread ${handle.id} has ended`);
    const culprit = this.#culprit(handle, reason, running);
    const calm = handle.upAtMs > 0 && now - handle.upAtMs > CALM_MS;
    const expected = reason === 'drained' && (handle.state === 'retiring' || this.#stopping);
    for (const entry of [...handle.slots.values()]) this.#lose(entry);
    handle.close();
    for (const { handle: other } of this.#threads.values()) other.link?.control([PEER_DOWN, handle.id]);
    this.#tasks.lose(handle, lost, culprit, now);
    this.#emit({
      type: 'thread.down',
      thread: handle.id,
      reason: expected ? 'drained' : reason === 'drained' ? 'exited' : reason,
      ...(error ? { error } : {}),
      cells: cells.map((entry) => entry.id),
      busy: [...busy],
      detectedAfterMs: Math.round(seat.pulse.silentMs(now)),
    });
    for (const { id, count } of mail)
      this.deadLetter(lostMail(this.#options.node, handle.id, id, count, this.#ambient.clock.nowMs()));
    for (const { id, spec } of cells) {
      this.#emit({ type: 'cell.lost', id, incarnation: spec.incarnation, error: lost, busy: busy.has(id) });
    }
    if (expected || handle.dedicatedTo || this.#stopping) return;
    this.#failures = calm ? 0 : this.#failures + 1;
    this.#replaceLater();
  }

  /** Its thread is gone. Unless the whole pool ends, its supervisor is given the time of a spawn to start it anew. */
  #lose(entry: Entry): void {
    if (this.#stopping) this.#directory.delete(entry);
    else this.#directory.lose(entry, this.#options.spawnTimeoutMs);
  }

  /** Always through a timer: a thread that dies at once would otherwise be replaced in a loop without end. */
  #replaceLater(): void {
    const backoff = Math.min(RESTART_MAX_MS, RESTART_MIN_MS * 2 ** Math.max(0, this.#failures - 1));
    const waitMs = Math.round(backoff * (0.8 + 0.4 * this.#ambient.random()));
    const cancel = this.#ambient.clock.setTimeout(() => {
      this.#timers.delete(cancel);
      if (!this.#stopping && this.#shared().length < this.#target) this.#startThread();
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

  async #endHost(handle: Thread): Promise<void> {
    if (handle.state === 'starting') {
      this.#kill(handle, 'drained', wireError('thread_lost', 'the pool is stopping'));
    } else {
      handle.state = 'retiring';
      handle.end();
    }
    const cancel = this.#ambient.clock.setTimeout(
      () => this.#kill(handle, 'drained', wireError('thread_lost', 'it did not end when told to')),
      END_TIMEOUT_MS,
    );
    await handle.ended;
    cancel();
  }

  async #untilUp(count: number, timeoutMs: number): Promise<void> {
    const up = () => this.#shared().filter((handle) => handle.up).length;
    const done = await this.#until(() => up() >= count || this.#target < count, timeoutMs);
    if (!done) {
      const why = this.#lastFailure ? `; the last failure: ${this.#lastFailure.message}` : '';
      throw new RuntimeError('no_thread_up', `${up()} of ${count} threads came up within ${timeoutMs} ms${why}`);
    }
  }

  /** Resolves with true once the condition holds, looked at whenever a thread comes up; false when the time is over. */
  #until(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const finish = (held: boolean) => {
        this.#upWaiters.delete(look);
        cancel();
        resolve(held);
      };
      const look = () => {
        if (this.#stopping) finish(false);
        else if (condition()) finish(true);
      };
      const cancel = this.#ambient.clock.setTimeout(() => finish(false), timeoutMs);
      this.#upWaiters.add(look);
    });
  }

  // ---- liveness ---------------------------------------------------------------------------------------------------------------

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
        this.#kill(handle, 'stuck', wireError('thread_stuck', message));
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
    this.#emit({ type: 'thread.stuck', thread: handle.id, sinceMs: Math.round(sinceMs), busy: [...busy] });
  }

  threadStats(): readonly ThreadStats[] {
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

  // ---- cells ------------------------------------------------------------------------------------------------------------------

  async spawn(spec: CellSpec, place: { readonly thread?: number; readonly dedicated: boolean }): Promise<CellStarted> {
    if (this.#stopping) throw new RuntimeError('no_thread_up', 'the pool is stopping');
    const former = this.#directory.get(spec.id);
    if (former && former.phase !== 'failed') {
      throw new RuntimeError('internal', `${spec.id} is ${former.phase} already`, { details: { id: spec.id } });
    }
    const inPlace = former?.thread?.up === true && !this.#retiring(former.thread);
    const wanted = place.thread ?? (inPlace ? former?.thread?.id : undefined);
    const stays = inPlace && wanted === former?.thread?.id;
    const before = stays && former?.thread ? { thread: former.thread, slot: former.slot } : null;
    if (former) this.#leave(former, stays);
    const entry: Entry = {
      id: spec.id,
      spec,
      phase: 'starting',
      thread: null,
      slot: 0,
      state: 'created',
      dedicated: place.dedicated,
      before,
    };
    this.#directory.set(entry);
    const thread = await this.#launch(entry, wanted);
    return { id: spec.id, incarnation: spec.incarnation, thread };
  }

  #retiring(handle: Thread): boolean {
    return handle.state === 'retiring';
  }

  /** A new incarnation takes over from a failed one: in place it finds its mailbox, elsewhere the old mailbox is closed. */
  #leave(former: Entry, inPlace: boolean): void {
    const { thread } = former;
    this.#directory.delete(former);
    if (!thread || inPlace) return;
    this.#order(thread, { op: 'stop', id: former.id, mode: 'stop', timeoutMs: 0, moving: false }, 1_000).catch(
      () => {},
    );
    if (thread.dedicatedTo) void this.#endHost(thread);
  }

  /** Places an entry and starts its cell; resolves with the thread. The entry is gone when it rejects. */
  async #launch(entry: Entry, wanted: number | undefined): Promise<number> {
    const startedAt = this.#nowMs();
    const left = () => Math.max(1, this.#options.spawnTimeoutMs - (this.#nowMs() - startedAt));
    const late = () =>
      new RuntimeError('spawn_timeout', `${entry.id} did not start within ${this.#options.spawnTimeoutMs} ms`, {
        details: { id: entry.id },
      });
    let handle: Thread | undefined;
    try {
      handle = await this.#pick(entry, wanted, left, late);
      const chosen = handle;
      try {
        // The entry is settled in the turn of the answer: what the cell tells next finds it in place.
        await chosen.order({ op: 'spawn', spec: entry.spec }, { timeoutMs: left(), late }, (slot) =>
          this.#settleEntry(entry, chosen, slot as Residence),
        );
      } finally {
        chosen.placing--;
      }
      return chosen.id;
    } catch (error) {
      const code = error instanceof RuntimeError ? error.code : undefined;
      if (code === 'thread_lost') this.#lose(entry);
      else if (code === 'spawn_timeout' || !this.#failBack(entry)) this.#directory.delete(entry);
      if (handle?.up && code === 'spawn_timeout') {
        this.#order(handle, { op: 'stop', id: entry.id, mode: 'stop', timeoutMs: 0, moving: false }, 1_000).catch(
          () => {},
        );
      }
      if (handle?.dedicatedTo) void this.#endHost(handle);
      throw error;
    }
  }

  /** A restart in place that did not come up: the mailbox waits on for the next one. False when there is none. */
  #failBack(entry: Entry): boolean {
    const { id, before } = entry;
    if (!before?.thread.up || this.#directory.get(id) !== entry) return false;
    entry.phase = 'failed';
    entry.thread = before.thread;
    entry.slot = before.slot;
    before.thread.slots.set(before.slot, entry);
    this.#directory.changed(id);
    return true;
  }

  #settleEntry(entry: Entry, handle: Thread, { slot, meter }: Residence): void {
    if (this.#directory.get(entry.id) !== entry) {
      // Stopped or timed out meanwhile.
      this.#order(handle, { op: 'stop', id: entry.id, mode: 'stop', timeoutMs: 0, moving: false }, 1_000).catch(
        () => {},
      );
      return;
    }
    entry.thread = handle;
    entry.slot = slot;
    entry.phase = 'up';
    handle.slots.set(slot, entry);
    if (meter > 0) handle.meters.set(meter, entry.id);
    this.#directory.changed(entry.id);
  }

  async #pick(entry: Entry, wanted: number | undefined, left: () => number, late: () => RuntimeError): Promise<Thread> {
    const given = wanted === undefined ? undefined : this.#threads.get(wanted)?.handle;
    if (given?.up && (!given.dedicatedTo || given.dedicatedTo === entry.id)) return reserve(given);
    if (entry.dedicated) {
      const own = this.#startThread(entry.id);
      if (await this.#until(() => own.state !== 'starting', left())) {
        if (own.up) return reserve(own);
        throw new RuntimeError('thread_lost', `the thread of ${entry.id} died while it started`);
      }
      this.#kill(own, 'drained', wireError('spawn_timeout', 'it did not come up in time'));
      throw this.#stopping ? new RuntimeError('no_thread_up', 'the pool is stopping') : late();
    }
    const free = () => this.#shared().filter((handle) => handle.up);
    if (free().length === 0 && !(await this.#until(() => free().length > 0, left()))) {
      throw this.#stopping ? new RuntimeError('no_thread_up', 'the pool is stopping') : late();
    }
    const [first, ...others] = free();
    if (!first) throw late();
    return reserve(others.reduce((best, handle) => (handle.load < best.load ? handle : best), first));
  }

  #order(handle: Thread, order: Parameters<Thread['order']>[0], timeoutMs: number): Promise<unknown> {
    const late = () =>
      new RuntimeError('thread_stuck', `thread ${handle.id} did not answer within ${timeoutMs} ms`, {
        details: { thread: handle.id },
      });
    return handle.order(order, { timeoutMs, late });
  }

  async stopCell(id: AgentId, mode: 'drain' | 'stop', timeoutMs: number): Promise<void> {
    const entry = this.#directory.get(id);
    if (!entry) {
      this.#directory.giveUp(id);
      return;
    }
    if (entry.phase === 'starting' || entry.phase === 'moving') {
      await new Promise<void>((resolve) => this.#directory.find(id, undefined, timeoutMs, () => resolve()));
      if (this.#directory.get(id) !== entry) return;
    }
    const { thread } = entry;
    try {
      // The host ends within the time; the grace is for the way there and for its `stop`.
      const patience = timeoutMs * 2 + this.#options.graceMs;
      if (thread) await this.#order(thread, { op: 'stop', id, mode, timeoutMs, moving: false }, patience);
    } catch (error) {
      this.#ambient.log.warn('a cell did not stop in time', { id, error: toWireError(error) });
    }
    this.#gone(entry);
  }

  /** An actor has ended for good. */
  #gone(entry: Entry): void {
    const { thread } = entry;
    this.#directory.delete(entry);
    if (!thread) return;
    for (const { handle } of this.#threads.values()) handle.link?.control([UNROUTE, entry.id, thread.id]);
    if (thread.dedicatedTo === entry.id && thread.up) void this.#endHost(thread);
  }

  async signal(id: AgentId, signal: CellSignal): Promise<void> {
    const entry = await this.#settled(id);
    await this.#order(entry.thread, { op: 'signal', id, signal }, this.#options.spawnTimeoutMs);
    if (signal.type !== 'configure') return;
    const { config, capabilities } = signal;
    entry.entry.spec = {
      ...entry.entry.spec,
      ...(config ? { config } : {}),
      ...(capabilities ? { capabilities } : {}),
    };
  }

  async snapshot(id: AgentId): Promise<unknown> {
    const entry = await this.#settled(id);
    return this.#order(entry.thread, { op: 'snapshot', id }, this.#options.spawnTimeoutMs);
  }

  async #settled(id: AgentId): Promise<{ readonly entry: Entry; readonly thread: Thread }> {
    const { spawnTimeoutMs } = this.#options;
    const place = await new Promise((resolve: (place: ReturnType<Directory['place']>) => void) =>
      this.#directory.find(id, undefined, spawnTimeoutMs, resolve),
    );
    const entry = this.#directory.get(id);
    if (!place || !entry) {
      throw new RuntimeError('actor_not_found', `no actor ${id} lives on this node`, { details: { id } });
    }
    return { entry, thread: place.thread };
  }

  async cellStats(): Promise<readonly CellStats[]> {
    const handles = [...this.#threads.values()].map((seat) => seat.handle).filter((handle) => handle.up);
    const answers = await Promise.allSettled(
      handles.map((handle) => this.#order(handle, { op: 'stats' }, this.#options.stuckAfterMs)),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value as CellStats[]) : []));
  }

  /**
   * Empties a thread and ends it: each cell finishes its mailbox and its tasks, goes on elsewhere as the same incarnation
   * from its snapshot, and what is sent to it meanwhile follows it in order.
   */
  async #retire(handle: Thread): Promise<void> {
    await Promise.all([...handle.slots.values()].map((entry) => this.#move(entry, handle)));
    await this.#endHost(handle);
  }

  async #move(entry: Entry, from: Thread): Promise<void> {
    if (entry.phase === 'failed') {
      this.#gone(entry);
      return;
    }
    if (entry.phase !== 'up') return;
    entry.phase = 'moving';
    const { id, spec } = entry;
    const now = this.#nowMs();
    const longest = Math.max(0, ...this.#tasks.of(from).map((task) => task.dueAtMs - now));
    const timeoutMs = longest + this.#options.spawnTimeoutMs;
    try {
      const restored = await this.#order(
        from,
        { op: 'stop', id, mode: 'drain', timeoutMs, moving: true },
        timeoutMs * 2,
      );
      if (this.#directory.get(id) !== entry) return;
      from.slots.delete(entry.slot);
      entry.thread = null;
      entry.spec = { ...spec, restored: restored ?? undefined, paused: entry.state === 'paused' };
      const thread = await this.#launch(entry, undefined);
      this.#options.onMoved?.(id, from.id, thread);
    } catch (error) {
      this.#directory.delete(entry);
      const lost = toWireError(error);
      this.#emit({ type: 'cell.lost', id, incarnation: spec.incarnation, error: lost, busy: false });
    }
  }

  // ---- messages ---------------------------------------------------------------------------------------------------------------

  tell(to: AgentId, type: string, body: unknown, options: Parameters<ThreadPool['tell']>[3] = {}): Promise<TellResult> {
    const { from, traceparent, protocol } = options;
    const meta =
      traceparent || (protocol && protocol !== 'direct')
        ? { ...(traceparent ? { traceparent } : {}), ...(protocol ? { protocol } : {}) }
        : null;
    return this.#peer.tellConfirmed(to, type, body, { from, fromSlot: 0, meta });
  }

  ask(to: AgentId, type: string, body: unknown, options: Parameters<ThreadPool['ask']>[3]): Promise<unknown> {
    const { timeoutMs, signal, traceparent } = options;
    const meta = traceparent ? { traceparent } : null;
    return this.#peer.ask(to, type, body, { from: undefined, fromSlot: 0, meta, timeoutMs, signal });
  }

  deliverLocally(_envelope: Envelope): boolean {
    return false;
  }

  deliver(): void {
    // Nothing lives on the main thread: no slot of it is ever given out.
  }

  route(id: AgentId): Route | undefined {
    const place = this.#directory.place(id);
    return place?.thread.link ? { link: place.thread.link, slot: place.slot } : undefined;
  }

  resolve(id: AgentId, stale: Route | undefined): void {
    const left = stale && { thread: stale.link.peer, slot: stale.slot };
    this.#directory.find(id, left, this.#options.spawnTimeoutMs, (_place, why) => this.#peer.resolved(id, why));
  }

  operation(link: Link, flat: readonly unknown[], at: number): void {
    const handle = this.#threads.get(link.peer)?.handle;
    if (!handle) return;
    switch (flat[at]) {
      case NOTICES:
        for (const notice of flat[at + 1] as readonly PoolNotice[]) this.#noticed(handle, notice);
        break;
      case SETTLED:
        handle.settled(flat[at + 1] as number, flat[at + 2] as boolean, flat[at + 3]);
        break;
      case OUTCOME:
        this.#tasks.settle(flat[at + 1] as number, flat[at + 2] as TaskOutcome);
        break;
      case REQUEST:
        this.#request(handle, link, flat[at + 1] as number, flat[at + 2] as number, flat[at + 3] as CellRequest);
        break;
      case RESOLVE: {
        const stale = { thread: flat[at + 3] as number, slot: flat[at + 4] as number };
        this.#locate(handle, flat[at + 1] as number, flat[at + 2] as AgentId, stale);
      }
    }
  }

  #request(handle: Thread, link: Link, correlation: number, slot: number, request: CellRequest): void {
    const entry = handle.slots.get(slot);
    const answer = entry
      ? this.#options.onRequest(entry.id, request)
      : Promise.reject(new RuntimeError('actor_not_found', 'the agent that asks is not known yet or not any more'));
    answer.then(
      (value) => this.#peer.reply(correlation, link, value),
      (error) => this.#peer.replyError(correlation, link, toWireError(error)),
    );
  }

  /** Answers where an actor lives, once the two threads are joined by a port of their own. */
  #locate(
    asker: Thread,
    correlation: number,
    id: AgentId,
    stale: { readonly thread: number; readonly slot: number },
  ): void {
    this.#directory.find(id, stale, this.#options.spawnTimeoutMs, (place, why) => {
      if (!asker.link?.open) return;
      if (place && place.thread !== asker) this.#join(asker, place.thread);
      this.#peer.reply(correlation, asker.link, place ? { thread: place.thread.id, slot: place.slot } : why);
    });
  }

  readonly #joined = new Map<Thread, Set<Thread>>();

  #join(a: Thread, b: Thread): void {
    const ofA = this.#joined.get(a) ?? new Set();
    if (ofA.has(b)) return;
    const ofB = this.#joined.get(b) ?? new Set();
    this.#joined.set(a, ofA.add(b));
    this.#joined.set(b, ofB.add(a));
    const { port1, port2 } = new MessageChannel();
    a.link?.post({ link: b.id, port: port1 }, [port1]);
    b.link?.post({ link: a.id, port: port2 }, [port2]);
  }

  other(): void {
    // Threads send main nothing but frames.
  }

  down(link: Link): void {
    for (const handle of this.#joined.keys()) {
      if (handle.id !== link.peer) continue;
      for (const other of this.#joined.get(handle) ?? []) this.#joined.get(other)?.delete(handle);
      this.#joined.delete(handle);
    }
  }

  frameEnded(): void {}
  unpaused(): void {}
  undelivered(): void {}

  deadLetter(letter: DeadLetter): void {
    this.#emit({ type: 'dead-letter', letter });
  }

  // ---- tasks ------------------------------------------------------------------------------------------------------------------

  async runTask(agent: AgentId, task: TaskAssignment): Promise<TaskOutcome> {
    const entry = this.#directory.get(agent);
    const thread = entry?.thread;
    if (!entry || !thread?.link || entry.phase !== 'up' || thread.state === 'down') {
      return { type: 'released', reason: entry ? `agent_${entry.phase}` : 'agent_gone' };
    }
    let carried: ReturnType<typeof portable>;
    try {
      carried = portable(task);
    } catch (error) {
      return { type: 'failed', error: wireError('not_cloneable', toWireError(error).message), runMs: 0 };
    }
    const { link } = thread;
    const { graceMs } = this.#options;
    const facts = { task, entry, thread, nowMs: this.#nowMs(), graceMs };
    return this.#tasks.run(facts, (key) => link.control([TASK, entry.slot, key, carried.value], carried.plain));
  }

  async cancelTask(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect> {
    const running = this.#tasks.find(taskId, fence);
    if (!running) return { how: 'not_running', collateral: [] };
    running.cancelling ??= this.#cancel(running, graceMs);
    return running.cancelling;
  }

  async #cancel(running: RunningTask, graceMs: number): Promise<CancelEffect> {
    const { thread, entry, key, startedAtMs } = running;
    const { link } = thread;
    link?.control([CANCEL, key]);
    if (await this.#inTime(running.ended, graceMs)) return { how: 'cooperative', collateral: [] };
    const cancelled = () => running.settle({ type: 'cancelled', runMs: this.#nowMs() - startedAtMs });
    if (!thread.dedicatedTo && link?.open) {
      const { stuckAfterMs } = this.#options;
      const answer = await this.#peer.asks
        .open({ to: entry.id, type: 'abandon' }, stuckAfterMs, undefined, (correlation) => {
          this.#peer.asks.sentTo(correlation, thread.id);
          link.control([ABANDON, key, correlation]);
        })
        .catch(() => undefined);
      if (answer === true) {
        cancelled();
        return { how: 'abandoned', collateral: [] };
      }
      if (answer === false || !this.#tasks.has(running)) return { how: 'cooperative', collateral: [] };
    }
    // Its own thread, or a loop that does not turn: the thread has to go, and whoever lives there goes with it.
    const collateral = [...thread.slots.values()].map(({ id }) => id).filter((id) => id !== entry.id);
    cancelled();
    this.#kill(thread, 'stuck', wireError('thread_stuck', `ended to cancel the task ${running.task.taskId}`));
    await thread.ended;
    return { how: 'killed', collateral };
  }

  /** Whether it ends within the time. */
  #inTime(ended: Promise<void>, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const cancel = this.#ambient.clock.setTimeout(() => resolve(false), timeoutMs);
      ended.then(() => {
        cancel();
        resolve(true);
      });
    });
  }

  // ---- notices ----------------------------------------------------------------------------------------------------------------

  onNotice(listener: (notice: PoolNotice) => void): Dispose {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #noticed(handle: Thread, notice: PoolNotice): void {
    switch (notice.type) {
      case 'cell.transition': {
        const entry = this.#directory.get(notice.id);
        if (entry && entry.spec.incarnation === notice.incarnation) entry.state = notice.to;
        break;
      }
      case 'cell.failed': {
        const entry = this.#directory.get(notice.id);
        if (entry?.thread !== handle || entry.spec.incarnation !== notice.incarnation) break;
        entry.phase = 'failed';
        this.#emit(notice);
        // A handler it gave up on may still run there; its thread has no other purpose.
        if (handle.dedicatedTo && this.#directory.get(notice.id) === entry) {
          this.#lose(entry);
          this.#kill(handle, 'drained', notice.error);
        }
        return;
      }
      case 'cell.done': {
        const entry = this.#directory.get(notice.id);
        if (entry?.thread === handle) this.#gone(entry);
      }
    }
    this.#emit(notice);
  }

  #emit(notice: PoolNotice): void {
    for (const listener of this.#listeners) {
      try {
        listener(notice);
      } catch (error) {
        this.#ambient.log.error('a listener of the pool threw', { notice: notice.type, error: toWireError(error) });
      }
    }
  }

  #nowMs(): number {
    return this.#ambient.clock.monotonicMs();
  }
}

/** Counts a spawn before it is under way, so that those of one turn spread. */
function reserve(handle: Thread): Thread {
  handle.placing++;
  return handle;
}

function reasonOf(error: unknown): DownReason {
  const { code, message } = (error ?? {}) as { code?: unknown; message?: unknown };
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return 'out_of_memory';
  return typeof message === 'string' && message.startsWith('worker exited') ? 'exited' : 'threw';
}

/** The same entry file in development (tsx) and from dist. `execArgv` is pinned, so that flags of a test runner stay out. */
function createPiscina({ maxOldGenerationSizeMb, env }: ThreadPoolOptions): Piscina {
  const typescript = import.meta.url.endsWith('.ts');
  const entry = new URL(`../thread/entry.${typescript ? 'ts' : 'js'}`, import.meta.url);
  const kept: Record<string, string> = { ...env };
  for (const name of ['NODE_ENV', 'TZ', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] ??= value;
  }
  return new Piscina({
    filename: entry.href,
    name: 'host',
    atomics: 'disabled',
    minThreads: 0,
    maxThreads: MAX_THREADS,
    idleTimeout: 0,
    concurrentTasksPerWorker: 1,
    recordTiming: false,
    resourceLimits: { maxOldGenerationSizeMb },
    env: kept,
    execArgv: typescript ? ['--import', new URL('./register-typescript.mjs', import.meta.url).href] : [],
  });
}
