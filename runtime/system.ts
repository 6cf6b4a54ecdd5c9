// The actor system of a node: joins the folders of the runtime, starts them in order under the supervision tree, stops them in reverse.
// The only file (with its parts in system/) where they meet. What is decided lives in the folders; here is only who talks to whom.

import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { AgentHome } from './agents/agent-home.ts';
import { AgentService } from './agents/agent-service.ts';
import { loadManifest, type ModuleRoot } from './agents/manifest.ts';
import type { AgentTree } from './agents/ports.ts';
import { StandIns } from './agents/stand-ins.ts';
import { NodeWorkforce } from './agents/workforce.ts';
import { openBus } from './bus/open-bus.ts';
import { type Config, threadEnvironment } from './config.ts';
import { canonicalJson } from './contracts/canonical-json.ts';
import type { CoordinationStrategy } from './contracts/coordination.ts';
import { RuntimeError, toWireError } from './contracts/errors.ts';
import type { AgentId, NodeId } from './contracts/ids.ts';
import type { Ambient, Bus, Manifest } from './contracts/ports.ts';
import type { CallContext, EventsApi, SystemApi, TroupeRuntime } from './contracts/runtime.ts';
import type { Store } from './contracts/store.ts';
import type { PoolNotice } from './contracts/wire.ts';
import { DeadLetters } from './messaging/dead-letters.ts';
import { Topics } from './messaging/topics.ts';
import { systemAmbient } from './observe/ambient.ts';
import { createEventFeed } from './observe/event-stream.ts';
import { createLogger } from './observe/logger.ts';
import { createMetrics } from './observe/metrics.ts';
import { createEventsApi } from './observe/stream-events.ts';
import { createThreadPool } from './pool/thread-pool.ts';
import { openStore } from './store/open-store.ts';
import { createSupervisionTree, ESCALATED_EXIT_CODE, type SupervisionTree } from './supervision/supervision-tree.ts';
import { AgentTimers } from './system/agent-timers.ts';
import { createBidders } from './system/bidders.ts';
import { OBSERVE_MS, systemChores } from './system/chores.ts';
import { CellRequests } from './system/requests.ts';
import { createRunObserver } from './system/run-observer.ts';
import { NodeStatus, type Phase } from './system/status.ts';
import { createCapabilityResolver } from './tasks/capability-resolver.ts';
import { Dispatcher } from './tasks/dispatcher.ts';
import { LeaseKeeper } from './tasks/lease-keeper.ts';
import { runsIsolated } from './tasks/retry-policy.ts';
import { Sweeper } from './tasks/sweeper.ts';
import { TaskService } from './tasks/task-service.ts';
import { WorkflowService } from './workflows/workflow-service.ts';

/** The exit code of a node whose lease expired and was swept: its work belongs to others. The parent process starts a new incarnation. */
export const LEASE_LOST_EXIT_CODE = 81;
/** The exit code of a node whose embedded database is gone. What was accepted is in its folder; the next incarnation goes on with it. */
export const STORE_GONE_EXIT_CODE = 82;
export { ESCALATED_EXIT_CODE };

export interface SystemOptions {
  readonly config: Config;
  /** Where agent modules are. */
  readonly roots: readonly ModuleRoot[];
  readonly strategies: readonly CoordinationStrategy[];
  readonly version: string;
  readonly threads: number;
  /** The node cannot go on: escalated to the root, or its lease is lost. Everything is stopped by then. */
  readonly onExit?: (code: number, why: string) => void;
  /** Default: real clock, randomness and the logger of the configuration. */
  readonly ambient?: Ambient;
  /** Whether an Ollama server answers; for the status. */
  readonly ollama?: () => Promise<'up' | 'down'>;
}

const SPAWN_TIMEOUT_MS = 10_000;
const STUCK_KILL_MS = 30_000;
const SETTLE_LOOK_MS = 5;

/**
 * Opens the store, takes the lease, starts threads, agents and work, and takes up what a former incarnation left.
 * @throws RuntimeError `store_locked`, `store_foreign`, `store_unavailable`, `schema_version`, `not_a_module`, `config_invalid`.
 */
