// The agents that live on this node: starts them from their rows, keeps the workforce and the stored states in step with the tree.

import type { ManifestEntry } from '../contracts/actor.ts';
import type { AgentState } from '../contracts/agent.ts';
import { toWireError } from '../contracts/errors.ts';
import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { Ambient, Manifest, ThreadPool } from '../contracts/ports.ts';
import type { AgentRow, Store } from '../contracts/store.ts';
import type { CellSpec } from '../contracts/wire.ts';
import { offeredBy } from './agent-view.ts';
import type { AgentTree } from './ports.ts';
import type { NodeWorkforce } from './workforce.ts';

/** One agent of this node. */
export interface Resident {
  row: AgentRow;
  readonly entry: ManifestEntry;
  /** Settles with the first start: resolved when idle or paused, rejected when its budget is used up. */
  started: Promise<void>;
  /** Where the present incarnation lives; undefined while none is up. */
  thread: number | undefined;
  /** The observed state that the row holds, as far as this node knows; undefined: the next roll-up writes it. */
  written: { readonly state: AgentState; readonly reason: string | null } | undefined;
  /** A snapshot was saved since the row was read: the next incarnation reads it from the store. */
  savedSince: boolean;
}

export interface AgentHomeOptions {
  readonly store: Store;
  readonly tree: AgentTree;
  readonly pool: ThreadPool;
  readonly workforce: NodeWorkforce;
  readonly manifest: Manifest;
  readonly node: NodeId;
  readonly ambient: Ambient;
  /** Resolves when no outcome of this agent's tasks is still on its way to the store. */
  readonly settled: (id: AgentId) => Promise<void>;
  /** Runs what saves a snapshot after what was begun before it: see SnapshotOrder. Default: at once. */
  readonly inOrder?: <T>(id: AgentId, work: () => Promise<T>) => Promise<T>;
  /** Ends an agent that leaves this node alive; undefined for any other. */
  readonly departing?: (id: AgentId, timeoutMs: number) => Promise<void> | undefined;
  /** There are states to write where there were none: see {@link AgentHome.flushObserved}. */
  readonly onUnobserved?: () => void;
}

const ADOPT_AT_ONCE = 500;

/** Residents by id and by name. States: an agent is resident from its first launch until it is removed or the node stops. */
export class AgentHome {
  readonly #options: AgentHomeOptions;
  readonly #residents = new Map<AgentId, Resident>();
  /** Ids by name, by tenant. */
  readonly #names = new Map<string, Map<string, AgentId>>();
  readonly #unobserved = new Map<AgentId, { state: AgentState; reason: string | null }>();

  constructor(options: AgentHomeOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#residents.size;
  }

  residents(): IterableIterator<Resident> {
    return this.#residents.values();
  }

  /** By id or by name within the tenant. */
  find(idOrName: string, tenant: string): Resident | undefined {
    const id = this.#names.get(tenant)?.get(idOrName) ?? (idOrName as AgentId);
    const resident = this.#residents.get(id);
    return resident?.row.tenant === tenant ? resident : undefined;
  }

  get(id: AgentId): Resident | undefined {
    return this.#residents.get(id);
  }

  /** Starts the agent of a row that was made just now: until somebody knows better the row says that it is idle. */
  launchNew(row: AgentRow, entry: ManifestEntry): Resident {
    const resident = this.launch(row, entry);
    resident.written ??= { state: 'idle', reason: null };
    return resident;
  }

