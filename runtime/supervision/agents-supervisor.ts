// The supervisor of all agents: a Map of one-child supervisors, none of which can take it down with it.
// XState copies `snapshot.children` at every spawn (359 spawns/s at 10,000 children), hence a custom logic whose snapshot is counts.

import type { ActorLogic, AnyActorRef, EventObject } from 'xstate';
import { AGENT_STATES, type AgentState } from '../contracts/agent.ts';
import { RuntimeError, type WireError } from '../contracts/errors.ts';
import type { NewEvent } from '../contracts/event.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { Terminated } from '../contracts/supervision.ts';
import type { PoolNotice } from '../contracts/wire.ts';
import { ACTIVE, childExit, createChild, DONE, type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';
import {
  type AgentLimits,
  type AgentObserver,
  type AgentPhase,
  type AgentSpec,
  agentSupervisor,
  type EndReason,
  SupervisedAgent,
} from './agent-supervisor.ts';
import type { CellEvent } from './remote-cell.ts';
import type { ChildLink } from './supervisor.ts';
import { type EndListener, Watches } from './watch.ts';

/** An agent as its supervisor knows it. Kept for the last 10,000 that ended, too. */
export interface SupervisedView {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  readonly state: AgentState;
  readonly phase: AgentPhase;
  /** Of the last incarnation that came up. */
  readonly thread: number | undefined;
  readonly incarnation: number;
  /** Restarts of every kind. */
  readonly restarts: number;
  /** Failed incarnations, losses of a thread included. */
  readonly errors: number;
  /** Why it ended. */
  readonly reason: EndReason | undefined;
  /** The last failure. */
  readonly error: WireError | undefined;
  /** Since when the current incarnation is up. */
  readonly startedAtMs: number;
}

export interface AgentTransition {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  readonly from: AgentState;
  readonly to: AgentState;
  readonly cause: string;
  readonly incarnation: number;
  readonly thread: number | undefined;
  readonly error: WireError | undefined;
}

export interface AgentCounts {
  /** Alive. */
  readonly total: number;
  readonly byState: Readonly<Record<AgentState, number>>;
  readonly byType: Readonly<Record<string, number>>;
  /** Since the start of the node. */
  readonly spawned: number;
  readonly restarts: number;
  readonly terminated: number;
}

export type AgentsSnapshot = LogicSnapshot<{ readonly counts: AgentCounts }>;
export type AgentsEvent = { readonly type: 'shutdown' };

export interface AgentsSupervisorOptions {
  readonly ambient: Ambient;
  readonly limits: AgentLimits;
  readonly onEvent: (event: NewEvent) => void;
}

export type CellNotice = Extract<PoolNotice, { type: `cell.${string}` }>;

const KEPT_ENDS = 10_000;

/** Spawns, mirrors, restarts and ends the agents of this node. One instance per node; `logic` is its actor. */
export class AgentsSupervisor {
  readonly logic: ActorLogic<AgentsSnapshot, AgentsEvent | EventObject, undefined>;
  readonly #options: AgentsSupervisorOptions;
  readonly #agents = new Map<string, { readonly agent: SupervisedAgent; readonly ref: AnyActorRef }>();
  readonly #ended = new Map<string, SupervisedView>();
  readonly #stops = new Map<string, (() => void)[]>();
  readonly #watches: Watches;
  readonly #listeners = new Set<(transition: AgentTransition) => void>();
  readonly #observer: AgentObserver;
  readonly #byState: Record<AgentState, number>;
  readonly #byType = new Map<string, number>();
  #self: AnyActorRef | undefined;
  #link: ChildLink | undefined;
  #accepting = true;
  #closing = false;
  #closeWith: { readonly mode: 'drain' | 'stop'; readonly timeoutMs: number } = { mode: 'stop', timeoutMs: 5_000 };
  #spawned = 0;
  #restarts = 0;
  #terminated = 0;

  constructor(options: AgentsSupervisorOptions) {
    this.#options = options;
    this.#byState = Object.fromEntries(AGENT_STATES.map((state) => [state, 0])) as Record<AgentState, number>;
    this.#watches = new Watches({
      ended: (id) => this.#endOf(id),
      onListenerError: (error) => options.ambient.log.error('a watcher threw', { error: String(error) }),
    });
    this.#observer = {
      onState: (agent, from, cause, error) => this.#stateChanged(agent, from, cause, error),
      onRestart: (agent, restart) => this.#restarted(agent, restart),
      onEscalate: (agent, error) => this.#escalated(agent, error),
    };
    this.logic = this.#createLogic();
  }

  /** Called once the actor of `logic` is about to start. */
  attach(link: ChildLink): void {
    this.#link = link;
  }

  /**
   * Resolves when the first incarnation (or a later one, if it failed) is up. Rejects with `init_failed` when its budget
   * of restarts is gone before that, with the error itself when no restart can mend it, with `agent_stopped` when it was
   * stopped meanwhile, `draining` when no agents are taken, `illegal_transition` when it is alive already.
   */
  spawn(spec: AgentSpec): Promise<{ thread: number; incarnation: number }> {
    const parent = this.#self;
    if (parent === undefined || !this.#accepting || this.#closing) {
      return Promise.reject(new RuntimeError('draining', 'this node takes no new agents'));
    }
    const alive = this.#agents.get(spec.id);
    if (alive !== undefined) {
      const details = { id: spec.id, from: alive.agent.state, event: 'initialize' };
      return Promise.reject(new RuntimeError('illegal_transition', `${spec.id} is alive already`, { details }));
    }
    return new Promise((resolve, reject) => {
      const { ambient, limits } = this.#options;
      const settled = { resolve, reject };
      const agent = new SupervisedAgent({ spec, ambient, limits, observer: this.#observer, settled });
      const ref = createChild(agentSupervisor, parent, spec.id, { agent });
      this.#ended.delete(spec.id);
      this.#agents.set(spec.id, { agent, ref });
      this.#byState.created += 1;
      this.#byType.set(spec.type, (this.#byType.get(spec.type) ?? 0) + 1);
      this.#spawned += 1;
      ref.start();
    });
  }

  /** Takes what the pool tells about cells. Notices of an older incarnation, or of nobody, are dropped. */
  notify(notice: CellNotice): void {
    const agent = this.#agents.get(notice.id)?.agent;
    if (agent?.cell === undefined || agent.incarnation !== notice.incarnation) return;
    agent.cell.send(notice satisfies CellEvent);
  }

  /** Resolves once it has ended, whatever ended it; at once when it is not alive. Bounded by `timeoutMs` plus a second. */
  stop(id: string, mode: 'drain' | 'stop', timeoutMs: number): Promise<void> {
    const entry = this.#agents.get(id);
    if (entry === undefined) return Promise.resolve();
    return new Promise((resolve) => {
      this.#stops.set(id, [...(this.#stops.get(id) ?? []), resolve]);
      entry.ref.send({ type: 'agent.stop', mode, timeoutMs });
    });
  }

  get(id: string): SupervisedView | undefined {
    const alive = this.#agents.get(id);
    return alive === undefined ? this.#ended.get(id) : viewOf(alive.agent);
  }

  /** Those alive. */
  *list(): IterableIterator<SupervisedView> {
    for (const { agent } of this.#agents.values()) yield viewOf(agent);
  }

  counts(): AgentCounts {
    return {
      total: this.#agents.size,
      byState: { ...this.#byState },
      byType: Object.fromEntries(this.#byType),
      spawned: this.#spawned,
      restarts: this.#restarts,
      terminated: this.#terminated,
    };
  }

  /** Exactly one `terminated`, whatever the way to die; in a microtask when it has ended or never was. */
  watch(id: string, listener: EndListener): Dispose {
    return this.#watches.watch(id, listener);
  }

  /** For ends that happen elsewhere: the loss of the node that owned a watched agent. */
  endedElsewhere(end: Terminated): void {
    this.#watches.notify(end);
  }

  /** Every change of state, in order per agent, its end included. What a listener throws is logged. */
  onTransition(listener: (transition: AgentTransition) => void): Dispose {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Whether `spawn` is served. Agents that are alive are not touched. */
  accept(accepting: boolean): void {
    this.#accepting = accepting;
  }

  /** How the agents end when the tree stops. */
  closeWith(mode: 'drain' | 'stop', timeoutMs: number): void {
    this.#closeWith = { mode, timeoutMs };
  }

  #createLogic(): ActorLogic<AgentsSnapshot, AgentsEvent | EventObject, undefined> {
    return {
      getInitialSnapshot: () => ({ ...ACTIVE, counts: this.counts() }),
      start: (_snapshot, { self }) => {
        this.#self = self;
        this.#link?.up();
      },
      transition: (snapshot, event, scope) => {
        const exit = childExit(event);
        if (exit !== undefined) {
          this.#remove(exit.actorId);
          return this.#snapshotNow();
        }
        if (event.type === 'shutdown') {
          this.#shutDown();
          return this.#snapshotNow();
        }
        if (event.type !== STOP) return snapshot;
        this.#closing = true;
        for (const [id, { ref }] of [...this.#agents].reverse()) {
          scope.stopChild(ref);
          this.#remove(id);
        }
        return { ...STOPPED, counts: this.counts() };
      },
      getPersistedSnapshot: (snapshot) => snapshot,
    };
  }

  #snapshotNow(): AgentsSnapshot {
    const over = this.#closing && this.#agents.size === 0;
    return over ? { ...DONE, counts: this.counts() } : { ...ACTIVE, counts: this.counts() };
  }

  #shutDown(): void {
    this.#closing = true;
    const { mode, timeoutMs } = this.#closeWith;
    for (const { ref } of [...this.#agents.values()].reverse()) ref.send({ type: 'agent.stop', mode, timeoutMs });
  }

  #remove(id: string): void {
    const entry = this.#agents.get(id);
    if (entry === undefined) return;
    const { agent } = entry;
    this.#agents.delete(id);
    this.#byState[agent.state] -= 1;
    this.#terminated += 1;
    const ofType = (this.#byType.get(agent.spec.type) ?? 1) - 1;
    if (ofType === 0) this.#byType.delete(agent.spec.type);
    else this.#byType.set(agent.spec.type, ofType);
    this.#remember(agent);
    const end = endOf(viewOf(agent));
    this.#emit('agent.terminated', agent, {
      reason: end.reason,
      restarts: agent.restarts,
      errors: agent.errors,
      ...(end.error === undefined ? {} : { error: end.error }),
    });
    this.#watches.notify(end);
    const waiting = this.#stops.get(id) ?? [];
    this.#stops.delete(id);
    for (const resolve of waiting) resolve();
  }

  #remember(agent: SupervisedAgent): void {
    this.#ended.set(agent.spec.id, viewOf(agent));
    if (this.#ended.size <= KEPT_ENDS) return;
    const oldest = this.#ended.keys().next();
    if (oldest.done !== true) this.#ended.delete(oldest.value);
  }

  #endOf(id: string): Terminated | undefined {
    if (this.#agents.has(id)) return undefined;
    const ended = this.#ended.get(id);
    return ended === undefined ? { type: 'terminated', id, reason: 'not_found' } : endOf(ended);
  }

  #stateChanged(agent: SupervisedAgent, from: AgentState, cause: string, error: WireError | undefined): void {
    this.#byState[from] -= 1;
    this.#byState[agent.state] += 1;
    const { id, type, tenant } = agent.spec;
    const { state: to, incarnation, thread } = agent;
    // No spread: this runs three times for every agent that starts.
    const data = error ? { from, to, cause, incarnation, thread, error } : { from, to, cause, incarnation, thread };
    this.#emit('agent.transition', agent, data);
    for (const listener of this.#listeners) {
      try {
        listener({ id, type, tenant, from, to, cause, incarnation, thread, error });
      } catch (thrown) {
        this.#options.ambient.log.error('a transition listener threw', { agent: id, error: String(thrown) });
      }
    }
  }

  #restarted(agent: SupervisedAgent, restart: { delayMs: number; charged: boolean; error: WireError }): void {
    this.#restarts += 1;
    const { delayMs, charged, error } = restart;
    const data = { supervisor: 'agents', child: agent.spec.id, restarts: agent.restarts, delayMs, charged, error };
    this.#emit('supervision.restart', agent, data);
  }

  #escalated(agent: SupervisedAgent, error: WireError): void {
    this.#emit('supervision.escalated', agent, { supervisor: 'agents', child: agent.spec.id, error });
  }

  #emit(type: NewEvent['type'], agent: SupervisedAgent, data: Record<string, unknown>): void {
    try {
      this.#options.onEvent({ stream: agent.spec.id, type, tenant: agent.spec.tenant, data });
    } catch (thrown) {
      this.#options.ambient.log.error('an event could not be published', { type, error: String(thrown) });
    }
  }
}

function viewOf(agent: SupervisedAgent): SupervisedView {
  const { spec, state, phase, thread, incarnation, restarts, errors, reason, error, startedAtMs } = agent;
  const { id, type, tenant } = spec;
  return { id, type, tenant, state, phase, thread, incarnation, restarts, errors, reason, error, startedAtMs };
}

function endOf(view: SupervisedView): Terminated {
  const { id, reason = 'stopped', error } = view;
  return { type: 'terminated', id, reason, ...(error === undefined ? {} : { error }) };
}
