// AgentsApi: what the library, REST and CLI may do with agents. Commands are compare-and-swap writes first, then signals to the cell.

import type { ManifestEntry } from '../contracts/actor.ts';
import {
  type AgentState,
  type AgentView,
  agentStateSchema,
  type CreateAgent,
  createAgentSchema,
  type Labels,
  LIFECYCLE_EVENTS,
  type LifecycleEvent,
  type UpdateAgent,
  updateAgentSchema,
} from '../contracts/agent.ts';
import { traceOf } from '../contracts/call.ts';
import type { DurableDoor, DurableSend } from '../contracts/durable.ts';
import { type DurableTell, maxAttemptsSchema, type StoredTell, type TellResult } from '../contracts/envelope.ts';
import { RuntimeError } from '../contracts/errors.ts';
import { type AgentId, isId, type NodeId } from '../contracts/ids.ts';
import type { RemoteRoute } from '../contracts/messaging.ts';
import type { Ambient, Bus, Dispose, EventFeed, Manifest, ThreadPool } from '../contracts/ports.ts';
import type { AgentListFilter, AgentsApi, AskOptions, CallContext, RemovalReport } from '../contracts/runtime.ts';
import type { AgentRow, Page, Store } from '../contracts/store.ts';
import type { Terminated } from '../contracts/supervision.ts';
import { invalidInput, parseInput } from '../contracts/validation.ts';
import type { CellStats } from '../contracts/wire.ts';
import type { AgentHome, Resident } from './agent-home.ts';
import { viewOf } from './agent-view.ts';
import { fits, labelText, requirementsOf, waitsFor } from './hosting.ts';
import { unknownType } from './manifest.ts';
import type { AgentTree, RunningOn } from './ports.ts';

export interface AgentServiceOptions {
  readonly store: Store;
  readonly home: AgentHome;
  readonly tree: AgentTree;
  readonly pool: ThreadPool;
  readonly manifest: Manifest;
  readonly feed: EventFeed;
  readonly ambient: Ambient;
  readonly node: NodeId;
  /** The way to agents of other nodes; undefined where there are none. */
  readonly elsewhere: () => RemoteRoute | undefined;
  readonly runningOn: RunningOn;
  /** Messages that are kept until they are handled. */
  readonly durable: () => DurableDoor;
  readonly draining: () => boolean;
  /** Nobody else can have what this node owns. */
  readonly held: () => boolean;
  readonly bus: Pick<Bus, 'publish'>;
  /** Of this node. */
  readonly labels: Labels;
  /** SHA-256 of a value's canonical JSON. */
  readonly hash: (value: unknown) => string;
}

const DEFAULT_CALL: CallContext = { tenant: 'default' };
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;
const DEFAULT_DRAIN_MS = 20_000;
const STATS_FRESH_MS = 250;
const MAX_ADDRESSES = 10_000;
const NO_STATS: ReadonlyMap<AgentId, CellStats> = new Map();

export class AgentService implements AgentsApi {
  readonly #options: AgentServiceOptions;
  /** Agents of other nodes that were written to, by tenant and id. */
  readonly #addresses = new Map<string, AgentId>();
  #stats: { readonly atMs: number; readonly byId: Promise<ReadonlyMap<AgentId, CellStats>> } | undefined;

  constructor(options: AgentServiceOptions) {
    this.#options = options;
  }

