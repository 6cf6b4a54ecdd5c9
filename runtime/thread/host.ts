// All cells of one thread: delivers messages, runs behaviours fairly, carries out what main orders, tells main what happens.
// It touches no port and no clock itself: entry.ts hands them in.

import type { AgentState } from '../contracts/agent.ts';
import type { DeadLetter, DeadLetterReason, Message } from '../contracts/envelope.ts';
import { RuntimeError, toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { TaskAssignment } from '../contracts/task.ts';
import type { CellSignal, CellSpec } from '../contracts/wire.ts';
import type { ControlOp } from '../transport/control.ts';
import { Delivered, type Envelope, letterOf } from '../transport/envelope.ts';
import {
  ABANDON,
  BEAT,
  CANCEL,
  CELLS,
  FORGET,
  GRANT,
  HEAP_KB,
  type Introduction,
  MESSAGES_IN,
  MESSAGES_OUT,
  NACK,
  NACK_REASONS,
  type NackReason,
  NOTICES,
  ON_STACK,
  OUTCOME,
  OVERDUE,
  PAUSE,
  PEER_DOWN,
  PROGRESS,
  RESOLVE,
  SETTLED,
  TASK,
  TASK_ON_STACK,
  UNROUTE,
  UTILIZATION_PERMILLE,
} from '../transport/frames.ts';
import type { DataPort, Link, Turn } from '../transport/link.ts';
import { Peer, type PeerOwner, type Route } from '../transport/peer.ts';
import { isPlain, portable } from '../transport/plain.ts';
import { Queue } from '../transport/queue.ts';
import { Wheel, type WheelClock } from '../transport/wheel.ts';
import { Cell, type Scope } from './cell.ts';
import { crashedError, createCellContext } from './cell-context.ts';
import { Meters } from './meters.ts';
import { OutgoingNotices } from './outgoing-notices.ts';
import { type LoadModule, Registry } from './registry.ts';
import { TaskRuns } from './task-runs.ts';

/** Asynchronous context, as AsyncLocalStorage gives it. */
export interface ScopeStore {
  getStore(): Scope | undefined;
  enterWith(scope: Scope | undefined): void;
  run<T>(scope: Scope, fn: () => T): T;
}

export interface HostEnv {
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly clock: WheelClock;
  readonly turn: Turn;
  readonly scope: ScopeStore;
  readonly load: LoadModule;
  /** Heap in bytes and utilization of the loop since the last call. */
  readonly usage: () => { readonly heapBytes: number; readonly utilization: number };
}

export interface HostOptions {
  readonly thread: number;
  readonly node: string;
  readonly graceMs: number;
  readonly life: Int32Array;
  readonly depths: Int32Array;
}

/** Messages one cell handles before the next has its turn. */
const VISIT = 64;
/** Messages of one turn of the event loop; then ports and timers come first again. */
const TURN_BUDGET = 4_096;
const RESOLVE_TIMEOUT_MS = 60_000;
const MAX_ROUTES = 65_536;
const SWEEP_OPEN_ASKS = 1_024;

export class Host implements PeerOwner {
  readonly thread: number;
  readonly node: string;
  readonly label: string;
  readonly env: HostEnv;
  readonly graceMs: number;
  readonly peer: Peer;
  readonly main: Link;
  readonly notices: OutgoingNotices;
  readonly #life: Int32Array;
  readonly #meters: Meters;
  readonly #wheel: Wheel;
  readonly #registry: Registry;
  readonly #tasks: TaskRuns;
  readonly #cells = new Map<AgentId, Cell>();
  readonly #slots = new Map<number, Cell>();
  readonly #routes = new Map<AgentId, Route>();
  readonly #ready = new Queue<Cell>();
  #nextSlot = 0;
  /** The cell whose code is on the stack. */
  #onStack: Cell | null = null;
  /** The asynchronous context entered last. */
  #entered: Cell | null = null;
  #inFrame = false;
  #runScheduled = false;
  /** Messages handled from mailboxes since the event loop last turned. */
  #spent = 0;
  #confirmations: NonNullable<Envelope['confirm']>[] = [];

  constructor({ thread, node, graceMs, life, depths }: HostOptions, env: HostEnv, main: DataPort) {
    this.thread = thread;
    this.node = node;
    this.label = `${node}.${thread}`;
    this.env = env;
    this.graceMs = graceMs;
    this.#life = life;
    this.#meters = new Meters(depths);
    this.#wheel = new Wheel(env.clock);
    this.#registry = new Registry(env.load);
    this.peer = new Peer(this, this.#wheel, env.turn);
    this.main = this.peer.connect(0, main);
    this.notices = new OutgoingNotices(thread, {
      send: (notices, plain) => this.main.control([NOTICES, notices], plain),
      atEnd: env.turn.atEnd,
      nowMs: () => env.clock.monotonicMs(),
      setTimeout: env.clock.setTimeout,
    });
    this.#tasks = new TaskRuns(
      {
        graceMs,
        nowMs: () => env.clock.monotonicMs(),
        outcome: (key, outcome, plain) => this.main.control([OUTCOME, key, outcome], plain),
        within: (cell, task, fn) => this.within(cell, task, fn),
        fail: (cell, error) => this.fail(cell, error),
      },
      this.#wheel,
    );
  }

  /** Shows main that the loop turns, and what it uses. */
  beat(): void {
    const { heapBytes, utilization } = this.env.usage();
    this.#life[HEAP_KB] = Math.round(heapBytes / 1_024);
    this.#life[UTILIZATION_PERMILLE] = Math.round(utilization * 1_000);
    this.#life[MESSAGES_IN] = this.peer.messagesIn | 0;
    this.#life[MESSAGES_OUT] = this.peer.messagesOut | 0;
    this.#life[CELLS] = this.#cells.size;
    Atomics.add(this.#life, BEAT, 1);
  }

  // ---- control plane --------------------------------------------------------------------------------------------------------

  perform(ops: readonly ControlOp[]): void {
    for (const op of ops) {
      switch (op.op) {
        case 'spawn':
          this.#spawn(op.call, op.spec);
          break;
        case 'stop':
          this.#answer(op.call, this.#stop(op));
          break;
        case 'signal':
          this.#answer(op.call, this.#signal(op.id, op.signal));
          break;
        case 'snapshot':
          this.#answer(op.call, this.#snapshot(op.id));
          break;
        case 'stats':
          this.#settle(
            op.call,
            [...this.#cells.values()].map((cell) => cell.stats(this.env.clock.monotonicMs())),
          );
      }
    }
  }

  #answer(call: number, promise: Promise<unknown>): void {
    promise.then(
      (value) => this.#settle(call, value),
      (error) => this.#reject(call, toWireError(error)),
    );
  }

  #settle(call: number, value: unknown): void {
    this.notices.flush();
    try {
      const carried = portable(value ?? null);
      this.main.control([SETTLED, call, true, carried.value], carried.plain);
    } catch (error) {
      this.#reject(call, wireError('not_cloneable', toWireError(error).message));
    }
  }

  #reject(call: number, error: WireError): void {
    this.notices.flush();
    this.main.control([SETTLED, call, false, error], isPlain(error));
  }

  #spawn(call: number, spec: CellSpec): void {
    const present = this.#cells.get(spec.id);
    if (present && present.phase !== 'failed') {
      this.#reject(call, wireError('internal', `${spec.id} lives in thread ${this.thread} already`));
      return;
    }
    const slot = present?.slot ?? ++this.#nextSlot;
    const meter = present?.meter ?? this.#meters.take();
    const cell = new Cell(spec, slot, meter, this.env.clock.monotonicMs(), present);
    if (present) present.phase = 'ended';
    this.#cells.set(spec.id, cell);
    this.#slots.set(cell.slot, cell);
    let started: void | Promise<void>;
    try {
      const definition = this.#registry.get(spec.module);
      started =
        definition instanceof Promise
          ? definition.then((loaded) => this.#begin(cell, loaded))
          : this.#begin(cell, definition);
    } catch (error) {
      this.#startFailed(call, cell, present !== undefined, error);
      return;
    }
    if (!(started instanceof Promise)) {
      this.#started(call, cell);
      return;
    }
    started.then(
      () => this.#started(call, cell),
      (error) => this.#startFailed(call, cell, present !== undefined, error),
    );
  }

  #begin(cell: Cell, definition: { create(context: ReturnType<typeof createCellContext>): Cell['behavior'] & object }) {
    if (cell.phase !== 'starting') throw new RuntimeError('agent_stopped', 'stopped while it started');
    return this.within(cell, 0, () => {
      const behavior = definition.create(createCellContext(this, cell));
      cell.behavior = behavior;
      return behavior.start();
    });
  }

  #started(call: number, cell: Cell): void {
    if (cell.phase !== 'starting') {
      this.#reject(call, wireError('init_failed', 'it failed or was stopped while it started'));
      return;
    }
    cell.phase = 'active';
    this.#settle(call, { slot: cell.slot, meter: cell.meter });
    if (cell.mailbox.length > 0) this.#schedule(cell);
  }

  #startFailed(call: number, cell: Cell, restart: boolean, thrown: unknown): void {
    const given = toWireError(thrown, 'init_failed');
    const typed = given.code === 'not_a_module' || given.code === 'init_failed';
    const message = `${cell.spec.type} ${cell.spec.name} did not start: ${given.message}`;
    const error = typed
      ? given
      : { ...wireError('init_failed', message, { cause: given.code }), retryable: given.retryable };
    if (cell.phase === 'starting' || cell.phase === 'failed') {
      this.#retire(cell, 'failed');
      if (!restart) this.#remove(cell);
    }
    this.#reject(call, error);
  }

  async #stop(op: Extract<ControlOp, { op: 'stop' }>): Promise<unknown> {
    const cell = this.#cells.get(op.id);
    if (!cell) return null;
    if (cell.phase === 'starting' || cell.phase === 'failed') {
      this.#end(cell);
      return null;
    }
    if (cell.phase === 'active') cell.phase = 'draining';
    cell.moving = op.moving;
    if (op.mode === 'stop') this.#tasks.abortAll(cell);
    await this.#quiet(cell, op.mode === 'drain', op.timeoutMs);
    let snapshot: unknown = null;
    if (op.moving && cell.live) snapshot = cell.behavior?.snapshot();
    const behavior = cell.behavior;
    if (cell.live) {
      try {
        const stopping = this.within(cell, 0, () => behavior?.stop());
        if (stopping instanceof Promise) await this.#within(stopping, op.timeoutMs);
      } catch (error) {
        this.notices.pushRated({
          type: 'log',
          id: cell.spec.id,
          thread: this.thread,
          line: { level: 'warn', message: `stop failed: ${toWireError(error).message}` },
        });
      }
    }
    if (this.#cells.get(op.id) === cell) this.#end(cell);
    return snapshot;
  }

  /** Resolves when nothing of the cell runs any more, or the time is over. */
  #quiet(cell: Cell, mailbox: boolean, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: Dispose | null = null;
      const done = () => {
        cancel?.();
        cell.quietWatchers.delete(check);
        resolve();
      };
      const check = () => {
        const waits = mailbox && cell.state !== 'paused' && cell.mailbox.length + cell.waiting.length > 0;
        if (cell.phase !== 'draining' || (!cell.busy && cell.tasks.size === 0 && !waits)) done();
      };
      cancel = this.env.clock.setTimeout(done, clamp(timeoutMs));
      cell.quietWatchers.add(check);
      check();
    });
  }

  #within(promise: Promise<void>, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.env.clock.setTimeout(resolve, clamp(timeoutMs));
      promise.then(resolve, reject).finally(cancel);
    });
  }

  #signal(id: AgentId, signal: CellSignal): Promise<void> {
    const cell = this.#cells.get(id);
    const { behavior } = cell ?? {};
    if (!cell || !behavior || !cell.live) {
      return Promise.reject(new RuntimeError('actor_not_found', `${id} does not live in thread ${this.thread}`));
    }
    const give = () => this.within(cell, 0, () => behavior.signal(signal));
    let taken: Promise<void>;
    if (cell.signals) taken = cell.signals.then(give, give);
    else {
      try {
        const result = give();
        if (!(result instanceof Promise)) return Promise.resolve();
        taken = result;
      } catch (error) {
        return Promise.reject(error);
      }
    }
    const tail = taken.finally(() => {
      if (cell.signals === tail) cell.signals = null;
    });
    tail.catch(() => {});
    cell.signals = tail;
    return taken;
  }

  async #snapshot(id: AgentId): Promise<unknown> {
    const cell = this.#cells.get(id);
    if (!cell?.behavior || !cell.live) throw new RuntimeError('actor_not_found', `${id} does not live here`);
    return cell.behavior.snapshot();
  }

  // ---- messages -------------------------------------------------------------------------------------------------------------

  deliverLocally(envelope: Envelope): boolean {
    const cell = this.#cells.get(envelope.to);
    if (!cell || cell.moving) return false;
    if (cell.phase === 'draining') {
      this.peer.refuse(envelope, 'actor_stopped');
      return true;
    }
    const { from, type, body, meta, correlation } = envelope;
    if (cell.mailbox.room <= 0 && cell.mailbox.overflow === 'backpressure') {
      if (cell.waiting.length >= cell.mailbox.capacity) {
        cell.refused++;
        this.peer.refuse(envelope, 'backpressure');
      } else {
        cell.waiting.push(envelope);
        this.#meters.show(cell.meter, cell.depth);
      }
      return true;
    }
    const message = new Delivered(this.peer.here, this.peer.nextSequence(), from, type, body, meta, correlation);
    const offer = cell.mailbox.offer(message);
    if (offer.type === 'refused') {
      cell.refused++;
      this.peer.refuse(envelope, offer.reason);
      return true;
    }
    if (offer.type === 'dropped') this.#dropOldest(cell, offer.oldest);
    if (correlation > 0) this.#openAsk(cell, message, envelope.timeoutMs);
    if (envelope.confirm) this.#confirmations.push(envelope.confirm);
    this.#schedule(cell);
    return true;
  }

  deliver(link: Link, sequence: number, slot: number, message: Delivered, timeoutMs: number): void {
    const cell = this.#slots.get(slot);
    if (!cell || cell.moving) {
      this.#nack(link, sequence, 'gone');
      return;
    }
    if (timeoutMs > 0) this.#openAsk(cell, message, timeoutMs);
    if (cell.mailbox.length === 0 && cell.receptive && cell.pausedLinks.size === 0) {
      this.#inFrame = true;
      this.#handle(cell, message);
      return;
    }
    if (cell.phase === 'draining') {
      cell.openAsks.delete(message.correlationId ?? '');
      this.#nack(link, sequence, 'actor_stopped');
      return;
    }
    const granted = cell.pausedLinks.size > 0 ? cell.pausedLinks.get(link) : undefined;
    if (granted !== undefined && granted > 0) cell.pausedLinks.set(link, granted - 1);
    const offer = cell.mailbox.offer(message);
    switch (offer.type) {
      case 'hold':
        // What is on its way already still comes in; from now on the sender holds it back.
        cell.mailbox.overrun(message);
        if (!cell.pausedLinks.has(link)) {
          cell.pausedLinks.set(link, 0);
          link.control([PAUSE, slot]);
        }
        break;
      case 'refused':
        cell.refused++;
        cell.openAsks.delete(message.correlationId ?? '');
        this.#nack(link, sequence, offer.reason);
        return;
      case 'dropped':
        this.#dropOldest(cell, offer.oldest);
    }
    this.#schedule(cell);
  }

  #nack(link: Link, sequence: number, reason: NackReason): void {
    link.control([NACK, sequence, NACK_REASONS.indexOf(reason)]);
  }

  #dropOldest(cell: Cell, oldest: Delivered): void {
    cell.refused++;
    this.#discard(cell, oldest, 'dropped_oldest', wireError('mailbox_full', 'dropped from a full mailbox'));
  }

  /** A message that was in a mailbox and will not be handled. */
  #discard(cell: Cell, message: Delivered, reason: DeadLetterReason, error: WireError): void {
    this.deadLetterOf(cell, message, reason);
    if (message.correlationId === undefined || !cell.openAsks.delete(message.correlationId)) return;
    const route = Delivered.route(message);
    if (route) this.peer.replyError(route.correlation, route.origin, error);
  }

  #openAsk(cell: Cell, message: Delivered, timeoutMs: number): void {
    const now = this.env.clock.monotonicMs();
    if (cell.openAsks.size >= SWEEP_OPEN_ASKS && cell.openAsks.size % SWEEP_OPEN_ASKS === 0) {
      for (const [id, open] of cell.openAsks) if (open.dueAtMs < now) cell.openAsks.delete(id);
    }
    cell.openAsks.set(message.correlationId ?? '', { message, dueAtMs: now + timeoutMs, taken: false });
  }

  /** A frame has been worked off: what it caused on this thread goes on at once. */
  #schedule(cell: Cell): void {
    this.#meters.show(cell.meter, cell.depth);
    this.#requeue(cell);
    if (this.#runScheduled || (this.#ready.length === 0 && this.#confirmations.length === 0)) return;
    this.#scheduleRun();
  }

  /** At the end of this turn; or in a later one, when this has done enough: ports and timers come first then. */
  #scheduleRun(): void {
    this.#runScheduled = true;
    if (this.#spent < TURN_BUDGET) this.env.turn.atEnd(() => this.#run());
    else {
      this.env.turn.later(() => {
        this.#spent = 0;
        this.#run();
      });
    }
  }

  #run(): void {
    while (this.#spent < TURN_BUDGET) {
      const cell = this.#ready.shift();
      if (!cell) break;
      cell.queued = false;
      for (let visit = VISIT; visit > 0 && cell.receptive; visit--) {
        const message = cell.mailbox.shift();
        if (!message) break;
        this.#spent++;
        this.#meters.show(cell.meter, cell.depth);
        this.#handle(cell, message);
      }
      if (cell.pausedLinks.size > 0 || cell.waiting.length > 0) this.#makeRoom(cell);
      if (cell.mailbox.length > 0) this.#requeue(cell);
      else cell.quiet();
    }
    this.#leave();
    // Senders of this thread hear only now, so that one who waits for it gives the receiver its turn.
    if (this.#confirmations.length > 0) {
      const confirmations = this.#confirmations;
      this.#confirmations = [];
      for (const confirm of confirmations) confirm({ outcome: 'delivered', via: 'same-thread' });
    }
    this.#runScheduled = false;
    if (this.#ready.length > 0) this.#scheduleRun();
  }

  #requeue(cell: Cell): void {
    if (cell.queued || !cell.receptive) return;
    cell.queued = true;
    this.#ready.push(cell);
  }

  #handle(cell: Cell, message: Delivered): void {
    const { behavior } = cell;
    if (!behavior) return;
    if ((cell.received++ & 63) === 0) {
      const route = Delivered.route(message);
      if (route && route.origin.sentAtMs > 0) cell.sampleDelivery(this.env.turn.nowMs() - route.origin.sentAtMs);
    }
    if (message.correlationId !== undefined) {
      const open = cell.openAsks.get(message.correlationId);
      if (open) open.taken = true;
    }
    if (this.#entered !== cell) this.#enter(cell);
    this.#onStack = cell;
    this.#life[ON_STACK] = cell.slot;
    try {
      const result = behavior.receive(message);
      if (result !== undefined) this.#async(cell, result);
    } catch (error) {
      this.fail(cell, toWireError(error, 'agent_crashed'));
    }
    this.#onStack = null;
    this.#life[ON_STACK] = 0;
    this.#life[PROGRESS] = ((this.#life[PROGRESS] ?? 0) + 1) | 0;
  }

  #async(cell: Cell, handling: Promise<void>): void {
    cell.busy = true;
    handling.then(
      () => {
        cell.busy = false;
        if (cell.mailbox.length > 0) this.#schedule(cell);
        else cell.quiet();
      },
      (error) => {
        cell.busy = false;
        this.fail(cell, toWireError(error, 'agent_crashed'));
      },
    );
  }

  /** Takes in senders that wait, once half of the mailbox is free. */
  #makeRoom(cell: Cell): void {
    if (cell.mailbox.length > cell.mailbox.capacity >> 1) return;
    while (cell.waiting.length > 0 && cell.mailbox.room > 0) {
      const envelope = cell.waiting.shift();
      if (envelope) this.deliverLocally(envelope);
    }
    const share = Math.max(1, Math.floor(cell.mailbox.room / Math.max(1, cell.pausedLinks.size)));
    for (const [link, granted] of cell.pausedLinks) {
      if (granted > 0) continue;
      cell.pausedLinks.set(link, share);
      link.control([GRANT, cell.slot, share]);
    }
  }

  unpaused(link: Link, slot: number): void {
    this.#slots.get(slot)?.pausedLinks.delete(link);
  }

  // ---- attribution ----------------------------------------------------------------------------------------------------------

  #enter(cell: Cell): void {
    this.#entered = cell;
    this.env.scope.enterWith(cell.scope);
  }

  #leave(): void {
    if (this.#entered === null) return;
    this.#entered = null;
    this.env.scope.enterWith(undefined);
  }

  /** Runs code of a cell: what it throws later, outside its promises, is laid to the cell (and task). */
  within<T>(cell: Cell, task: number, fn: () => T): T {
    const life = this.#life;
    const [cellBefore, taskBefore] = [life[ON_STACK] ?? 0, life[TASK_ON_STACK] ?? 0];
    life[ON_STACK] = cell.slot;
    life[TASK_ON_STACK] = task;
    try {
      return this.env.scope.run(task === 0 ? cell.scope : { cell, task }, fn);
    } finally {
      life[ON_STACK] = cellBefore;
      life[TASK_ON_STACK] = taskBefore;
      life[PROGRESS] = ((life[PROGRESS] ?? 0) + 1) | 0;
    }
  }

  taskInScope(cell: Cell): number {
    const scope = this.env.scope.getStore();
    return scope?.cell === cell ? scope.task : 0;
  }

  /**
   * An exception that nobody caught. True when it could be laid to a cell: that one fails, the thread goes on.
   */
  uncaught(thrown: unknown): boolean {
    const scope = this.env.scope.getStore() ?? (this.#onStack ? this.#onStack.scope : undefined);
    if (!scope) return false;
    this.#onStack = null;
    this.#life[ON_STACK] = 0;
    this.#life[TASK_ON_STACK] = 0;
    scope.cell.errors++;
    this.fail(scope.cell, toWireError(thrown, 'agent_crashed'), scope.task);
    return true;
  }

  // ---- what happens to cells --------------------------------------------------------------------------------------------------

  setTimer(cell: Cell, delayMs: number, fn: () => void): Dispose {
    if (!cell.live) return () => {};
    const cancel = this.env.clock.setTimeout(() => {
      cell.timers.delete(dispose);
      if (!cell.live) return;
      try {
        this.within(cell, 0, fn);
      } catch (error) {
        this.fail(cell, toWireError(error, 'agent_crashed'));
      }
    }, clamp(delayMs));
    const dispose = () => {
      cell.timers.delete(dispose);
      cancel();
    };
    cell.timers.add(dispose);
    return dispose;
  }

  transition(
    cell: Cell,
    change: {
      readonly from: AgentState;
      readonly to: AgentState;
      readonly cause: string;
      readonly error?: WireError;
    },
  ): void {
    cell.state = change.to;
    const { id, incarnation } = cell.spec;
    this.notices.push({ type: 'cell.transition', id, incarnation, ...change });
    if (change.from === 'paused' && cell.mailbox.length > 0) this.#schedule(cell);
    else if (change.to === 'paused') cell.quiet();
  }

  /** Ends an incarnation as failed. Its mailbox stays for the next one. `culprit`: key of the task that surely did it. */
  fail(cell: Cell, error: WireError, culprit = 0): void {
    if (!cell.live) return;
    const starting = cell.phase === 'starting';
    cell.errors++;
    this.#retire(cell, 'failed', error, culprit);
    // A start that fails is told by the answer to the spawn.
    if (starting) return;
    const { id, incarnation } = cell.spec;
    this.notices.push({ type: 'cell.failed', id, incarnation, error });
  }

  done(cell: Cell, output: unknown): void {
    if (!cell.live) return;
    const { id, incarnation } = cell.spec;
    let carried: unknown;
    try {
      carried = portable(output).value;
    } catch (error) {
      this.fail(cell, wireError('not_cloneable', `the output cannot be cloned: ${toWireError(error).message}`));
      return;
    }
    this.#end(cell);
    this.notices.push({ type: 'cell.done', id, incarnation, output: carried });
  }

  /** Takes the life out of a cell: timers, tasks, open questions. */
  #retire(cell: Cell, phase: 'failed' | 'ended', error?: WireError, culprit = 0): void {
    const stopBehavior = phase === 'failed' && cell.behavior;
    cell.phase = phase;
    cell.busy = false;
    for (const dispose of [...cell.timers]) dispose();
    const reason = error ?? wireError('agent_stopped', `${cell.spec.id} has stopped`);
    this.#tasks.lose(cell, reason, culprit);
    const inMailbox = new Set<string>();
    for (const [id, open] of cell.openAsks) {
      // A question that waits in the mailbox is still answered by the next incarnation.
      if (phase === 'failed' && !open.taken) {
        inMailbox.add(id);
        continue;
      }
      const route = Delivered.route(open.message);
      const answer = phase === 'failed' ? crashedError(cell, reason.message) : reason;
      if (route) this.peer.replyError(route.correlation, route.origin, answer);
    }
    for (const id of [...cell.openAsks.keys()]) if (!inMailbox.has(id)) cell.openAsks.delete(id);
    if (stopBehavior) {
      const { behavior } = cell;
      cell.behavior = null;
      try {
        const stopping = this.env.scope.run(cell.scope, () => behavior?.stop());
        if (stopping instanceof Promise) stopping.catch(() => {});
      } catch {
        // It has failed already; its reason is told.
      }
    }
    cell.quiet();
  }

  #end(cell: Cell): void {
    const wasLive = cell.live;
    const messages = cell.mailbox.drain();
    const waiting = cell.waiting.drain();
    const stopped = wireError('agent_stopped', `${cell.spec.id} stopped before it took the message`);
    for (const message of messages) this.#discard(cell, message, 'actor_stopped', stopped);
    if (wasLive || cell.phase === 'failed') this.#retire(cell, 'ended');
    this.#remove(cell);
    for (const envelope of waiting) {
      if (cell.moving) this.peer.send(envelope);
      else this.peer.refuse(envelope, 'actor_stopped');
    }
  }

  #remove(cell: Cell): void {
    cell.phase = 'ended';
    if (this.#cells.get(cell.spec.id) === cell) this.#cells.delete(cell.spec.id);
    if (this.#slots.get(cell.slot) === cell) {
      this.#slots.delete(cell.slot);
      this.#meters.release(cell.meter);
    }
    for (const link of this.peer.links.values()) link.forget(cell.slot, [FORGET, cell.slot]);
    for (const link of cell.pausedLinks.keys()) link.control([GRANT, cell.slot, Number.MAX_SAFE_INTEGER]);
  }

  // ---- data plane: the owner's side --------------------------------------------------------------------------------------------

  route(id: AgentId): Route | undefined {
    return this.#routes.get(id);
  }

  resolve(id: AgentId, stale: Route | undefined): void {
    if (stale) this.#routes.delete(id);
    this.#resolve(id, stale?.link.peer ?? -1, stale?.slot ?? 0);
  }

  #resolve(id: AgentId, staleThread: number, staleSlot: number): void {
    this.peer.asks
      .open({ to: 'main', type: 'resolve' }, RESOLVE_TIMEOUT_MS, undefined, (correlation) => {
        this.peer.asks.sentTo(correlation, 0);
        this.main.control([RESOLVE, correlation, id, staleThread, staleSlot]);
      })
      .then(
        (answer) => {
          if (typeof answer === 'string') {
            this.peer.resolved(id, answer as DeadLetterReason);
            return;
          }
          const { thread, slot } = answer as { readonly thread: number; readonly slot: number };
          const link = thread === this.thread ? undefined : this.peer.links.get(thread);
          // The way to it is gone: its thread has died and main does not know yet. Its next place is told when it has one.
          if (!link && thread !== this.thread) this.#resolve(id, thread, slot);
          else {
            if (link) this.#remember(id, { link, slot });
            this.peer.resolved(id);
          }
        },
        () => this.peer.resolved(id, 'target_lost'),
      );
  }

  #remember(id: AgentId, route: Route): void {
    if (this.#routes.size >= MAX_ROUTES) {
      for (const [old, { link }] of this.#routes) {
        if (link.pending > 0) continue;
        this.#routes.delete(old);
        break;
      }
    }
    this.#routes.set(id, route);
  }

  operation(link: Link, flat: readonly unknown[], at: number): void {
    switch (flat[at]) {
      case TASK:
        this.#tasks.start(
          flat[at + 2] as number,
          this.#slots.get(flat[at + 1] as number),
          flat[at + 3] as TaskAssignment,
        );
        break;
      case CANCEL:
        this.#tasks.cancel(flat[at + 1] as number);
        break;
      case ABANDON:
        this.peer.reply(flat[at + 2] as number, link, this.#tasks.abandon(flat[at + 1] as number));
        break;
      case OVERDUE: {
        const cell = this.#slots.get(flat[at + 1] as number);
        this.#tasks.abandon(flat[at + 2] as number);
        if (cell) this.fail(cell, flat[at + 3] as WireError);
        break;
      }
      case UNROUTE: {
        // A route with messages under way stays: they come back, and are sent on in order.
        const id = flat[at + 1] as AgentId;
        const route = this.#routes.get(id);
        if (route && route.link.peer === flat[at + 2] && route.link.pending === 0) this.#routes.delete(id);
        break;
      }
      case PEER_DOWN:
        this.peer.links.get(flat[at + 1] as number)?.close();
    }
  }

  other(_link: Link, value: unknown): void {
    const { link, port } = value as Introduction<DataPort>;
    this.peer.connect(link, port);
  }

  down(link: Link): void {
    for (const [id, route] of this.#routes) if (route.link === link) this.#routes.delete(id);
    for (const cell of this.#slots.values()) cell.pausedLinks.delete(link);
  }

  deadLetter(letter: DeadLetter): void {
    this.notices.pushRated({ type: 'dead-letter', letter });
  }

  deadLetterOf(cell: Cell, message: Message, reason: DeadLetterReason): void {
    const { from, type, body, messageId } = message;
    this.deadLetter(letterOf({ to: cell.spec.id, from, type, body }, reason, messageId, Math.round(this.env.nowMs())));
  }

  undelivered(fromSlot: number, letter: DeadLetter): void {
    const cell = this.#slots.get(fromSlot);
    if (!cell?.live) return;
    this.#signal(cell.spec.id, { type: 'undelivered', letter }).catch((error) =>
      this.fail(cell, toWireError(error, 'agent_crashed')),
    );
  }

  /** Ends every cell at once, without waiting. */
  stop(): void {
    for (const cell of [...this.#cells.values()]) this.#end(cell);
    this.notices.flush();
    this.main.flush();
    this.peer.stop();
    this.#wheel.stop();
  }

  frameEnded(): void {
    if (this.#inFrame) {
      this.#inFrame = false;
      this.#leave();
    }
  }
}

const MAX_TIMER_MS = 2_147_483_647;
/** A duration a timer takes: beyond its range it would fire at once. */
function clamp(ms: number): number {
  return Number.isFinite(ms) ? Math.min(Math.max(ms, 0), MAX_TIMER_MS) : MAX_TIMER_MS;
}