  /** Starts the agent of a row that this node owns. Failures are its supervisor's matter and end in its state. */
  launch(row: AgentRow, entry: ManifestEntry): Resident {
    const { tree, pool, workforce } = this.#options;
    const capabilities = offeredBy(entry, row.capabilities);
    workforce.join({ id: row.id, slots: entry.concurrency, epoch: row.epoch, capabilities });
    const resident: Resident = {
      row,
      entry,
      started: Promise.resolve(),
      thread: undefined,
      written: undefined,
      savedSince: false,
    };
    this.#residents.set(row.id, resident);
    const names = this.#names.get(row.tenant);
    if (names) names.set(row.name, row.id);
    else this.#names.set(row.tenant, new Map([[row.name, row.id]]));
    resident.started = tree
      .spawn({
        id: row.id,
        type: row.type,
        tenant: row.tenant,
        supervision: entry.supervision,
        launch: async (incarnation, previous) => {
          const spec = await this.#specFor(row.id, incarnation);
          // A restart in a living thread keeps the mailbox, so it goes where the mailbox is.
          const stays = previous !== undefined && !previous.lost && previous.thread !== undefined;
          const place = { dedicated: this.#isolationOf(row.id) === 'dedicated' };
          const started = await pool.spawn(spec, stays ? { ...place, thread: previous.thread } : place);
          this.#arrived(resident, started.thread);
          return started;
        },
        halt: (mode, timeoutMs) => this.#halt(row.id, mode, timeoutMs),
      })
      .then(() => undefined);
    resident.started.catch(() => undefined);
    return resident;
  }

  /** Takes over agents that no node owns and whose definition this node has. Answers how many. */
  async adopt(): Promise<number> {
    const { store, manifest, ambient } = this.#options;
    const entries = manifest.entries();
    const byHash = new Map(entries.map((entry) => [entry.defHash, entry]));
    let adopted = 0;
    for (;;) {
      const rows = await store.agents.adopt([...byHash.keys()], ADOPT_AT_ONCE);
      for (const row of rows) {
        const entry = byHash.get(row.defHash);
        if (entry && !this.#residents.has(row.id)) this.launch(row, entry);
      }
      adopted += rows.length;
      if (rows.length < ADOPT_AT_ONCE) break;
    }
    if (adopted > 0) ambient.log.info('adopted agents', { agents: adopted });
    return adopted;
  }

  /** The tree saw a change of state. A new incarnation takes tasks only once its thread is known: see {@link AgentHome.launch}. */
  onTransition(id: AgentId, to: AgentState, reason: string | null): void {
    const { workforce } = this.#options;
    const resident = this.#residents.get(id);
    const works = to === 'idle' || to === 'running';
    if (!works && to !== 'paused' && resident) resident.thread = undefined;
    workforce.setAvailable(id, works && resident?.thread !== undefined, resident?.thread);
    if (to === 'terminated') workforce.leave(id);
    if (!resident) return;
    this.#unobserved.set(id, { state: to, reason });
    if (this.#unobserved.size === 1) this.#options.onUnobserved?.();
  }

  /** An incarnation is up; its first states may have been told before. */
  #arrived(resident: Resident, thread: number): void {
    const { workforce, tree } = this.#options;
    resident.thread = thread;
    const state = tree.get(resident.row.id)?.state;
    if (state === 'idle' || state === 'running') workforce.setAvailable(resident.row.id, true, thread);
  }

  /** Writes the observed states gathered since the last time, as one roll-up. When it fails they are kept for the next one. */
  async flushObserved(): Promise<void> {
    if (this.#unobserved.size === 0) return;
    const gathered = [...this.#unobserved];
    this.#unobserved.clear();
    const states = gathered.flatMap(([id, { state, reason }]) => {
      const resident = this.#residents.get(id);
      if (!resident || (resident.written?.state === state && resident.written.reason === reason)) return [];
      resident.written = undefined;
      return [{ id, epoch: resident.row.epoch, state, reason }];
    });
    if (states.length === 0) return;
    try {
      await this.#options.store.agents.observe(states);
      for (const { id, state, reason } of states) {
        const resident = this.#residents.get(id);
        if (resident) resident.written = { state, reason };
      }
    } catch (error) {
      for (const [id, state] of gathered) {
        if (this.#residents.has(id) && !this.#unobserved.has(id)) this.#unobserved.set(id, state);
      }
      throw error;
    }
  }

  /** Commands that reached the database through another node. */
  async followCommands(): Promise<void> {
    if (this.#residents.size === 0) return;
    const known = new Map([...this.#residents].map(([id, { row }]) => [id, row.version]));
    for (const row of await this.#options.store.agents.changedSince(known)) {
      await this.apply(row).catch((thrown: unknown) =>
        this.#options.ambient.log.warn('a command for an agent failed', {
          agent: row.id,
          error: toWireError(thrown).message,
        }),
      );
    }
  }

  /** Brings a resident in line with its changed row. */
  async apply(row: AgentRow): Promise<void> {
    const { pool, workforce, tree } = this.#options;
    const resident = this.#residents.get(row.id);
    if (!resident) return;
    const before = resident.row;
    resident.row = row;
    resident.written = undefined;
    if (row.desired === 'terminated') return this.end(row.id, 'drain', 20_000);
    workforce.offer(row.id, offeredBy(resident.entry, row.capabilities));
    if (!isLive(tree.get(row.id)?.state)) return;
    if (changed(before.config, row.config) || changed(before.capabilities, row.capabilities)) {
      await pool.signal(row.id, {
        type: 'configure',
        config: row.config,
        capabilities: offeredBy(resident.entry, row.capabilities).map(({ name }) => name),
      });
    }
    if (before.desired !== row.desired)
      await pool.signal(row.id, { type: row.desired === 'paused' ? 'pause' : 'resume' });
  }

  /** Stops a resident and forgets it. */
  async end(id: AgentId, mode: 'drain' | 'stop', timeoutMs: number): Promise<void> {
    const { workforce, tree } = this.#options;
    const resident = this.#residents.get(id);
    if (!resident) return;
    workforce.leave(id);
    await tree.stop(id, mode, timeoutMs);
    this.#residents.delete(id);
    const { tenant, name } = resident.row;
    const names = this.#names.get(tenant);
    // The name may be another's by now: it is free from the command to remove on.
    if (names?.get(name) === id) names.delete(name);
    if (names?.size === 0) this.#names.delete(tenant);
    this.#unobserved.delete(id);
  }

  async save(id: AgentId, snapshot: unknown): Promise<'saved' | 'fenced'> {
    const resident = this.#residents.get(id);
    if (!resident) return 'fenced';
    const { store, inOrder = (_id, work) => work() } = this.#options;
    const result = await inOrder(id, () => store.agents.saveSnapshot(id, resident.row.epoch, snapshot));
    resident.savedSince = true;
    return result;
  }

  /** A task's outcome carries a snapshot of its agent, which commits with it. */
  markSaved(id: AgentId): void {
    const resident = this.#residents.get(id);
    if (resident) resident.savedSince = true;
  }

  /**
   * What a second actor like this agent starts from, its state as it was last saved. Undefined when the agent is gone, or has a
   * thread for itself already.
   */
  async standInFor(id: AgentId, standIn: AgentId): Promise<CellSpec | undefined> {
    const resident = this.#residents.get(id);
    if (!resident || resident.row.isolation === 'dedicated') return undefined;
    const fresh = resident.savedSince ? await this.#options.store.agents.get(id, resident.row.tenant) : null;
    const row = fresh ? { ...resident.row, snapshot: fresh.snapshot } : resident.row;
    return { ...specOf({ ...resident, row }, standIn, 1), paused: false };
  }

  /** A drain leaves the agent's state behind for its next start. */
  async #halt(id: AgentId, mode: 'drain' | 'stop', timeoutMs: number): Promise<void> {
    const { pool, ambient, departing } = this.#options;
    const leaving = mode === 'drain' ? departing?.(id, timeoutMs) : undefined;
    if (leaving) return leaving;
    if (mode === 'drain' && this.#residents.has(id)) {
      const snapshot = await pool.snapshot(id).catch(() => undefined);
      if (snapshot !== undefined && snapshot !== null) {
        await this.save(id, snapshot).catch((error: unknown) => {
          ambient.log.warn('the state of an agent was not saved at its stop', {
            agent: id,
            error: toWireError(error).message,
          });
        });
      }
    }
    await pool.stopCell(id, mode, timeoutMs);
  }

  #isolationOf(id: AgentId): AgentRow['isolation'] {
    return this.#residents.get(id)?.row.isolation ?? 'shared';
  }

  async #specFor(id: AgentId, incarnation: number): Promise<CellSpec> {
    const resident = this.#residents.get(id);
    if (!resident) throw new Error(`agent ${id} is gone`);
    if (resident.savedSince) {
      // The last outcome and the state it left commit together; reading before that commit would bring back an older state.
      await this.#options.settled(id);
      const fresh = await this.#options.store.agents.get(id, resident.row.tenant);
      if (fresh) resident.row = { ...resident.row, snapshot: fresh.snapshot };
      resident.savedSince = false;
    }
    return specOf(resident, id, incarnation);
  }
}

function specOf({ row, entry }: Resident, id: AgentId, incarnation: number): CellSpec {
  return {
    id,
    incarnation,
    type: row.type,
    name: row.name,
    tenant: row.tenant,
    module: entry.module,
    mailbox: entry.mailbox,
    config: row.config,
    ...(row.capabilities ? { capabilities: row.capabilities } : {}),
    ...(row.snapshot == null ? {} : { restored: row.snapshot }),
    paused: row.desired === 'paused',
  };
}

function isLive(state: AgentState | undefined): boolean {
  return state === 'idle' || state === 'running' || state === 'paused';
}

function changed(before: unknown, after: unknown): boolean {
  return JSON.stringify(before) !== JSON.stringify(after);
}
