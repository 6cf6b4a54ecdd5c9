// The cells of the pool: places them on threads, starts, stops, moves and signals them.

import { RuntimeError, toWireError, wireError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { InspectedCell } from '../contracts/inspection-wire.ts';
import type { Ambient, ThreadPoolOptions } from '../contracts/ports.ts';
import type { CellSignal, CellSpec, CellStarted, CellStats, PoolNotice } from '../contracts/wire.ts';
import type { Residence } from '../transport/control.ts';
import { UNROUTE } from '../transport/frames.ts';
import type { Directory, Entry, Thread } from './directory.ts';
import type { TaskTable } from './task-table.ts';
import type { Threads } from './threads.ts';

export interface CellsOwner {
  readonly options: ThreadPoolOptions;
  readonly ambient: Ambient;
  readonly directory: Directory;
  readonly tasks: TaskTable;
  emit(notice: PoolNotice): void;
}

export class Cells {
  readonly #owner: CellsOwner;
  readonly #options: ThreadPoolOptions;
  readonly #ambient: Ambient;
  readonly #directory: Directory;
  readonly #tasks: TaskTable;
  readonly #threads: Threads;

  constructor(owner: CellsOwner, threads: Threads) {
    this.#owner = owner;
    this.#options = owner.options;
    this.#ambient = owner.ambient;
    this.#directory = owner.directory;
    this.#tasks = owner.tasks;
    this.#threads = threads;
  }

  async spawn(spec: CellSpec, place: { readonly thread?: number; readonly dedicated: boolean }): Promise<CellStarted> {
    if (this.#threads.stopping) throw new RuntimeError('no_thread_up', 'the pool is stopping');
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
      meter: 0,
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
    if (thread.dedicatedTo) void this.#threads.endHost(thread);
  }

  /** Places an entry and starts its cell; resolves with the thread. The entry is gone when it rejects. */
  async #launch(entry: Entry, wanted: number | undefined): Promise<number> {
    const { spawnTimeoutMs } = this.#options;
    const dueAtMs = this.#nowMs() + spawnTimeoutMs;
    let handle: Thread | undefined;
    try {
      handle = this.#pickNow(entry, wanted) ?? (await this.#pickLater(entry, dueAtMs));
      const chosen = handle;
      const timeoutMs = Math.max(1, dueAtMs - this.#nowMs());
      try {
        // The entry is settled in the turn of the answer: what the cell tells next finds it in place.
        await chosen.order(
          { op: 'spawn', spec: entry.spec },
          { timeoutMs, late: () => spawnTimeout(entry, spawnTimeoutMs) },
          (slot) => this.#settleEntry(entry, chosen, slot as Residence),
        );
      } finally {
        chosen.placing--;
      }
      return chosen.id;
    } catch (error) {
      const code = error instanceof RuntimeError ? error.code : undefined;
      if (code === 'thread_lost') this.#threads.lose(entry);
      else if (code === 'spawn_timeout' || !this.#failBack(entry)) this.#directory.delete(entry);
      if (handle?.up && code === 'spawn_timeout') {
        this.#order(handle, { op: 'stop', id: entry.id, mode: 'stop', timeoutMs: 0, moving: false }, 1_000).catch(
          () => {},
        );
      }
      if (handle?.dedicatedTo) void this.#threads.endHost(handle);
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
    entry.meter = meter;
    entry.phase = 'up';
    handle.slots.set(slot, entry);
    if (meter > 0) handle.meters.set(meter, entry.id);
    this.#directory.changed(entry.id);
  }

  /** The thread that was asked for, else the shared one with the fewest cells; undefined when none is up now. */
  #pickNow(entry: Entry, wanted: number | undefined): Thread | undefined {
    const given = wanted === undefined ? undefined : this.#threads.get(wanted);
    if (given?.up && (!given.dedicatedTo || given.dedicatedTo === entry.id)) return reserve(given);
    if (entry.dedicated) return undefined;
    const best = this.#threads.leastLoaded();
    return best && reserve(best);
  }

  async #pickLater(entry: Entry, dueAtMs: number): Promise<Thread> {
    const left = () => Math.max(1, dueAtMs - this.#nowMs());
    const late = () => spawnTimeout(entry, this.#options.spawnTimeoutMs);
    if (entry.dedicated) {
      const own = this.#threads.startThread(entry.id);
      if (await this.#threads.until(() => own.state !== 'starting', left())) {
        if (own.up) return reserve(own);
        throw new RuntimeError('thread_lost', `the thread of ${entry.id} died while it started`);
      }
      this.#threads.kill(own, 'drained', wireError('spawn_timeout', 'it did not come up in time'));
      throw this.#threads.stopping ? new RuntimeError('no_thread_up', 'the pool is stopping') : late();
    }
    await this.#threads.until(() => this.#threads.leastLoaded() !== undefined, left());
    const best = this.#threads.leastLoaded();
    if (best) return reserve(best);
    throw this.#threads.stopping ? new RuntimeError('no_thread_up', 'the pool is stopping') : late();
  }

  #order(handle: Thread, order: Parameters<Thread['order']>[0], timeoutMs: number): Promise<unknown> {
    const late = () =>
      new RuntimeError('thread_stuck', `thread ${handle.id} did not answer within ${timeoutMs} ms`, {
        details: { thread: handle.id },
      });
    return handle.order(order, { timeoutMs, late });
  }

  async stop(id: AgentId, mode: 'drain' | 'stop', timeoutMs: number): Promise<void> {
    const entry = this.#directory.get(id);
    if (!entry) {
      this.#directory.giveUp(id);
      return;
    }
    if (entry.phase === 'leaving') {
      this.gone(entry);
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
    this.gone(entry);
  }

  /** An actor has ended for good. */
  gone(entry: Entry): void {
    const { thread } = entry;
    this.#directory.delete(entry);
    if (!thread) return;
    for (const handle of this.#threads.all()) handle.link?.control([UNROUTE, entry.id, thread.id]);
    if (thread.dedicatedTo === entry.id && thread.up) void this.#threads.endHost(thread);
  }

  async depart(id: AgentId, timeoutMs: number): Promise<unknown> {
    const entry = this.#directory.get(id);
    if (entry?.phase !== 'up' || !entry.thread) return undefined;
    entry.phase = 'leaving';
    const order = { op: 'stop', id, mode: 'drain', timeoutMs, moving: true } as const;
    return this.#order(entry.thread, order, timeoutMs * 2 + this.#options.graceMs);
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

  /** What its thread knows of it; does not wait for one that is on its way. */
  async inspect(id: AgentId, timeoutMs: number): Promise<InspectedCell> {
    const place = this.#directory.place(id);
    if (!place) throw new RuntimeError('actor_not_found', `${id} has no place on this node now`, { details: { id } });
    return (await this.#order(place.thread, { op: 'inspect', id }, timeoutMs)) as InspectedCell;
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

  async stats(): Promise<readonly CellStats[]> {
    const handles = this.#threads.all().filter((handle) => handle.up);
    const answers = await Promise.allSettled(
      handles.map((handle) => this.#order(handle, { op: 'stats' }, this.#options.stuckAfterMs)),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value as CellStats[]) : []));
  }

  /** Messages that wait for it, read from the memory it shares with its thread. */
  waitingFor(id: AgentId): number {
    const entry = this.#directory.get(id);
    if (!entry?.thread || entry.meter === 0) return 0;
    return Atomics.load(entry.thread.depths, entry.meter);
  }

  /**
   * Empties a thread and ends it: each cell finishes its mailbox and its tasks, goes on elsewhere as the same incarnation
   * from its snapshot, and what is sent to it meanwhile follows it in order.
   */
  async retire(handle: Thread): Promise<void> {
    await Promise.all([...handle.slots.values()].map((entry) => this.#move(entry, handle)));
    await this.#threads.endHost(handle);
  }

  async #move(entry: Entry, from: Thread): Promise<void> {
    if (entry.phase === 'failed') {
      this.gone(entry);
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
      this.#owner.emit({ type: 'cell.lost', id, incarnation: spec.incarnation, error: lost, busy: false });
    }
  }

  #nowMs(): number {
    return this.#ambient.clock.monotonicMs();
  }
}

function spawnTimeout({ id }: Entry, spawnTimeoutMs: number): RuntimeError {
  return new RuntimeError('spawn_timeout', `${id} did not start within ${spawnTimeoutMs} ms`, { details: { id } });
}

/** Counts a spawn before it is under way, so that those of one turn spread. */
function reserve(handle: Thread): Thread {
  handle.placing++;
  return handle;
}
