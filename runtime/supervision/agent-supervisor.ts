// The supervisor of one agent: one child, the cell of the current incarnation. It holds the agent's budget of restarts.
// Phases: starting -> running -> (backing_off -> starting)* -> stopping -> ended.

import type { ActorLogic, AnyActorRef, EventObject } from 'xstate';
import type { AgentState } from '../contracts/agent.ts';
import { assertNever, fromWireError, RuntimeError, type WireError, wireError } from '../contracts/errors.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { ResolvedSupervision, Terminated } from '../contracts/supervision.ts';
import { type AnyScope, childExit, createChild, type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';
import { type BackoffState, NO_BACKOFF, nextBackoff } from './backoff.ts';
import { exitVerdict } from './directives.ts';
import { type CellFailure, type CellInput, type CellOwner, type Launched, remoteCell } from './remote-cell.ts';
import { addRestart } from './restart-intensity.ts';

export type EndReason = Terminated['reason'];

/** Where the incarnation before ran. `lost`: its thread is gone, and with it the mailbox. */
export interface PreviousIncarnation {
  readonly thread: number | undefined;
  readonly lost: boolean;
}

export interface AgentSpec {
  readonly id: string;
  readonly type: string;
  readonly tenant: string;
  readonly supervision: ResolvedSupervision;
  /** Starts an incarnation in a thread; resolves once it is initialised, rejects with `init_failed`, `thread_lost` and the like. */
  launch(incarnation: number, previous: PreviousIncarnation | undefined): Promise<Launched>;
  /** Ends whatever of this agent is in a thread, mailbox included. Harmless when nothing is. */
  halt(mode: 'drain' | 'stop', timeoutMs: number): Promise<void>;
}

/** What the supervisor of all agents takes from each. Called within transitions: must not throw. */
export interface AgentObserver {
  onState(agent: SupervisedAgent, from: AgentState, cause: string, error?: WireError): void;
  onRestart(agent: SupervisedAgent, restart: { delayMs: number; charged: boolean; error: WireError }): void;
  onEscalate(agent: SupervisedAgent, error: WireError): void;
}

export interface AgentLimits {
  /** No answer to a launch for this long is `spawn_timeout`. */
  readonly spawnTimeoutMs: number;
  /** Longest clean-up in the thread after a final failure. */
  readonly haltMs: number;
}

export type AgentPhase = 'starting' | 'running' | 'backing_off' | 'stopping' | 'ended';

export type AgentEvent =
  | { readonly type: 'agent.stop'; readonly mode: 'drain' | 'stop'; readonly timeoutMs: number }
  | { readonly type: 'agent.retry' }
  | { readonly type: 'agent.halted' };

export type AgentSnapshot = LogicSnapshot<{
  readonly phase: AgentPhase;
  readonly incarnation: number;
  readonly restarts: number;
}>;

export interface AgentInput {
  readonly agent: SupervisedAgent;
}

type AgentInternal = AgentSnapshot & { readonly agent: SupervisedAgent };

/** One logic for all agents: what is theirs travels in the input. */
export const agentSupervisor: ActorLogic<AgentInternal, AgentEvent | EventObject, AgentInput> = {
  getInitialSnapshot: (_scope, { agent }) => agent.snapshot(),
  start: ({ agent }, scope) => agent.launchNow(scope),
  transition: ({ agent }, event, scope) => agent.next(event, scope),
  getPersistedSnapshot: (snapshot) => snapshot,
};

/** Launch failures that are not of the agent's making, as long as they do not repeat. */
const NOT_ITS_FAULT: ReadonlySet<string> = new Set(['thread_lost', 'no_thread_up', 'spawn_timeout', 'thread_stuck']);

/** So many of them in a row without ever coming up are laid to the agent: its start may be what kills its threads. */
const FREE_LAUNCH_LOSSES = 3;

/** Beyond the time a halt was given, before the tree goes on without it. */
const HALT_MARGIN_MS = 1_000;

/** The mutable life of one agent under supervision; everybody else reads it. */
export class SupervisedAgent implements CellOwner {
  readonly spec: AgentSpec;
  phase: AgentPhase = 'starting';
  state: AgentState = 'created';
  thread: number | undefined;
  incarnation = 0;
  restarts = 0;
  errors = 0;
  startedAtMs: number;
  reason: EndReason | undefined;
  error: WireError | undefined;
  cell: (AnyActorRef & { start(): unknown }) | undefined;
  readonly #ambient: Ambient;
  readonly #limits: AgentLimits;
  readonly #observer: AgentObserver;
  readonly #settled: { resolve: (at: { thread: number; incarnation: number }) => void; reject: (error: Error) => void };
  #scope: AnyScope | undefined;
  #last: AgentInternal | undefined;
  #previous: PreviousIncarnation | undefined;
  #ready = false;
  #lost = false;
  #restartsAtMs: readonly number[] = [];
  #backoff: BackoffState = NO_BACKOFF;
  #launchLosses = 0;
  #timer: Dispose | undefined;
  #stop: Extract<AgentEvent, { type: 'agent.stop' }> | undefined;

  constructor(options: {
    readonly spec: AgentSpec;
    readonly ambient: Ambient;
    readonly limits: AgentLimits;
    readonly observer: AgentObserver;
    /** Of the promise of the spawn: settled once, at the first start or at the end before it. */
    readonly settled: {
      resolve: (at: { thread: number; incarnation: number }) => void;
      reject: (error: Error) => void;
    };
  }) {
    this.spec = options.spec;
    this.#ambient = options.ambient;
    this.#limits = options.limits;
    this.#observer = options.observer;
    this.#settled = options.settled;
    this.startedAtMs = options.ambient.clock.nowMs();
  }

  /** The same object as long as nothing in it has changed: most events of an agent concern its cell alone. */
  snapshot(): AgentInternal {
    const { phase, incarnation, restarts } = this;
    const last = this.#last;
    if (last?.phase === phase && last.incarnation === incarnation && last.restarts === restarts) return last;
    this.#last = { status: 'active', output: undefined, error: undefined, phase, incarnation, restarts, agent: this };
    return this.#last;
  }

  next(event: AgentEvent | EventObject, scope: AnyScope): AgentInternal {
    const exit = childExit(event);
    if (exit !== undefined) {
      if (exit.actorId !== this.#cellId()) return this.snapshot();
      this.cell = undefined;
      return exit.failed ? this.#failed(exit.value as CellFailure, scope) : this.#done(scope);
    }
    const own = event as AgentEvent | { readonly type: typeof STOP };
    switch (own.type) {
      case 'agent.retry':
        if (this.phase === 'backing_off') this.launchNow(scope);
        return this.snapshot();
      case 'agent.stop':
        return this.#stopRequested(own, scope);
      case 'agent.halted':
        return this.phase === 'stopping' ? this.#end('stopped', undefined, scope) : this.snapshot();
      case STOP:
        return this.#killed(scope);
      default:
        return this.snapshot();
    }
  }

  launchNow(scope: AnyScope): void {
    this.#scope = scope;
    this.#previous = this.incarnation === 0 ? undefined : { thread: this.thread, lost: this.#lost };
    this.#clearTimer();
    this.incarnation += 1;
    this.phase = 'starting';
    this.#lost = false;
    this.#enter('initializing', this.incarnation === 1 ? 'initialize' : 'restart');
    const { clock } = this.#ambient;
    const { spawnTimeoutMs } = this.#limits;
    const input: CellInput = { incarnation: this.incarnation, owner: this, clock, spawnTimeoutMs };
    this.cell = createChild(remoteCell, scope.self, this.#cellId(), input);
    this.cell.start();
  }

  launchCell(incarnation: number): Promise<Launched> {
    return this.spec.launch(incarnation, this.#previous);
  }

  cellState(to: AgentState, cause: string, error?: WireError): void {
    this.#enter(to, cause, error);
  }

  cellStarted(thread: number): void {
    this.thread = thread;
    this.startedAtMs = this.#ambient.clock.nowMs();
    this.#launchLosses = 0;
    if (this.#stop !== undefined) {
      if (this.#scope !== undefined) this.#halt(this.#stop, this.#scope);
      return;
    }
    this.phase = 'running';
    if (this.#ready) return;
    this.#ready = true;
    this.#settled.resolve({ thread, incarnation: this.incarnation });
  }

  cellOrphaned(incarnation: number): void {
    // A newer incarnation replaces the orphan in its thread; after the end nobody else would.
    if (this.phase === 'ended' || this.incarnation === incarnation) this.#reap();
  }

  #cellId(): string {
    return `${this.spec.id}#${this.incarnation}`;
  }

  #enter(to: AgentState, cause: string, error?: WireError): void {
    const from = this.state;
    if (from === to) return;
    this.state = to;
    this.#observer.onState(this, from, cause, error);
  }

  #failed(failure: CellFailure, scope: AnyScope): AgentInternal {
    this.errors += 1;
    this.error = failure.error;
    this.#lost = failure.type === 'lost' || failure.error.code === 'thread_lost';
    this.#enter('error', failure.error.code, failure.error);
    if (this.phase === 'stopping') return this.#end('stopped', undefined, scope);
    if (this.spec.supervision.restart === 'temporary') {
      return this.#end(failure.type === 'lost' ? 'thread_lost' : 'crashed', failure.error, scope);
    }
    // Whoever was idle in a thread that died is not to blame: it is back elsewhere in the same turn, with all the others.
    if (failure.type === 'lost' && !failure.busy) return this.#restart(0, false, failure.error, scope);
    if (this.#isFreeLaunchLoss(failure)) return this.#restart(this.#nextDelayMs(), false, failure.error, scope);
    return this.#judge({ type: 'failed', error: failure.error }, failure.error, scope);
  }

  #done(scope: AnyScope): AgentInternal {
    if (this.phase === 'stopping') return this.#end('stopped', undefined, scope);
    return this.#judge({ type: 'done' }, wireError('agent_stopped', `${this.spec.id} ended by itself`), scope);
  }

  #isFreeLaunchLoss(failure: CellFailure): boolean {
    if (failure.type !== 'launch' || !NOT_ITS_FAULT.has(failure.error.code)) return false;
    if (failure.error.details?.busy === true) return false;
    this.#launchLosses += 1;
    return this.#launchLosses <= FREE_LAUNCH_LOSSES;
  }

  #judge(exit: Parameters<typeof exitVerdict>[0], error: WireError, scope: AnyScope): AgentInternal {
    const { supervision } = this.spec;
    const verdict = exitVerdict(exit, supervision, 'agent');
    switch (verdict) {
      case 'end':
        return exit.type === 'done' ? this.#end('done', undefined, scope) : this.#end('crashed', error, scope);
      case 'escalate':
        this.#observer.onEscalate(this, error);
        return this.#end('crashed', error, scope);
      case 'resume':
        return this.#restart(this.#nextDelayMs(), false, error, scope);
      case 'restart': {
        const budget = addRestart(this.#restartsAtMs, this.#ambient.clock.monotonicMs(), supervision);
        this.#restartsAtMs = budget.restartsAtMs;
        if (!budget.exceeded) return this.#restart(this.#nextDelayMs(), true, error, scope);
        return this.#end('restart_intensity', this.#intensityError(error), scope);
      }
      default:
        return assertNever(verdict);
    }
  }

  #intensityError(cause: WireError): WireError {
    const { maxRestarts, withinMs } = this.spec.supervision;
    const message = `needed more than ${maxRestarts} restarts within ${withinMs} ms: ${cause.message}`;
    return wireError('restart_intensity', message, { maxRestarts, withinMs, cause });
  }

  #nextDelayMs(): number {
    const at = { nowMs: this.#ambient.clock.monotonicMs(), random: this.#ambient.random() };
    const { delayMs, state } = nextBackoff(this.#backoff, this.spec.supervision.backoff, at);
    this.#backoff = state;
    return delayMs;
  }

  #restart(delayMs: number, charged: boolean, error: WireError, scope: AnyScope): AgentInternal {
    this.restarts += 1;
    this.#enter('error', error.code, error);
    this.#observer.onRestart(this, { delayMs, charged, error });
    if (delayMs <= 0) {
      this.launchNow(scope);
    } else {
      this.phase = 'backing_off';
      this.#timer = this.#ambient.clock.setTimeout(() => scope.self.send({ type: 'agent.retry' }), delayMs);
    }
    return this.snapshot();
  }

  #stopRequested(stop: Extract<AgentEvent, { type: 'agent.stop' }>, scope: AnyScope): AgentInternal {
    const cellAnswers = this.phase === 'running' || (this.phase === 'stopping' && this.#isUp());
    if (this.phase === 'backing_off') {
      this.#reap();
      return this.#end('stopped', undefined, scope);
    }
    if (this.phase === 'stopping' && !(this.#stop?.mode === 'drain' && stop.mode === 'stop')) return this.snapshot();
    this.#stop = stop;
    this.phase = 'stopping';
    if (cellAnswers) this.#halt(stop, scope);
    // Still launching: it is halted once it answers, or left to `onOrphan` when it takes too long.
    else this.#haltTimer(stop.timeoutMs, scope);
    return this.snapshot();
  }

  #isUp(): boolean {
    return this.cell?.getSnapshot().thread !== undefined;
  }

  #halt(stop: { readonly mode: 'drain' | 'stop'; readonly timeoutMs: number }, scope: AnyScope): void {
    this.#haltTimer(stop.timeoutMs + HALT_MARGIN_MS, scope);
    const halted = () => {
      if (this.phase === 'stopping') scope.self.send({ type: 'agent.halted' });
    };
    settle(() => this.spec.halt(stop.mode, stop.timeoutMs)).then(halted, (error: unknown) => {
      this.#ambient.log.warn('an agent did not stop cleanly', { agent: this.spec.id, error: String(error) });
      halted();
    });
  }

  #haltTimer(afterMs: number, scope: AnyScope): void {
    this.#clearTimer();
    this.#timer = this.#ambient.clock.setTimeout(() => scope.self.send({ type: 'agent.halted' }), afterMs);
  }

  #killed(scope: AnyScope): AgentInternal {
    if (this.phase !== 'ended') {
      this.#reap();
      this.#finish('stopped', undefined, scope);
    }
    return { ...this.snapshot(), ...STOPPED };
  }

  /** `done` when the agent ended as it should; an errored actor, with all it means to a supervisor, otherwise. */
  #end(reason: EndReason, error: WireError | undefined, scope: AnyScope): AgentInternal {
    if (reason !== 'stopped' && reason !== 'thread_lost') this.#reap();
    this.#finish(reason, error, scope);
    return error === undefined
      ? { ...this.snapshot(), status: 'done', output: reason, error: undefined }
      : { ...this.snapshot(), status: 'error', output: undefined, error };
  }

  #finish(reason: EndReason, error: WireError | undefined, scope: AnyScope): void {
    this.#clearTimer();
    this.phase = 'ended';
    this.reason = reason;
    this.error = error;
    if (this.cell !== undefined) scope.stopChild(this.cell);
    this.cell = undefined;
    this.#enter('terminated', reason, error);
    if (this.#ready) return;
    this.#ready = true;
    this.#settled.reject(this.#neverReady(reason, error));
  }

  #neverReady(reason: EndReason, error: WireError | undefined): Error {
    const { id } = this.spec;
    if (error === undefined) return new RuntimeError('agent_stopped', `${id} ended before it was ready (${reason})`);
    if (reason !== 'restart_intensity') return fromWireError(error);
    return new RuntimeError('init_failed', `${id} could not be started: ${error.message}`, {
      retryable: false,
      details: { id, ...error.details },
    });
  }

  /** Frees what a failed incarnation left in its thread (a mailbox kept for a restart that will not come). */
  #reap(): void {
    settle(() => this.spec.halt('stop', this.#limits.haltMs)).catch((error: unknown) => {
      this.#ambient.log.debug('nothing left to halt', { agent: this.spec.id, error: String(error) });
    });
  }

  #clearTimer(): void {
    this.#timer?.();
    this.#timer = undefined;
  }
}

async function settle<T>(fn: () => Promise<T>): Promise<T> {
  return await fn();
}
