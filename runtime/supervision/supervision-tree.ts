// The supervision tree of a node, as the rest of the main thread uses it: one XState system, root at its top.
// root -> threads, agents, workflows, work, edge. It decides about life and death only; what its parts do is theirs.

import { type Actor, type AnyActorRef, createActor, type InspectionEvent } from 'xstate';
import { fromWireError, RuntimeError, type WireError, wireError } from '../contracts/errors.ts';
import type { NewEvent } from '../contracts/event.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { TreeNode } from '../contracts/runtime.ts';
import type { Backoff, RestartIntensity, SupervisionStrategy } from '../contracts/supervision.ts';
import { backoffSchema } from '../contracts/supervision.ts';
import type { AgentSpec } from './agent-supervisor.ts';
import {
  type AgentCounts,
  AgentsSupervisor,
  type AgentTransition,
  type CellNotice,
  type SupervisedView,
} from './agents-supervisor.ts';
import type { DynamicSupervisor } from './dynamic-supervisor.ts';
import { handleLogic, type SystemChild } from './handle-child.ts';
import { type RootGroup, rootMachine } from './root-supervisor.ts';
import { type ChildSpec, type SupervisorReport, type SupervisorSnapshot, supervisorLogic } from './supervisor.ts';
import { type ThreadNotice, ThreadsSupervisor } from './threads-supervisor.ts';
import type { EndListener } from './watch.ts';
import {
  type CoordinatorHandle,
  type CoordinatorSpec,
  type StepHandle,
  type StepSpec,
  WorkflowsSupervisor,
} from './workflows-supervisor.ts';

export type SystemGroup = 'threads' | 'cluster' | 'workflows' | 'work' | 'edge';

/** The exit code of a node whose root gave up: a system child beyond its budget. The parent process starts it anew. */
export const ESCALATED_EXIT_CODE = 80;

export interface GroupRule {
  readonly strategy?: SupervisionStrategy;
  readonly intensity?: RestartIntensity;
  readonly backoff?: Backoff;
}

export interface SupervisionTreeOptions {
  readonly ambient: Ambient;
  /** The stream of events about system children; default `node`. */
  readonly node?: string;
  /** Their tenant; default `default`. */
  readonly tenant?: string;
  /** Called once, after everything is down, when a system child took the tree with it while it ran. A failed `start` rejects instead. */
  readonly onExit: (code: number, why: string, error: WireError) => void;
  /** supervision.restart, supervision.escalated, agent.transition, agent.terminated. */
  readonly onEvent: (event: NewEvent) => void;
  readonly inspect?: (event: InspectionEvent) => void;
  /** How system children are supervised; default one-for-one, 5 restarts in 10 s. */
  readonly groups?: Partial<Readonly<Record<SystemGroup, GroupRule>>>;
  /** Deaths of pool threads before the tree gives up; default 20 in 10 s. */
  readonly threadIntensity?: RestartIntensity;
  /** Default 10,000 ms. */
  readonly spawnTimeoutMs?: number;
}

export interface StopOptions {
  /** What happens to agents; default `drain`. */
  readonly mode?: 'drain' | 'stop';
  /** Per agent, all at once; default 20,000 ms. */
  readonly timeoutMs?: number;
}

export type TreeState = 'new' | 'booting' | 'running' | 'draining' | 'stopped';

export interface SupervisionTree {
  /** Resolves when every group is up. Rejects with the error of the child that could not start, after the others were stopped. */
  start(): Promise<void>;
  /** Started in the order added, within its group; after `start`, at once. A failure at that point goes to its supervisor. */
  addSystemChild(group: SystemGroup, child: SystemChild): void;
  removeSystemChild(group: SystemGroup, id: string): void;
  readonly agents: {
    spawn(spec: AgentSpec): Promise<{ thread: number; incarnation: number }>;
    notify(notice: CellNotice): void;
    stop(id: string, mode: 'drain' | 'stop', timeoutMs: number): Promise<void>;
    get(id: string): SupervisedView | undefined;
    list(): IterableIterator<SupervisedView>;
    counts(): AgentCounts;
    watch(id: string, listener: EndListener): Dispose;
    endedElsewhere(end: Parameters<EndListener>[0]): void;
    onTransition(listener: (transition: AgentTransition) => void): Dispose;
  };
  readonly threads: { notify(notice: ThreadNotice): void };
  readonly workflows: {
    spawn(id: string, spec: CoordinatorSpec): CoordinatorHandle;
    step(workflowId: string, step: string, spec: StepSpec): StepHandle | undefined;
    stop(id: string): void;
    /** Whose run it is; undefined where that is not known. */
    about(id: string): CoordinatorSpec['about'];
    readonly size: number;
  };
  state(): TreeState;
  /** From the root down. With a tenant: of agents and runs only its own. */
  tree(tenant?: string): TreeNode;
  /** The groups of the tree; that of the agents without its children. */
  groups(): readonly TreeNode[];
  /** Takes no new agents; what runs is left alone. Undone by `resume`. Both are idempotent. */
  drain(): void;
  resume(): void;
  /** Stops everything in reverse order and resolves when it is down, on every path. Nothing is left: no timer, no actor. */
  stop(options?: StopOptions): Promise<void>;
  /** The root and its groups, as XState actors. */
  actors(): readonly AnyActorRef[];
  /** XState's id of the root; empty before the start. */
  rootSession(): string;
  /** Watches the actors of the tree (XState inspection) until disposed. */
  inspect(observer: (event: InspectionEvent) => void): Dispose;
}

