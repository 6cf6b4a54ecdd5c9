// A generic supervisor as XState actor logic: real child actors in the same system, decided by supervisor-core.ts.
// One logic is one supervisor: build a new one for every start.

import type { ActorLogic, AnyActorLogic, AnyActorRef, EventObject } from 'xstate';
import { fromWireError, toWireError, type WireError } from '../contracts/errors.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import type { Directive, RestartType } from '../contracts/supervision.ts';
import {
  ACTIVE,
  type AnyScope,
  childExit,
  createChild,
  DONE,
  type LogicSnapshot,
  STOP,
  STOPPED,
} from './actor-logic.ts';
import {
  initialSupervisor,
  type SupervisorEffect,
  type SupervisorFlags,
  type SupervisorInput,
  type SupervisorState,
  superviseStep,
} from './supervisor-core.ts';

/** What a child that starts asynchronously calls. */
export interface ChildLink {
  /** The child is up; the next one may start. Later calls do nothing. */
  up(): void;
}

export interface ChildSpec {
  readonly id: string;
  /**
   * The logic of one incarnation. `managed`: it calls `link.up()` once it is up, and answers the event `shutdown` by
   * ending as done. Any other logic is up once it is started and is stopped at once.
   */
  start(link: ChildLink): { readonly logic: AnyActorLogic; readonly input?: unknown; readonly managed: boolean };
  /** Default `permanent`. */
  readonly restart?: RestartType;
  /** How long a managed child may take to end before it is killed; default 5,000 ms, as OTP's. */
  readonly shutdownMs?: number;
  readonly directives?: Readonly<Record<string, Directive>>;
}

export interface SupervisorOptions extends SupervisorFlags {
  readonly ambient: Ambient;
  readonly children: readonly ChildSpec[];
  /** Reports, for events and logs. Must not throw. */
  readonly onReport?: (report: SupervisorReport) => void;
  /** Every child was up once. */
  readonly onStarted?: () => void;
}

export type SupervisorReport = { readonly supervisor: string } & (
  | Extract<SupervisorEffect, { type: 'restarting' }>
  | Extract<SupervisorEffect, { type: 'escalating' }>
);

export type SupervisorEvent =
  | { readonly type: 'boot' }
  | { readonly type: 'shutdown' }
  | { readonly type: 'add'; readonly spec: ChildSpec }
  | { readonly type: 'remove'; readonly id: string }
  | { readonly type: 'decide'; readonly input: SupervisorInput };

export type SupervisorSnapshot = LogicSnapshot<{ readonly supervisor: SupervisorState }>;

const DEFAULT_SHUTDOWN_MS = 5_000;

/**
 * The logic of a supervisor. It ends `done` after the event `shutdown`, and as `error` with `restart_intensity` or the
 * escalated error of a child otherwise; its children are down by then.
 */
export function supervisorLogic(
  options: SupervisorOptions,
): ActorLogic<SupervisorSnapshot, SupervisorEvent | EventObject, undefined> {
  const runner = new SupervisorRunner(options);
  return {
    getInitialSnapshot: () => ({ ...ACTIVE, supervisor: runner.initial() }),
    start: (_snapshot, scope) => scope.self.send({ type: 'boot' }),
    transition: (snapshot, event, scope) => {
      if (event.type === STOP) {
        runner.killAll(scope);
        return { ...STOPPED, supervisor: snapshot.supervisor };
      }
      const input = runner.inputOf(event as SupervisorEvent);
      return input === undefined ? snapshot : runner.step(snapshot, input, scope);
    },
    getPersistedSnapshot: (snapshot) => snapshot,
  };
}

interface RunningChild {
  readonly ref: AnyActorRef & { start(): unknown };
  readonly managed: boolean;
  readonly incarnation: number;
  stopTimer: Dispose | undefined;
}

/** Carries out the effects of one supervisor: its running children and its timers. */
class SupervisorRunner {
  readonly #options: SupervisorOptions;
  readonly #specs = new Map<string, ChildSpec>();
  readonly #running = new Map<string, RunningChild>();
  readonly #waits = new Map<string, Dispose>();

  constructor(options: SupervisorOptions) {
    this.#options = options;
    for (const spec of options.children) this.#specs.set(spec.id, spec);
  }

  initial(): SupervisorState {
    const { id, strategy, intensity, backoff, children } = this.#options;
    return initialSupervisor({ id, strategy, intensity, backoff }, children.map(ruleOf));
  }