export async function startSystem(options: SystemOptions): Promise<TroupeRuntime & { readonly agents: AgentService }> {
  const { config } = options;
  const ambient = options.ambient ?? systemAmbient(createLogger(config));
  const manifest = await loadManifest(options.roots);
  const node = ambient.newId('node');
  const { databaseUrl, dataDir, leaseMs, redisUrl } = config;
  const store = await openStore({ dataDir, node, leaseMs, ...(databaseUrl ? { databaseUrl } : {}) }, ambient);
  try {
    const bus = await openBus({ redisUrl, log: ambient.log });
    const system = new NodeSystem({ options, ambient, manifest, node, store, bus });
    await system.start();
    return system;
  } catch (error) {
    await store.close();
    throw error;
  }
}

interface Foundation {
  readonly options: SystemOptions;
  readonly ambient: Ambient;
  readonly manifest: Manifest;
  readonly node: NodeId;
  readonly store: Store;
  readonly bus: Bus;
}

const DEFAULT_CALL: CallContext = { tenant: 'default' };

/** States: starting -> running <-> draining -> stopped. */
class NodeSystem implements TroupeRuntime {
  readonly agents: AgentService;
  readonly tasks: TaskService;
  readonly workflows: WorkflowService;
  readonly events: EventsApi;
  readonly system: SystemApi;
  readonly #foundation: Foundation;
  readonly #tree: SupervisionTree;
  readonly #pool;
  readonly #home: AgentHome;
  readonly #workforce = new NodeWorkforce();
  readonly #standIns: StandIns;
  readonly #dispatcher: Dispatcher;
  readonly #sweeper: Sweeper;
  readonly #lease: LeaseKeeper;
  readonly #feed;
  readonly #metrics;
  readonly #status: NodeStatus;
  readonly #deadLetters: DeadLetters;
  readonly #requests: CellRequests;
  #phase: Phase = 'starting';
  #stopping: Promise<void> | undefined;

