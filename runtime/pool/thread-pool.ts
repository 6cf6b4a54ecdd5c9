// The pool of threads as the main thread sees it, put together: threads, cells, attempts, and main's own end of the data
// plane. Supervision of agents is not here: it is told.

import { performance } from 'node:perf_hooks';
import type { DeadLetter, TellResult } from '../contracts/envelope.ts';
import { RuntimeError, toWireError, wireError } from '../contracts/errors.ts';
import type { AgentId, TaskId } from '../contracts/ids.ts';
import { type InspectedCell, NO_FOCUS, type ThreadFocus } from '../contracts/inspection-wire.ts';
import type { LocalMail, RemoteRoute } from '../contracts/messaging.ts';
import type { Ambient, Dispose, TellOptions, ThreadPool, ThreadPoolOptions } from '../contracts/ports.ts';
import type { CancelEffect, TaskAssignment, TaskOutcome } from '../contracts/task.ts';
import type { TaskUsage } from '../contracts/usage.ts';
import type {
  CellRequest,
  CellSignal,
  CellSpec,
  CellStarted,
  CellStats,
  DurableDelivery,
  DurableReport,
  PoolNotice,
  ThreadStats,
} from '../contracts/wire.ts';
import type { Delivered, Envelope, Meta } from '../transport/envelope.ts';
import { NOTICES, OUTCOME, REQUEST, RESOLVE, SETTLED } from '../transport/frames.ts';
import type { DataPort, Link } from '../transport/link.ts';
import type { Route } from '../transport/lookups.ts';
import { Peer, type PeerOwner } from '../transport/peer.ts';
import { Wheel } from '../transport/wheel.ts';
import { Attempts } from './attempts.ts';
import { Cells } from './cells.ts';
import { Directory, type Thread } from './directory.ts';
import { Junctions } from './junctions.ts';
import { Outside } from './outside.ts';
import { TaskTable } from './task-table.ts';
import { START_TIMEOUT_MS, Threads } from './threads.ts';

/** A durable message in its handler: nobody takes it away, only the death of its cell does. */
const FOREVER_MS = 2 ** 52;
/** Beyond the time a profile takes, until its thread counts as blocked. */
const PROFILE_MARGIN_MS = 10_000;
/** A thread that does not answer an inspector within this is blocked. */
const INSPECT_TIMEOUT_MS = 2_000;

/** An attempt in its handler. */
export interface RunningAttempt {
  readonly taskId: TaskId;
  readonly capability: string;
  readonly attempt: number;
  readonly runningMs: number;
}

/** What an inspector reads of the pool, at no cost to the threads. */
export interface PoolInspection {
  /** Messages that wait for this actor. */
  waitingFor(id: AgentId): number;
  /** Mailboxes that are not empty. */
  mailboxes(): Iterable<{ readonly agent: AgentId; readonly thread: number; readonly waiting: number }>;
  /** What its thread knows of it. Rejects with `actor_not_found`, `thread_stuck`, `thread_lost`. */
  cell(id: AgentId): Promise<InspectedCell>;
  /** Whether it lives here, or is to. */
  has(id: AgentId): boolean;
  /** Its tasks in a handler. */
  running(id: AgentId): readonly RunningAttempt[];
  /** What threads, those to come included, are to tell as notices, in the place of what they told. */
  focus(focus: ThreadFocus): void;
  /** A CPU profile of a thread, as JSON text. Rejects with `thread_not_found`, `profile_running`, `thread_stuck`, `thread_lost`. */
  profile(thread: number, seconds: number, intervalUs: number): Promise<string>;
}

/** The pool with its actors as other nodes reach them, and as inspectors see them. */
export type NodePool = ThreadPool & { readonly mail: LocalMail; readonly inspection: PoolInspection };

export interface NodePoolOptions extends ThreadPoolOptions {
  /** The way to actors that do not live here; asked when there is something to send. Undefined: there are no other nodes. */
  readonly remote?: () => RemoteRoute | undefined;
}

/** A pool over Piscina. Nothing runs before `start`. */
export function createThreadPool(options: NodePoolOptions, ambient: Ambient): NodePool {
  return new Pool(options, ambient);
}