const DEFAULT_INTENSITY: RestartIntensity = { maxRestarts: 5, withinMs: 10_000 };
const DEFAULT_THREAD_INTENSITY: RestartIntensity = { maxRestarts: 20, withinMs: 10_000 };
const DEFAULT_STOP_MS = 20_000;
const FAILED_STOP_MS = 2_000;
const DEFAULT_CHILD_STOP_MS = 5_000;
const MARGIN_MS = 2_000;

export function createSupervisionTree(options: SupervisionTreeOptions): SupervisionTree {
  return new Tree(options);
}

class Tree implements SupervisionTree {
  readonly agents: AgentsSupervisor;
  readonly threads: ThreadsSupervisor;
  readonly workflows: WorkflowsSupervisor;
  readonly #options: SupervisionTreeOptions;
  readonly #children: Record<SystemGroup, SystemChild[]> = {
    threads: [],
    cluster: [],
    workflows: [],
    work: [],
    edge: [],
  };
  readonly #observers = new Set<(event: InspectionEvent) => void>();
  /** Made at the start: its first group is built with it. */
  #root: Actor<typeof rootMachine> | undefined;
  #begun = false;
  #settleStart: { resolve: () => void; reject: (error: Error) => void } | undefined;
  readonly #onStopped: (() => void)[] = [];
  #agentStopMs = DEFAULT_STOP_MS;

  constructor(options: SupervisionTreeOptions) {
    this.#options = options;
    const { ambient, spawnTimeoutMs = 10_000, threadIntensity = DEFAULT_THREAD_INTENSITY } = options;
    const onEvent = (event: NewEvent) => this.#emit(event);
    const limits = { spawnTimeoutMs, haltMs: DEFAULT_CHILD_STOP_MS };
    this.agents = new AgentsSupervisor({ ambient, limits, onEvent });
    this.workflows = new WorkflowsSupervisor(ambient);
    const { stream, tenant } = this.#origin();
    this.threads = new ThreadsSupervisor({ ambient, intensity: threadIntensity, onEvent, stream, tenant });
    if (options.inspect !== undefined) this.#observers.add(options.inspect);
  }

  start(): Promise<void> {
    if (this.#begun) return Promise.reject(new RuntimeError('illegal_transition', 'the tree was started before'));
    this.#begun = true;
    return new Promise((resolve, reject) => {
      this.#settleStart = { resolve, reject };
      this.#root = this.#createRoot();
      this.#root.start();
    });
  }

  addSystemChild(group: SystemGroup, child: SystemChild): void {
    if (this.#children[group].some(({ id }) => id === child.id)) {
      throw new RuntimeError('illegal_transition', `${group} has a child ${child.id} already`);
    }
    this.#children[group].push(child);
    this.#groupRef(group)?.send({ type: 'add', spec: this.#handleSpec(child) });
  }

  removeSystemChild(group: SystemGroup, id: string): void {
    this.#children[group] = this.#children[group].filter((child) => child.id !== id);
    this.#groupRef(group)?.send({ type: 'remove', id });
  }

  state(): TreeState {
    if (this.#root === undefined) return 'new';
    const value = this.#root.getSnapshot().value;
    return typeof value === 'string' ? value : 'draining';
  }

  drain(): void {
    this.agents.accept(false);
    this.#root?.send({ type: 'drain' });
  }

  resume(): void {
    this.#root?.send({ type: 'resume' });
    if (this.state() === 'running') this.agents.accept(true);
  }

  stop(options: StopOptions = {}): Promise<void> {
    if (!this.#begun || this.state() === 'stopped') return Promise.resolve();
    this.#closeAgents(options.mode ?? 'drain', options.timeoutMs ?? DEFAULT_STOP_MS);
    return new Promise((resolve) => {
      this.#onStopped.push(resolve);
      this.#root?.send({ type: 'stop' });
    });
  }

  inspect(observer: (event: InspectionEvent) => void): Dispose {
    if (this.#root === undefined) {
      this.#observers.add(observer);
      return () => {
        this.#observers.delete(observer);
      };
    }
    const subscription = this.#root.system.inspect((event) => this.#guarded(() => observer(event)));
    return () => subscription.unsubscribe();
  }

  actors(): readonly AnyActorRef[] {
    if (this.#root === undefined) return [];
    const children: Readonly<Record<string, AnyActorRef | undefined>> = this.#root.getSnapshot().children;
    return [this.#root, ...Object.values(children).filter((child) => child !== undefined)];
  }

  rootSession(): string {
    return this.#root?.sessionId ?? '';
  }

  tree(tenant?: string): TreeNode {
    const own = ({ id, kind }: TreeNode): boolean =>
      tenant === undefined || kind !== 'coordinator' || this.workflows.about(id)?.tenant === tenant;
    return {
      id: 'root',
      kind: 'root',
      state: this.state(),
      children: this.groups().map((group) => ({
        ...group,
        children: group.id === 'agents' ? this.#agentNodes(tenant) : group.children.filter(own),
      })),
    };
  }

  groups(): readonly TreeNode[] {
    const status = this.#groupRef('agents')?.getSnapshot().status;
    return [
      this.#groupNode('threads', this.threads.children, 'thread'),
      this.#groupNode('cluster'),
      { id: 'agents', kind: 'supervisor', state: status === 'active' ? 'running' : 'down', children: [] },
      this.#groupNode('workflows', this.workflows.children, 'coordinator'),
      this.#groupNode('work'),
      this.#groupNode('edge'),
    ];
  }

  #createRoot(): Actor<typeof rootMachine> {
    const { ambient } = this.#options;
    const groups = [
      this.#group('threads', this.threads.children),
      this.#group('cluster'),
      this.#agentsGroup(),
      this.#group('workflows', this.workflows.children),
      this.#group('work'),
      this.#group('edge'),
    ];
    const clock = {
      setTimeout: (fn: () => void, ms: number) => ambient.clock.setTimeout(fn, ms),
      clearTimeout: (dispose: Dispose) => dispose(),
    };
    // Given to the actor only when somebody looks: without an observer XState makes no inspection events.
    const inspect = (event: InspectionEvent) => {
      for (const observer of this.#observers) this.#guarded(() => observer(event));
    };
    const observed = this.#observers.size === 0 ? {} : { inspect };
    const root = createActor(rootMachine, { id: 'root', input: { groups }, clock, ...observed });
    root.subscribe({
      next: (snapshot) => {
        if (snapshot.matches('running')) this.#started();
        else if (snapshot.context.error !== undefined && snapshot.status === 'active')
          this.#failing(snapshot.context.error);
      },
      error: (error) => {
        ambient.log.error('the root of the supervision tree failed', { error: String(error) });
        this.#stopped(wireError('internal', `the root of the supervision tree failed: ${String(error)}`), 'root');
      },
      complete: () => {
        const { error, failedGroup } = root.getSnapshot().context;
        this.#stopped(error, failedGroup);
      },
    });
    return root;
  }

  #started(): void {
    this.#settleStart?.resolve();
    this.#settleStart = undefined;
  }

  #failing(error: WireError): void {
    // Nobody asked for this stop: agents get a short one instead of a drain. Asked twice, it is the same.
    if (this.#onStopped.length === 0) this.#closeAgents('stop', FAILED_STOP_MS);
    this.#options.ambient.log.error('the supervision tree is going down', { code: error.code, error: error.message });
  }

  #stopped(error: WireError | undefined, group: string | undefined): void {
    const starting = this.#settleStart;
    this.#settleStart = undefined;
    const asked = this.#onStopped.splice(0);
    for (const resolve of asked) resolve();
    if (starting !== undefined) {
      starting.reject(
        error === undefined ? new RuntimeError('draining', 'stopped while starting') : fromWireError(error),
      );
      return;
    }
    if (error === undefined) return;
    this.#options.onExit(ESCALATED_EXIT_CODE, `${group ?? 'a system child'} failed: ${error.message}`, error);
  }

  #closeAgents(mode: 'drain' | 'stop', timeoutMs: number): void {
    this.#agentStopMs = timeoutMs;
    this.agents.closeWith(mode, timeoutMs);
  }

  #agentsGroup(): RootGroup {
    return {
      id: 'agents',
      create: () => {
        this.agents.attach({ up: () => this.#root?.send({ type: 'group.up', id: 'agents' }) });
        return this.agents.logic;
      },
      stopMs: () => this.#agentStopMs + MARGIN_MS,
    };
  }

  #group(id: SystemGroup, dynamic?: DynamicSupervisor): RootGroup {
    return {
      id,
      create: () => this.#groupLogic(id, dynamic),
      stopMs: () =>
        this.#children[id].reduce((sum, child) => sum + (child.shutdownMs ?? DEFAULT_CHILD_STOP_MS), MARGIN_MS),
    };
  }

  #groupLogic(id: SystemGroup, dynamic: DynamicSupervisor | undefined) {
    const rule = this.#options.groups?.[id] ?? {};
    const handles = this.#children[id].map((child) => this.#handleSpec(child));
    return supervisorLogic({
      id,
      strategy: rule.strategy ?? 'one-for-one',
      intensity: rule.intensity ?? DEFAULT_INTENSITY,
      backoff: rule.backoff ?? backoffSchema.parse({}),
      ambient: this.#options.ambient,
      children: dynamic === undefined ? handles : [dynamicSpec(dynamic), ...handles],
      onStarted: () => this.#root?.send({ type: 'group.up', id }),
      onReport: (report) => this.#reported(report),
    });
  }

  #handleSpec(child: SystemChild): ChildSpec {
    return {
      id: child.id,
      start: (link) => ({ logic: handleLogic(child, link, this.#options.ambient), managed: true }),
      ...(child.shutdownMs === undefined ? {} : { shutdownMs: child.shutdownMs }),
    };
  }

  #reported(report: SupervisorReport): void {
    const { type, supervisor, id: child, error } = report;
    const { stream, tenant } = this.#origin();
    if (type === 'escalating') {
      this.#emit({ stream, type: 'supervision.escalated', tenant, data: { supervisor, child, error } });
      return;
    }
    const { delayMs, restarts, charged, also } = report;
    const data = { supervisor, child, restarts, delayMs, charged, also, ...(error === undefined ? {} : { error }) };
    this.#emit({ stream, type: 'supervision.restart', tenant, data });
    this.#options.ambient.log.warn('a system child is restarted', {
      supervisor,
      child,
      delayMs,
      error: error?.message,
    });
  }

  #origin(): { readonly stream: string; readonly tenant: string } {
    return { stream: this.#options.node ?? 'node', tenant: this.#options.tenant ?? 'default' };
  }

  #emit(event: NewEvent): void {
    this.#guarded(() => this.#options.onEvent(event));
  }

  /** Runs code of others within the tree: what it throws must not end an actor. */
  #guarded(fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#options.ambient.log.error('an observer of the supervision tree threw', { error: String(error) });
    }
  }

  #groupRef(id: SystemGroup | 'agents'): AnyActorRef | undefined {
    const children: Readonly<Record<string, AnyActorRef | undefined>> | undefined = this.#root?.getSnapshot().children;
    return children?.[id];
  }

  #groupNode(id: SystemGroup, dynamic?: DynamicSupervisor, kind = 'child'): TreeNode {
    const supervisor = (this.#groupRef(id)?.getSnapshot() as SupervisorSnapshot | undefined)?.supervisor;
    const fixed = (supervisor?.children ?? [])
      .filter((child) => child.id !== DYNAMIC)
      .map((child): TreeNode => ({ id: child.id, kind: 'child', state: child.status, children: [] }));
    const moving = [...(dynamic?.entries() ?? [])].map(([childId, child]) =>
      this.#dynamicNode(childId, kind, child.getSnapshot()),
    );
    return { id, kind: 'supervisor', state: supervisor?.phase ?? 'down', children: [...fixed, ...moving] };
  }

  #dynamicNode(id: string, kind: string, snapshot: unknown): TreeNode {
    const state = (snapshot as { state?: unknown }).state;
    const steps = kind === 'coordinator' ? this.workflows.steps(id) : [];
    return {
      id,
      kind,
      state: typeof state === 'string' ? state : 'running',
      children: steps.map((step): TreeNode => ({ id: `${id}/${step}`, kind: 'step', state: 'running', children: [] })),
    };
  }

  #agentNodes(tenant?: string): readonly TreeNode[] {
    const own = [...this.agents.list()].filter((agent) => tenant === undefined || agent.tenant === tenant);
    return own.map((agent): TreeNode => {
      const cell = { id: `${agent.id}#${agent.incarnation}`, kind: 'cell', state: agent.state, children: [] };
      return { id: agent.id, kind: `agent:${agent.type}`, state: agent.state, children: [cell] };
    });
  }
}

/** The place of children that come and go, before the fixed ones of its group: they need it, it does not need them. */
const DYNAMIC = 'dynamic';

function dynamicSpec(dynamic: DynamicSupervisor): ChildSpec {
  return {
    id: DYNAMIC,
    start: (link) => {
      dynamic.attach(link);
      return { logic: dynamic.logic, managed: true };
    },
    directives: { restart_intensity: 'escalate' },
  };
}