  async create(agent: CreateAgent, call: CallContext = DEFAULT_CALL): Promise<AgentView> {
    const { store, home, manifest, ambient, feed, hash } = this.#options;
    if (this.#options.draining()) throw new RuntimeError('draining', 'this node is draining and takes no new agents');
    const wanted = parseInput(createAgentSchema, agent);
    const entry = this.#activeType(wanted.type);
    refuseForeignCapabilities(entry, wanted.capabilities);
    const requires = requirementsOf(entry.requires, wanted.requires);
    this.#refuseUnhostable(requires);
    const id = ambient.newId('agent');
    const outcome = await store.agents.create({
      id,
      tenant: call.tenant,
      type: wanted.type,
      defHash: entry.defHash,
      name: wanted.name?.normalize('NFC') ?? `${wanted.type}-${id.slice(-8)}`,
      config: wanted.config ?? {},
      capabilities: wanted.capabilities ?? null,
      isolation: wanted.isolation ?? entry.isolation,
      ...(wanted.labels ? { labels: wanted.labels } : {}),
      ...(requires ? { requires } : {}),
      ...(wanted.passivateAfterMs === undefined ? {} : { passivateAfterMs: wanted.passivateAfterMs }),
      ...(call.idempotencyKey ? { idempotency: { key: call.idempotencyKey, bodyHash: hash(wanted) } } : {}),
    });
    switch (outcome.outcome) {
      case 'created':
        feed.publish(outcome.events);
        if (outcome.agent.owner === null) {
          this.#options.bus.publish({ type: 'agent', agentId: id });
          return this.#view(outcome.agent);
        }
        // A new agent has no figures yet: asking its thread for those of all the others would cost more than the spawn.
        return this.#render(home.launchNew(outcome.agent, manifest.get(entry.type) ?? entry).row, NO_STATS);
      case 'duplicate':
        return this.#view(outcome.agent);
      case 'name_taken':
        throw new RuntimeError('agent_name_taken', `an agent named "${wanted.name}" exists; choose another name`, {
          details: { name: wanted.name },
        });
      case 'mismatch':
        throw new RuntimeError('idempotency_mismatch', 'this Idempotency-Key was used with another body');
    }
  }

  /** Resolves when the agent has started (idle or paused); rejects when its restarts are used up. */
  async started(id: AgentId): Promise<void> {
    await this.#options.home.get(id)?.started;
  }

  async get(idOrName: string, call: CallContext = DEFAULT_CALL): Promise<AgentView> {
    return this.#view(await this.#row(idOrName, call.tenant));
  }

  async list(filter: AgentListFilter, call: CallContext = DEFAULT_CALL): Promise<Page<AgentView>> {
    const { store, home } = this.#options;
    if (filter.state !== undefined) await home.flushObserved();
    const page = await store.agents.list({
      tenant: call.tenant,
      limit: limitOf(filter.limit),
      ...(filter.type === undefined ? {} : { type: filter.type }),
      ...(filter.state === undefined ? {} : { state: parseInput(agentStateSchema, filter.state, 'state') }),
      ...(filter.capability === undefined ? {} : { capability: filter.capability }),
      ...(filter.cursor === undefined ? {} : { cursor: filter.cursor }),
    });
    const stats = await this.#cellStats();
    const hosts = page.items.some(({ owner }) => owner === null) ? await store.cluster.hosts() : [];
    return {
      items: page.items.map((row) => this.#render(row, stats, waitsFor(row, hosts))),
      nextCursor: page.nextCursor,
    };
  }

  async update(
    idOrName: string,
    change: UpdateAgent,
    options: { ifVersion?: number } = {},
    call: CallContext = DEFAULT_CALL,
  ): Promise<AgentView> {
    const wanted = parseInput(updateAgentSchema, change);
    const row = await this.#row(idOrName, call.tenant);
    refuseForeignCapabilities(this.#options.manifest.get(row.type), wanted.capabilities);
    const paused = row.desired === 'paused';
    if (wanted.paused !== undefined && wanted.paused !== paused)
      this.#refuseIllegal(row, wanted.paused ? 'pause' : 'resume');
    return this.#write(
      row,
      {
        ...(wanted.config === undefined ? {} : { config: wanted.config }),
        ...(wanted.capabilities === undefined ? {} : { capabilities: wanted.capabilities }),
        ...(wanted.labels === undefined ? {} : { labels: wanted.labels }),
        ...(wanted.paused === undefined ? {} : { desired: wanted.paused ? ('paused' as const) : ('running' as const) }),
      },
      options.ifVersion,
    );
  }

  async pause(idOrName: string, call: CallContext = DEFAULT_CALL): Promise<AgentView> {
    const row = await this.#row(idOrName, call.tenant);
    this.#refuseIllegal(row, 'pause');
    return this.#write(row, { desired: 'paused' });
  }

  async resume(idOrName: string, call: CallContext = DEFAULT_CALL): Promise<AgentView> {
    const row = await this.#row(idOrName, call.tenant);
    this.#refuseIllegal(row, 'resume');
    return this.#write(row, { desired: 'running' });
  }

  async remove(
    idOrName: string,
    options: { mode?: 'drain' | 'force'; timeoutMs?: number } = {},
    call: CallContext = DEFAULT_CALL,
  ): Promise<RemovalReport> {
    const { store, home, feed, ambient, runningOn } = this.#options;
    const row = await this.#row(idOrName, call.tenant);
    const mode = options.mode ?? 'drain';
    const beganMs = ambient.clock.monotonicMs();
    const mailbox = home.get(row.id) ? ((await this.#cellStats()).get(row.id)?.mailbox ?? 0) : 0;
    const before = runningOn(row.id);
    const written = await store.agents.update(row.id, call.tenant, {
      desired: 'terminated',
      state: 'terminated',
      reason: 'removed',
    });
    if (written.outcome === 'updated') feed.publish(written.events);
    await (mode === 'drain'
      ? home.end(row.id, 'drain', options.timeoutMs ?? DEFAULT_DRAIN_MS)
      : home.end(row.id, 'stop', 0));
    const handedBack = mode === 'force' ? before : before.filter((task) => runningOn(row.id).includes(task));
    return {
      id: row.id,
      mode,
      tasksReassigned: handedBack,
      messagesDeadLettered: mode === 'force' ? mailbox : 0,
      afterMs: Math.round(ambient.clock.monotonicMs() - beganMs),
    };
  }

  tell(idOrName: string, type: string, body: unknown, call?: CallContext): Promise<TellResult>;
  tell(idOrName: string, type: string, body: unknown, call: Partial<CallContext> & DurableTell): Promise<StoredTell>;
  async tell(
    idOrName: string,
    type: string,
    body: unknown,
    given: Partial<CallContext> & Partial<DurableTell> = {},
  ): Promise<TellResult | StoredTell> {
    const { durable, maxAttempts, ...rest } = given;
    const call = { ...DEFAULT_CALL, ...rest };
    if (!durable)
      return this.#options.pool.tell(await this.#resident(idOrName, call.tenant), type, body, traceOf(call));
    if (maxAttempts !== undefined) parseInput(maxAttemptsSchema, maxAttempts, 'maxAttempts');
    const mail = await this.#mail(idOrName, type, body, call);
    return this.#options.durable().send({ ...mail, ...(maxAttempts === undefined ? {} : { maxAttempts }) });
  }

  async ask(
    idOrName: string,
    type: string,
    body: unknown,
    { durable, correlationId, ...options }: AskOptions,
    call: CallContext = DEFAULT_CALL,
  ): Promise<unknown> {
    if (durable) {
      const given = { ...options, ...(correlationId === undefined ? {} : { correlationId }) };
      return (await this.askDurably(idOrName, type, body, given, call)).reply;
    }
    return this.#options.pool.ask(await this.#resident(idOrName, call.tenant), type, body, {
      ...options,
      ...traceOf(call),
    });
  }

  async watch(
    idOrName: string,
    listener: (end: Terminated) => void,
    call: CallContext = DEFAULT_CALL,
  ): Promise<Dispose> {
    const { home, tree, store, elsewhere } = this.#options;
    const resident = home.find(idOrName, call.tenant);
    const remote = resident ? undefined : elsewhere();
    const row = remote ? await store.agents.get(idOrName, call.tenant) : null;
    // Over Redis only what lives elsewhere and may live on: all else is told here and now.
    if (remote && row && row.desired !== 'terminated') return remote.watch(row.id, listener);
    return tree.watch(resident?.row.id ?? row?.id ?? (idOrName as AgentId), listener);
  }

  types(): readonly ManifestEntry[] {
    return this.#options.manifest.entries();
  }

  registerType(type: string): ManifestEntry {
    return this.#options.manifest.register(type);
  }

  /** As an ask with `durable`, and whether the reply is that of an earlier question with the same correlation. */
  async askDurably(
    idOrName: string,
    type: string,
    body: unknown,
    options: Omit<AskOptions, 'durable'>,
    call: CallContext,
  ): Promise<{ readonly reply: unknown; readonly replayed: boolean }> {
    const { idempotencyKey: _, ...mail } = await this.#mail(idOrName, type, body, call);
    return this.#options.durable().ask({ ...mail, ...options });
  }

  /** A durable message from outside. Whether there is such an agent is seen when it is accepted. */
  async #mail(idOrName: string, type: string, body: unknown, call: CallContext): Promise<DurableSend> {
    const to = isId('agent', idOrName) ? idOrName : (await this.#row(idOrName, call.tenant)).id;
    return {
      ...{ tenant: call.tenant, to, type, body },
      ...(call.subject === undefined ? {} : { subject: call.subject }),
      ...(call.idempotencyKey === undefined ? {} : { idempotencyKey: call.idempotencyKey }),
      ...traceOf(call),
    };
  }

  /** An embedded database is one node's own: what it cannot host nobody ever will. */
  #refuseUnhostable(requires: Labels | undefined): void {
    const { store, labels } = this.#options;
    if (store.kind !== 'pglite' || fits(labels, requires)) return;
    const why = `no node can host it: it requires ${labelText(requires ?? {})}, and this node, the only one of its database, has ${labelText(labels) || 'no labels'}`;
    throw new RuntimeError('no_node_fits', `${why}; set TROUPE_LABELS`, { details: { requires, labels } });
  }

  #activeType(type: string): ManifestEntry {
    const entry = this.#options.manifest.get(type);
    if (entry?.active) return entry;
    const known = this.types().filter(({ active }) => active);
    throw unknownType(
      type,
      known.map((each) => each.type),
    );
  }