  constructor(foundation: Foundation) {
    this.#foundation = foundation;
    const { options, ambient, manifest, node, store, bus } = foundation;
    const { config } = options;
    const { clock, log } = ambient;
    const feed = createEventFeed({ clock, log });
    this.#feed = feed;
    this.#deadLetters = new DeadLetters({
      store: store.deadLetters,
      feed,
      ambient,
      tenantOf: (id) => this.#home.get(this.#standIns.agentOf(id as AgentId) ?? id)?.row.tenant ?? 'default',
    });
    this.#tree = createSupervisionTree({
      ambient,
      node,
      onEvent: (event) => feed.notice(event),
      onExit: (code, why) => void this.#die(code, why),
    });
    this.#pool = createThreadPool(
      {
        threads: options.threads,
        node,
        maxOldGenerationSizeMb: config.threadHeapMb,
        beatMs: config.beatMs,
        stuckAfterMs: config.stuckAfterMs,
        stuckKillMs: STUCK_KILL_MS,
        graceMs: config.graceMs,
        spawnTimeoutMs: SPAWN_TIMEOUT_MS,
        env: threadEnvironment(config),
        onRequest: (cell, request) => this.#requests.answer(cell, request),
      },
      ambient,
    );
    const tree = agentTree(this.#tree);
    this.#home = new AgentHome({
      store,
      tree,
      pool: this.#pool,
      workforce: this.#workforce,
      manifest,
      node,
      ambient,
      settled: (id) => this.#settled(id),
      onUnobserved: () => this.#sweeper.soon('agent-states', OBSERVE_MS),
    });
    this.#standIns = new StandIns({
      pool: this.#pool,
      specFor: (agent, standIn) => this.#home.standInFor(agent, standIn),
      ambient,
    });
    this.#dispatcher = new Dispatcher({
      store: store.tasks,
      events: store.events,
      workforce: this.#workforce,
      runner: {
        runTask: async (agent, task) => {
          const runner = runsIsolated(task) ? this.#standIns : this.#pool;
          const outcome = await runner.runTask(agent, task);
          if (outcome.type === 'completed' && outcome.snapshot !== undefined) this.#home.markSaved(agent);
          return outcome;
        },
        cancelTask: (taskId, fence, graceMs) => this.#standIns.cancelTask(taskId, fence, graceMs),
      },
      bus,
      feed,
      ambient,
      config: { ...config, pulsed: true },
      resolve: (wish, tenant) => resolver.resolve(wish, tenant),
      onScheduled: (inMs) => this.#sweeper.soon('promote', inMs),
      onMail: (mail) => this.workflows.deliver(mail),
    });
    const resolver = createCapabilityResolver({ workforce: this.#workforce, agents: store.agents, manifest, clock });
    this.tasks = new TaskService({
      store: store.tasks,
      events: store.events,
      agents: store.agents,
      node,
      dispatcher: this.#dispatcher,
      workforce: this.#workforce,
      resolver,
      feed,
      bus,
      ambient,
      config,
      onScheduled: (inMs) => this.#sweeper.soon('promote', inMs),
    });
    this.workflows = new WorkflowService({
      store: store.workflows,
      tasks: store.tasks,
      strategies: options.strategies,
      node,
      capabilities: resolver,
      bidders: createBidders({
        workforce: this.#workforce,
        home: this.#home,
        agents: { ask: (...question) => this.agents.ask(...question) },
        resolver,
      }),
      slots: this.#dispatcher,
      waiting: (task, tenant) => this.tasks.waitingFor(task, tenant),
      stopRunning: (claims) => void this.#dispatcher.onLost(claims.map(({ taskId }) => taskId)),
      observer: createRunObserver(this.#tree.workflows, (id) => this.workflows.poll().then(() => id)),
      feed,
      bus,
      ambient,
      pollMs: config.pollMs,
      pulsed: true,
      draining: () => this.#phase !== 'running',
    });
    this.agents = new AgentService({
      store,
      home: this.#home,
      tree,
      pool: this.#pool,
      manifest,
      feed,
      ambient,
      node,
      runningOn: (id) => this.#dispatcher.runningOn(id),
      draining: () => this.#phase !== 'running',
      hash: (value) => createHash('sha256').update(canonicalJson(value)).digest('hex'),
    });
    const topics = new Topics((to, type, body, from) => void this.#pool.tell(to, type, body, from ? { from } : {}));
    const timers = new AgentTimers({
      store: store.agentTimers,
      pool: this.#pool,
      ambient,
      onSet: (inMs) => this.#sweeper.soon('agent-timers', inMs),
    });
    this.#requests = new CellRequests(() => ({
      agents: this.agents,
      home: this.#home,
      tasks: this.tasks,
      tree,
      pool: this.#pool,
      topics,
      timers,
      feed,
      ambient,
      agentOf: (id) => this.#standIns.agentOf(id),
    }));
    this.#lease = new LeaseKeeper({
      leases: store.leases,
      ambient,
      leaseMs: config.leaseMs,
      onDoubt: () => this.#dispatcher.suspend(),
      onBack: () => this.#dispatcher.resume(),
      onLost: () => {
        this.#dispatcher.loseLease();
        void this.#die(LEASE_LOST_EXIT_CODE, 'the lease of this node expired and its work was given to others');
      },
    });
    this.#sweeper = new Sweeper(
      ambient,
      systemChores({
        store,
        dispatcher: this.#dispatcher,
        lease: this.#lease,
        home: this.#home,
        workforce: this.#workforce,
        workflows: this.workflows,
        timers,
        feed,
        bus,
        ambient,
        config,
      }),
    );
    this.#metrics = createMetrics({
      feed,
      clock,
      log,
      version: options.version,
      sources: {
        agents: () => this.#tree.agents.counts(),
        typeOf: (id) => this.#tree.agents.get(id)?.type,
        threads: () => this.#pool.threadStats(),
        tasks: () => store.tasks.counts(),
      },
    });
    this.#status = new NodeStatus({
      store,
      bus,
      pool: this.#pool,
      ambient,
      version: options.version,
      redis: config.redisUrl !== undefined,
      ollama: options.ollama ?? (async () => 'down'),
      agents: () => this.#tree.agents.counts(),
      phase: () => this.#phase,
      committed: () => this.#dispatcher.counters().committed,
      startable: () => this.#tasksWaitForNothing(),
    });
    this.events = createEventsApi({ feed, store: store.events, clock, pollMs: config.pollMs });
    this.system = this.#systemApi();
    this.#listen(tree);
  }

  async start(): Promise<void> {
    const { store, ambient, node, manifest, options } = this.#foundation;
    const openedAtMs = ambient.clock.monotonicMs();
    await store.leases.open({
      id: node,
      host: hostname(),
      pid: process.pid,
      leaseMs: options.config.leaseMs,
      manifest: manifest.entries(),
      reclaimAll: store.kind === 'pglite',
    });
    this.#lease.opened(openedAtMs);
    if (store.kind === 'pglite') await store.leases.sweep({ poisonAfter: options.config.poisonAfter });
    this.#tree.addSystemChild('threads', {
      id: 'pool',
      start: () => this.#pool.start(),
      stop: () => this.#pool.stop(),
      shutdownMs: 30_000,
    });
    this.#tree.addSystemChild('workflows', {
      id: 'runs',
      start: () => this.workflows.open(),
      stop: () => this.workflows.close(),
      shutdownMs: 10_000,
    });
    this.#tree.addSystemChild('work', {
      id: 'dispatcher',
      start: async () => this.#dispatcher.start(),
      stop: () => this.#dispatcher.stop(),
      shutdownMs: 15_000,
    });
    this.#tree.addSystemChild('work', {
      id: 'sweeper',
      start: async () => this.#sweeper.start(),
      stop: () => this.#sweeper.stop(),
      shutdownMs: 15_000,
    });
    this.#phase = 'running';
    await this.#tree.start();
    await this.#home.adopt();
    this.#feed.notice({ stream: node, type: 'node.started', tenant: 'default', data: { version: options.version } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.system.stop();
  }

  /** Carries what the pool and the tree tell to those concerned. */
  #listen(tree: AgentTree): void {
    this.#pool.onNotice((notice) => this.#onNotice(notice));
    this.#tree.agents.onTransition(({ id, to }) => {
      const over = to === 'terminated';
      // Only an end has a reason, and looking an agent up makes a view of it.
      this.#home.onTransition(id as AgentId, to, over ? (tree.get(id as AgentId)?.reason ?? null) : null);
      if (over) this.#requests.forget(id as AgentId);
    });
    const { store } = this.#foundation;
    // A server comes back by itself; the thread of the embedded database does not.
    store.onHealth((up) => {
      if (!up && store.kind === 'pglite') void this.#die(STORE_GONE_EXIT_CODE, 'the embedded database is gone');
    });
    this.#foundation.bus.subscribe((hint) => {
      if (hint.type === 'queue' && hint.queue.startsWith('agent:')) this.#workforce.mention(hint.queue);
      if (hint.type === 'agent') this.#sweeper.soon('agent-commands');
    });
  }

  #onNotice(notice: PoolNotice): void {
    const { ambient, node } = this.#foundation;
    switch (notice.type) {
      case 'thread.up':
      case 'thread.down':
      case 'thread.stuck':
        this.#tree.threads.notify(notice);
        this.#feed.notice({ stream: node, type: notice.type, tenant: 'default', data: { ...notice, type: undefined } });
        break;
      case 'cell.transition':
      case 'cell.failed':
      case 'cell.lost':
      case 'cell.done':
        this.#tree.agents.notify(notice);
        break;
      case 'dead-letter':
        this.#deadLetters.add(notice.letter);
        break;
      case 'log':
        ambient.log[notice.line.level](notice.line.message, {
          ...notice.line.fields,
          agent: notice.id,
          thread: notice.thread,
        });
        break;
    }
  }

  #systemApi(): SystemApi {
    const { store, node } = this.#foundation;
    return {
      node,
      status: (call = DEFAULT_CALL) => this.#status.status(call),
      metrics: () => this.#metrics.report(),
      prometheus: () => this.#metrics.prometheus(),
      tree: () => this.#tree.tree(),
      ready: () => this.#status.ready(),
      initialize: () => this.#initialize(),
      drain: (options = {}) => this.#drain(options.timeoutMs),
      stop: (options = {}) => this.#stop(options.timeoutMs),
      killThread: (thread, how = 'terminate') => this.#pool.killThread(thread, how),
      deadLetters: async (filter, call = DEFAULT_CALL) => {
        await this.#deadLetters.flush();
        return store.deadLetters.list({ tenant: call.tenant, ...filter, limit: filter.limit ?? 50 });
      },
    };
  }

  /** Waits until nothing of this agent is being settled; what runs there when it is lost settles as lost. */
  async #settled(id: AgentId): Promise<void> {
    const { clock } = this.#foundation.ambient;
    while (this.#phase !== 'stopped' && this.#dispatcher.runningOn(id).length > 0) {
      await new Promise<void>((resolve) => clock.setTimeout(resolve, SETTLE_LOOK_MS));
    }
  }

  /** Queued tasks that a free slot of this node could take. */
  async #tasksWaitForNothing(): Promise<boolean> {
    if (this.#dispatcher.draining) return false;
    const { queues } = await this.#foundation.store.tasks.counts();
    return queues.some(({ queue, queued }) => queued > 0 && this.#workforce.freeIn(queue) > 0);
  }

  async #initialize(): Promise<void> {
    if (this.#phase === 'stopped') throw new RuntimeError('draining', 'this node is stopped; start it again');
    if (this.#phase !== 'draining') return;
    await this.#foundation.store.leases.setDraining(false);
    this.#tree.resume();
    this.#phase = 'running';
    this.#dispatcher.start();
  }

  async #drain(timeoutMs = this.#foundation.options.config.drainMs): Promise<void> {
    if (this.#phase === 'draining' || this.#phase === 'stopped') return;
    const { store, node, ambient } = this.#foundation;
    this.#phase = 'draining';
    this.#tree.drain();
    this.#feed.notice({ stream: node, type: 'node.draining', tenant: 'default', data: {} });
    await store.leases.setDraining(true).catch((error: unknown) => {
      ambient.log.warn('the database does not know that this node drains', { error: toWireError(error).message });
    });
    const handedBack = await this.#dispatcher.drain(timeoutMs);
    if (handedBack.length > 0) ambient.log.info('tasks were given back', { tasks: handedBack.length });
  }

  #stop(timeoutMs?: number): Promise<void> {
    this.#stopping ??= this.#stopAll(timeoutMs);
    return this.#stopping;
  }

  async #stopAll(timeoutMs = this.#foundation.options.config.drainMs): Promise<void> {
    await this.#drain(timeoutMs);
    await this.#tree.stop({ mode: 'drain', timeoutMs });
    await this.#close();
  }

  /** What lies under the tree, in the order in which it is needed less. */
  async #close(): Promise<void> {
    const { store, bus, ambient } = this.#foundation;
    this.#phase = 'stopped';
    this.tasks.close();
    this.#lease.stop();
    this.#metrics.close();
    await this.#deadLetters.flush();
    const quietly = (what: string) => (error: unknown) =>
      ambient.log.warn(`${what} failed at the stop`, { error: toWireError(error).message });
    await this.#home.flushObserved().catch(quietly('the roll-up of agents'));
    await store.leases.release().catch(quietly('giving back the lease'));
    await bus.close().catch(quietly('closing the bus'));
    await store.close().catch(quietly('closing the store'));
  }

  /** Cannot go on: stops what is left and says so. */
  async #die(code: number, why: string): Promise<void> {
    const { ambient, options } = this.#foundation;
    ambient.log.error('this node ends', { code, why });
    this.#stopping ??= this.#tree.stop({ mode: 'stop', timeoutMs: 0 }).then(() => this.#close());
    await this.#stopping;
    options.onExit?.(code, why);
  }
}

/** The tree as the agents' part of the runtime knows it. */
function agentTree({ agents }: SupervisionTree): AgentTree {
  return {
    spawn: (agent) => agents.spawn(agent),
    stop: (id, mode, timeoutMs) => agents.stop(id, mode, timeoutMs),
    watch: (id, listener) => agents.watch(id, listener),
    get(id) {
      const view = agents.get(id);
      if (view === undefined) return undefined;
      const { state, incarnation, restarts, errors, startedAtMs } = view;
      return {
        state,
        thread: view.thread ?? null,
        incarnation,
        restarts,
        errors,
        reason: view.reason ?? null,
        startedAtMs,
      };
    },
  };
}