  inputOf(event: SupervisorEvent | EventObject): SupervisorInput | undefined {
    const exit = childExit(event);
    if (exit !== undefined) return this.#exited(exit.actorId, exit.failed, exit.value);
    const own = event as SupervisorEvent;
    switch (own.type) {
      case 'boot':
      case 'shutdown':
      case 'remove':
        return own;
      case 'add':
        if (!this.#specs.has(own.spec.id)) this.#specs.set(own.spec.id, own.spec);
        return { type: 'add', child: ruleOf(own.spec) };
      case 'decide':
        return own.input;
      default:
        return undefined;
    }
  }

  step(snapshot: SupervisorSnapshot, input: SupervisorInput, scope: AnyScope): SupervisorSnapshot {
    const { state, effects } = superviseStep(snapshot.supervisor, input);
    let next: SupervisorSnapshot = { ...ACTIVE, supervisor: state };
    for (const effect of effects) next = this.#carryOut(effect, next, scope);
    return next;
  }

  killAll(scope: AnyScope): void {
    for (const id of [...this.#running.keys()].reverse()) this.#kill(id, scope);
    for (const dispose of this.#waits.values()) dispose();
    this.#waits.clear();
  }

  #carryOut(effect: SupervisorEffect, snapshot: SupervisorSnapshot, scope: AnyScope): SupervisorSnapshot {
    switch (effect.type) {
      case 'start':
        this.#start(effect.id, effect.incarnation, scope);
        return snapshot;
      case 'stop':
        this.#stop(effect.id, effect.incarnation, scope);
        return snapshot;
      case 'kill':
        this.#kill(effect.id, scope);
        return snapshot;
      case 'wait':
        this.#wait(effect.id, effect.delayMs, scope);
        return snapshot;
      case 'forget':
        this.#specs.delete(effect.id);
        return snapshot;
      case 'restarting':
      case 'escalating':
        this.#options.onReport?.({ supervisor: this.#options.id, ...effect });
        return snapshot;
      case 'started':
        this.#options.onStarted?.();
        return snapshot;
      case 'ended':
        this.killAll(scope);
        return { ...DONE, supervisor: snapshot.supervisor };
      case 'failed':
        this.killAll(scope);
        return {
          status: 'error',
          output: undefined,
          error: fromWireError(effect.error),
          supervisor: snapshot.supervisor,
        };
    }
  }

  #start(id: string, incarnation: number, scope: AnyScope): void {
    const decide = (input: SupervisorInput) => scope.self.send({ type: 'decide', input });
    const spec = this.#specs.get(id);
    try {
      if (spec === undefined) throw new Error(`no specification of ${id}`);
      const made = spec.start({ up: () => decide({ type: 'child.up', id, incarnation }) });
      const ref = createChild(made.logic, scope.self, `${id}#${incarnation}`, made.input);
      this.#running.set(id, { ref, managed: made.managed, incarnation, stopTimer: undefined });
      ref.start();
      if (!made.managed) decide({ type: 'child.up', id, incarnation });
    } catch (thrown) {
      decide(this.#exit(id, incarnation, toWireError(thrown)));
    }
  }

  #stop(id: string, incarnation: number, scope: AnyScope): void {
    const child = this.#running.get(id);
    if (child?.managed !== true) {
      this.#kill(id, scope);
      scope.self.send({ type: 'decide', input: this.#exit(id, incarnation, undefined) });
      return;
    }
    child.stopTimer = this.#options.ambient.clock.setTimeout(
      () => scope.self.send({ type: 'decide', input: { type: 'shutdown.timeout', id, incarnation } }),
      this.#specs.get(id)?.shutdownMs ?? DEFAULT_SHUTDOWN_MS,
    );
    child.ref.send({ type: 'shutdown' });
  }

  #kill(id: string, scope: AnyScope): void {
    const child = this.#running.get(id);
    if (child === undefined) return;
    child.stopTimer?.();
    this.#running.delete(id);
    scope.stopChild(child.ref);
  }

  #wait(id: string, delayMs: number, scope: AnyScope): void {
    this.#waits.get(id)?.();
    const over = () => {
      this.#waits.delete(id);
      scope.self.send({ type: 'decide', input: { type: 'backoff.over', id } });
    };
    this.#waits.set(id, this.#options.ambient.clock.setTimeout(over, delayMs));
  }

  #exited(actorId: string, failed: boolean, value: unknown): SupervisorInput | undefined {
    const at = actorId.lastIndexOf('#');
    const id = actorId.slice(0, at);
    const incarnation = Number(actorId.slice(at + 1));
    const child = this.#running.get(id);
    if (child?.incarnation !== incarnation) return undefined;
    child.stopTimer?.();
    this.#running.delete(id);
    return this.#exit(id, incarnation, failed ? toWireError(value) : undefined);
  }

  #exit(id: string, incarnation: number, error: WireError | undefined): SupervisorInput {
    const { clock, random } = this.#options.ambient;
    const exit = error === undefined ? ({ type: 'done' } as const) : ({ type: 'failed', error } as const);
    return { type: 'child.exited', id, incarnation, exit, nowMs: clock.monotonicMs(), random: random() };
  }
}

function ruleOf(spec: ChildSpec) {
  return { id: spec.id, restart: spec.restart ?? 'permanent', directives: spec.directives ?? {} };
}