  async #row(idOrName: string, tenant: string): Promise<AgentRow> {
    const resident = this.#options.home.find(idOrName, tenant);
    if (resident) return resident.row;
    const row = await this.#options.store.agents.get(idOrName, tenant);
    if (!row || row.reason === 'removed') throw notFound(idOrName);
    return row;
  }

  async #resident(idOrName: string, tenant: string): Promise<AgentId> {
    const resident = this.#options.home.find(idOrName, tenant);
    if (resident) {
      if (this.#options.held()) return resident.row.id;
      // Another node may have it by now, and what this one has would answer with a state of the past.
      const message = 'the lease of this node could not be renewed; it does not speak for its agents until it is';
      throw new RuntimeError('lease_lost', message, { details: { id: resident.row.id } });
    }
    const known = this.#addresses.get(`${tenant}/${idOrName}`);
    if (known !== undefined) return known;
    const row = await this.#row(idOrName, tenant);
    if (!this.#options.elsewhere()) {
      throw new RuntimeError('actor_not_found', `agent ${row.id} does not live on this node`, {
        details: { id: row.id, node: row.owner },
      });
    }
    // An id says for ever who is meant, a name does not.
    if (idOrName === row.id) this.#remember(`${tenant}/${idOrName}`, row.id);
    return row.id;
  }

  #remember(key: string, id: AgentId): void {
    if (this.#addresses.size >= MAX_ADDRESSES) {
      for (const oldest of this.#addresses.keys()) {
        this.#addresses.delete(oldest);
        break;
      }
    }
    this.#addresses.set(key, id);
  }

  #refuseIllegal(row: AgentRow, event: LifecycleEvent): void {
    const from = this.#stateOf(row);
    if ((LIFECYCLE_EVENTS[event] as readonly AgentState[]).includes(from)) return;
    throw new RuntimeError('illegal_transition', `an agent that is ${from} cannot ${event}`, {
      details: { from, event },
    });
  }

  #stateOf(row: AgentRow): AgentState {
    return this.#options.tree.get(row.id)?.state ?? row.state;
  }

  async #write(
    row: AgentRow,
    change: Parameters<Store['agents']['update']>[2],
    ifVersion?: number,
  ): Promise<AgentView> {
    const { store, feed, home } = this.#options;
    const result = await store.agents.update(row.id, row.tenant, change, ifVersion);
    if (result.outcome === 'not_found') throw notFound(row.id);
    if (result.outcome === 'stale') {
      throw new RuntimeError('version_conflict', `agent ${row.id} has version ${result.agent.version}; read it again`, {
        details: { version: result.agent.version },
      });
    }
    feed.publish(result.events);
    await home.apply(result.agent);
    return this.#view(home.get(row.id)?.row ?? result.agent);
  }

  async #view(row: AgentRow): Promise<AgentView> {
    if (this.#options.home.get(row.id)) return this.#render(row, await this.#cellStats());
    const waiting = row.owner === null ? waitsFor(row, await this.#options.store.cluster.hosts()) : undefined;
    return this.#render(row, NO_STATS, waiting);
  }

  #render(row: AgentRow, stats: ReadonlyMap<AgentId, CellStats>, waiting?: string): AgentView {
    const { tree, pool, ambient, manifest, home } = this.#options;
    const resident: Resident | undefined = home.get(row.id);
    const supervised = resident ? tree.get(row.id) : undefined;
    const thread =
      supervised && supervised.thread !== null
        ? pool.threadStats().find((each) => each.thread === supervised.thread)
        : undefined;
    return viewOf(resident?.row ?? row, manifest.get(row.type), {
      supervised,
      cell: stats.get(row.id),
      thread,
      nowMs: ambient.clock.nowMs(),
      waiting: resident ? undefined : waiting,
    });
  }

  /** One reading serves all callers of the next quarter second. */
  async #cellStats(): Promise<ReadonlyMap<AgentId, CellStats>> {
    const nowMs = this.#options.ambient.clock.monotonicMs();
    if (!this.#stats || nowMs - this.#stats.atMs > STATS_FRESH_MS) {
      const byId = this.#options.pool.cellStats().then(
        (all) => new Map(all.map((stats) => [stats.id, stats])),
        () => new Map<AgentId, CellStats>(),
      );
      this.#stats = { atMs: nowMs, byId };
    }
    return this.#stats.byId;
  }
}

function notFound(idOrName: string): RuntimeError {
  return new RuntimeError('actor_not_found', 'no such agent', { details: { id: idOrName } });
}

function limitOf(limit: number | undefined): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw invalidInput('limit', `expected an integer from 1 to ${MAX_LIMIT}`);
  return limit;
}

function refuseForeignCapabilities(entry: ManifestEntry | undefined, names: readonly string[] | undefined): void {
  if (!entry || !names) return;
  const known = entry.capabilities.map(({ name }) => name);
  const at = names.findIndex((name) => !known.includes(name));
  if (at >= 0) {
    throw invalidInput(
      `capabilities.${at}`,
      `type "${entry.type}" has no capability "${names[at]}"; it has ${known.join(', ') || 'none'}`,
    );
  }
}