class Pool implements NodePool, PeerOwner {
  readonly label: string;
  readonly options: NodePoolOptions;
  readonly ambient: Ambient;
  readonly directory: Directory;
  readonly tasks = new TaskTable();
  readonly #wheel: Wheel;
  readonly #peer: Peer;
  readonly #threads: Threads;
  readonly #cells: Cells;
  readonly #attempts: Attempts;
  readonly #junctions = new Junctions();
  readonly #outside: Outside;
  readonly mail: LocalMail;
  readonly inspection: PoolInspection;
  #focus: ThreadFocus = NO_FOCUS;
  readonly #listeners = new Set<(notice: PoolNotice) => void>();

  constructor(options: NodePoolOptions, ambient: Ambient) {
    this.options = options;
    this.ambient = ambient;
    this.label = `${options.node}.0`;
    this.#wheel = new Wheel(ambient.clock);
    this.directory = new Directory(ambient.clock);
    this.#peer = new Peer(this, this.#wheel, {
      atEnd: (fn) => process.nextTick(fn),
      later: (fn) => void setImmediate(fn),
      nowMs: () => performance.timeOrigin + performance.now(),
    });
    this.#threads = new Threads(this);
    this.#cells = new Cells(this, this.#threads);
    this.#attempts = new Attempts(this, this.#threads, this.#peer);
    this.#outside = new Outside({
      directory: this.directory,
      peer: this.#peer,
      links: () => this.#threads.all().flatMap(({ link }) => (link ? [link] : [])),
      signal: (id, signal) => this.signal(id, signal),
      remote: () => options.remote?.(),
      nowMs: () => Math.round(ambient.clock.nowMs()),
    });
    this.mail = this.#outside.mail;
    this.inspection = {
      waitingFor: (id) => this.#cells.waitingFor(id),
      mailboxes: () =>
        this.#threads
          .all()
          .flatMap((handle) =>
            handle.mail().map(({ id, count }) => ({ agent: id, thread: handle.id, waiting: count })),
          ),
      cell: (id) => this.#cells.inspect(id, INSPECT_TIMEOUT_MS),
      has: (id) => this.directory.has(id),
      running: (id) => this.#running(id),
      focus: (focus) => {
        this.#focus = focus;
        for (const handle of this.#threads.all()) if (handle.up) this.#tellFocus(handle);
      },
      profile: (thread, seconds, intervalUs) => this.#profile(thread, seconds, intervalUs),
    };
  }

  connect(thread: number, port: DataPort): Link {
    return this.#peer.connect(thread, port);
  }

  async start(): Promise<void> {
    try {
      await this.#threads.start();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  async resize(threads: number): Promise<void> {
    if (!Number.isInteger(threads) || threads < 1) {
      throw new RuntimeError('invalid_input', `the number of threads must be a positive integer, not ${threads}`);
    }
    this.#threads.target = threads;
    const shared = this.#threads.shared();
    for (let count = shared.length; count < threads; count++) this.#threads.startThread();
    const surplus = shared
      .filter((handle) => handle.up)
      .sort((a, b) => a.load - b.load)
      .slice(0, Math.max(0, shared.length - threads));
    for (const handle of surplus) handle.state = 'retiring';
    await Promise.all(surplus.map((handle) => this.#cells.retire(handle)));
    if (threads > shared.length) await this.#threads.untilUp(threads, START_TIMEOUT_MS);
  }

  noteUsage(taskId: TaskId, fence: number, usage: TaskUsage): void {
    this.tasks.note(taskId, fence, usage);
  }

  killThread(thread: number, how: 'terminate' | 'exit' | 'throw' | 'spin' | 'oom'): void {
    const handle = this.#threads.get(thread);
    if (!handle) throw new RuntimeError('thread_lost', `there is no thread ${thread}`, { details: { thread } });
    handle.chaos = true;
    if (how === 'terminate') this.#threads.kill(handle, 'exited', wireError('thread_lost', 'terminated on purpose'));
    else handle.die(how);
  }

  #running(id: AgentId): RunningAttempt[] {
    const now = this.ambient.clock.monotonicMs();
    return [...this.tasks.all()]
      .filter(({ entry }) => entry.id === id)
      .map(({ task: { taskId, capability, attempt }, startedAtMs }) => {
        return { taskId, capability, attempt, runningMs: Math.round(now - startedAtMs) };
      });
  }

  #tellFocus(handle: Thread): void {
    const late = () => new RuntimeError('thread_stuck', `thread ${handle.id} did not take the focus of inspectors`);
    handle.order({ op: 'focus', focus: this.#focus }, { timeoutMs: INSPECT_TIMEOUT_MS, late }).catch((error) => {
      this.ambient.log.debug('a thread tells inspectors nothing new', { thread: handle.id, error: toWireError(error) });
    });
  }

  async #profile(thread: number, seconds: number, intervalUs: number): Promise<string> {
    const handle = this.#threads.get(thread);
    if (!handle?.up)
      throw new RuntimeError('thread_not_found', `there is no thread ${thread}`, { details: { thread } });
    const late = () =>
      new RuntimeError('thread_stuck', `thread ${thread} did not answer: its loop is blocked`, { details: { thread } });
    const timeoutMs = seconds * 1_000 + PROFILE_MARGIN_MS;
    return (await handle.order({ op: 'profile', seconds, intervalUs }, { timeoutMs, late })) as string;
  }

  async stop(): Promise<void> {
    if (this.#threads.stopping) return;
    await this.#threads.stop();
    this.#peer.stop();
    this.#wheel.stop();
    await this.#threads.destroy();
  }

  threadStats(): readonly ThreadStats[] {
    return this.#threads.stats();
  }

  spawn(spec: CellSpec, place: { readonly thread?: number; readonly dedicated: boolean }): Promise<CellStarted> {
    this.#outside.arrived(spec.id);
    return this.#cells.spawn(spec, place);
  }

  stopCell(id: AgentId, mode: 'drain' | 'stop', timeoutMs: number): Promise<void> {
    return this.#cells.stop(id, mode, timeoutMs);
  }

  depart(id: AgentId, timeoutMs: number): Promise<unknown> {
    return this.#cells.depart(id, timeoutMs);
  }

  signal(id: AgentId, signal: CellSignal): Promise<void> {
    return this.#cells.signal(id, signal);
  }

  snapshot(id: AgentId): Promise<unknown> {
    return this.#cells.snapshot(id);
  }

  cellStats(): Promise<readonly CellStats[]> {
    return this.#cells.stats();
  }

  runTask(agent: AgentId, task: TaskAssignment): Promise<TaskOutcome> {
    return this.#attempts.run(agent, task);
  }

  cancelTask(taskId: TaskId, fence: number, graceMs: number): Promise<CancelEffect> {
    return this.#attempts.cancel(taskId, fence, graceMs);
  }

  // ---- messages -------------------------------------------------------------------------------------------------------------

  tell(to: AgentId, type: string, body: unknown, options: TellOptions = {}): Promise<TellResult> {
    const remote = this.#elsewhere(to);
    if (remote) {
      const mail = { to, type, body, ...options };
      return new Promise((resolve) => remote.tell(mail, resolve));
    }
    return this.#peer.tellConfirmed(to, type, body, { from: options.from, fromSlot: 0, meta: metaOf(options) });
  }

  tellMany(to: readonly AgentId[], type: string, body: unknown, options: TellOptions = {}): void {
    const here: AgentId[] = [];
    for (const id of to) {
      const remote = this.#elsewhere(id);
      if (remote) remote.tell({ to: id, type, body, ...options }, NOBODY);
      else here.push(id);
    }
    this.#peer.tellMany(here, type, body, { from: options.from, fromSlot: 0, meta: metaOf(options) });
  }

  ask(to: AgentId, type: string, body: unknown, options: Parameters<ThreadPool['ask']>[3]): Promise<unknown> {
    const { timeoutMs, signal, traceparent } = options;
    const remote = this.#elsewhere(to);
    if (remote) return remote.ask({ to, type, body, ...options });
    const meta = traceparent ? { traceparent } : null;
    return this.#peer.ask(to, type, body, { from: undefined, fromSlot: 0, meta, timeoutMs, signal });
  }

  handle(to: AgentId, message: DurableDelivery): Promise<DurableReport> {
    const { id, from, type, body, protocol, traceparent, via, correlationId, lane, generation, attempt } = message;
    const meta = {
      ...via,
      protocol,
      durable: { id, lane, generation, attempt, ...(correlationId === undefined ? {} : { correlationId }) },
      ...(traceparent ? { traceparent } : {}),
    };
    const handled = this.#peer.ask(to, type, body, { from, fromSlot: 0, meta, timeoutMs: FOREVER_MS });
    return handled as Promise<DurableReport>;
  }

  /** Its addressee left this node while it waited. */
  passOn(envelope: Envelope): boolean {
    const remote = this.#elsewhere(envelope.to);
    return remote !== undefined && this.#outside.passOn(remote, envelope);
  }

  deliverLocally(_envelope: Envelope): boolean {
    return false;
  }

  /** The way to an actor that does not live here, if there are other nodes. */
  #elsewhere(to: AgentId): RemoteRoute | undefined {
    return this.directory.has(to) ? undefined : this.options.remote?.();
  }

  deliver(link: Link, sequence: number, slot: number, message: Delivered, timeoutMs: number): void {
    // Nothing lives on the main thread: its slots are those of actors on other nodes.
    this.#outside.deliver(link, sequence, slot, message, timeoutMs);
  }

  route(id: AgentId): Route | undefined {
    const place = this.directory.place(id);
    return place?.thread.link ? { link: place.thread.link, slot: place.slot } : undefined;
  }

  resolve(id: AgentId, stale: Route | undefined): void {
    const left = stale && { thread: stale.link.peer, slot: stale.slot };
    this.directory.find(id, left, this.options.spawnTimeoutMs, (_place, why) => this.#peer.resolved(id, why));
  }

  operation(link: Link, flat: readonly unknown[], at: number): void {
    const handle = this.#threads.get(link.peer);
    if (!handle) return;
    switch (flat[at]) {
      case NOTICES:
        for (const notice of flat[at + 1] as readonly PoolNotice[]) this.#noticed(handle, notice);
        break;
      case SETTLED:
        handle.settled(flat[at + 1] as number, flat[at + 2] as boolean, flat[at + 3]);
        break;
      case OUTCOME:
        this.tasks.settle(flat[at + 1] as number, flat[at + 2] as TaskOutcome);
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
      ? this.options.onRequest(entry.id, request)
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
    this.directory.find(id, stale, this.options.spawnTimeoutMs, (place, why) => {
      if (!asker.link?.open) return;
      if (!place && why === 'actor_not_found') {
        this.#outside.locate(asker.link, correlation, id);
        return;
      }
      if (place && place.thread !== asker) this.#junctions.connect(asker, place.thread);
      this.#peer.reply(correlation, asker.link, place ? { thread: place.thread.id, slot: place.slot } : why);
    });
  }

  other(): void {
    // Threads send main nothing but frames.
  }

  down(link: Link): void {
    this.#junctions.down(link.peer);
  }

  frameEnded(): void {}
  unpaused(): void {}
  undelivered(): void {}

  deadLetter(letter: DeadLetter): void {
    this.emit({ type: 'dead-letter', letter });
  }

  // ---- notices --------------------------------------------------------------------------------------------------------------

  onNotice(listener: (notice: PoolNotice) => void): Dispose {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #noticed(handle: Thread, notice: PoolNotice): void {
    switch (notice.type) {
      case 'cell.transition': {
        const entry = this.directory.get(notice.id);
        if (entry && entry.spec.incarnation === notice.incarnation) entry.state = notice.to;
        break;
      }
      case 'cell.failed': {
        const entry = this.directory.get(notice.id);
        if (entry?.thread !== handle || entry.spec.incarnation !== notice.incarnation) break;
        entry.phase = 'failed';
        this.emit(notice);
        // A handler it gave up on may still run there; its thread has no other purpose.
        if (handle.dedicatedTo && this.directory.get(notice.id) === entry) {
          this.#threads.lose(entry);
          this.#threads.kill(handle, 'drained', notice.error);
        }
        return;
      }
      case 'cell.done': {
        const entry = this.directory.get(notice.id);
        if (entry?.thread === handle) this.#cells.gone(entry);
      }
    }
    this.emit(notice);
  }

  emit(notice: PoolNotice): void {
    if (notice.type === 'thread.up' && this.#focus !== NO_FOCUS) {
      const handle = this.#threads.get(notice.thread);
      if (handle) this.#tellFocus(handle);
    }
    for (const listener of this.#listeners) {
      try {
        listener(notice);
      } catch (error) {
        this.ambient.log.error('a listener of the pool threw', { notice: notice.type, error: toWireError(error) });
      }
    }
  }
}

/** Whom the fate of a message to many is told: its dead letter says it. */
const NOBODY = (): void => undefined;

/** Null where a message says nothing that needs to be carried. */
function metaOf({ from: _from, protocol, ...rest }: TellOptions): Meta | null {
  const meta = protocol && protocol !== 'direct' ? { protocol, ...rest } : rest;
  return Object.values(meta).some((value) => value !== undefined) ? meta : null;
}
