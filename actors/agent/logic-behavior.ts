// The life of a plain actor inside its cell: one XState actor, a send per message and nothing more.

import {
  type Actor,
  type AnyActorLogic,
  type AnyActorRef,
  createActor,
  type EventFromLogic,
  type InspectionEvent,
  type Snapshot,
} from 'xstate';
import type { CellBehavior, CellContext, DurableOutcome } from '../../runtime/contracts/actor.ts';
import type { AgentState } from '../../runtime/contracts/agent.ts';
import type { Message } from '../../runtime/contracts/envelope.ts';
import { assertNever, RuntimeError, toWireError, wireError } from '../../runtime/contracts/errors.ts';
import type { BehaviorInspection, RawXState } from '../../runtime/contracts/inspection-wire.ts';
import type { CellSignal } from '../../runtime/contracts/wire.ts';
import { chartOf, xstateActor, xstateWire } from '../../runtime/contracts/xstate-wire.ts';
import type { ResolvedActor } from './actor-options.ts';
import { bindCell, eventOf } from './actor-port.ts';
import { Lifecycle } from './lifecycle.ts';

type LogicEvent = EventFromLogic<AnyActorLogic>;

/** One incarnation of a plain actor. Its states are the lifecycle's; `running` never occurs. */
export class LogicBehavior implements CellBehavior {
  readonly #definition: ResolvedActor;
  readonly #cell: CellContext;
  readonly #lifecycle: Lifecycle;
  #actor: Actor<AnyActorLogic> | undefined;
  #held: PromiseWithResolve | undefined;

  constructor(definition: ResolvedActor, cell: CellContext) {
    this.#definition = definition;
    this.#cell = cell;
    this.#lifecycle = new Lifecycle({
      startPaused: cell.paused,
      onChange: (change) => {
        cell.transition(change);
        if (change.to === 'paused') this.#held ??= heldPromise();
        else if (change.from === 'paused') this.#release();
      },
    });
  }

  /** Throws `init_failed` when the logic fails in its initial step or cannot take the saved snapshot. */
  start(): void {
    this.#lifecycle.send('initialize');
    const actor = this.#create();
    bindCell(actor.system, this.#cell);
    // An error observer must be there before the start: without one XState throws from a timer.
    let failure: unknown;
    actor.subscribe({
      error: (error) => {
        if (this.#actor === undefined) failure = error ?? new Error('the logic failed');
        else this.#crashed(error);
      },
      complete: () => {
        if (this.#actor !== undefined) this.#finished();
      },
    });
    actor.start();
    if (failure !== undefined) {
      const { message } = toWireError(failure);
      const error = new RuntimeError('init_failed', `the actor could not start: ${message}`, { cause: failure });
      this.#lifecycle.send('crash', toWireError(error));
      this.#end();
      throw error;
    }
    this.#actor = actor;
    this.#lifecycle.send('ready');
    if (actor.getSnapshot().status === 'done') this.#finished();
  }

  receive(message: Message): void | Promise<void> {
    if (this.#held !== undefined) return this.#held.promise.then(() => this.receive(message));
    const event = eventOf(message);
    if (message.correlationId !== undefined && !this.#takes(event)) return this.#refuse(message);
    this.#actor?.send(event);
  }

  /** Saved only by actors that persist. A step that throws ends the incarnation, and with it the attempt. */
  receiveDurable(message: Message): DurableOutcome | Promise<DurableOutcome> {
    if (this.#held !== undefined) return this.#held.promise.then(() => this.receiveDurable(message));
    const event = eventOf(message);
    if (!this.#takes(event)) {
      const text = `the state of actor ${this.#cell.name} has no transition for "${message.type}"`;
      return { type: 'failed', error: wireError('no_handler', text, { type: message.type }), reason: 'no_handler' };
    }
    const actor = this.#actor;
    actor?.send(event);
    if (!this.#definition.persist) return { type: 'handled', out: [] };
    const snapshot = (): unknown => {
      if (this.#actor !== actor) throw new RuntimeError('agent_crashed', 'the actor ended before its state was taken');
      return this.snapshot();
    };
    return { type: 'handled', out: [], snapshot };
  }

  inspect(): BehaviorInspection {
    const snapshot: unknown = this.#actor?.getSnapshot();
    const { context = null } = (snapshot ?? {}) as { context?: unknown };
    return { machine: chartOf(this.#definition.logic, snapshot), context };
  }

  /** Its own actor with all that it invokes and spawns, and its lifecycle. */
  observe(observer: (told: RawXState) => void): () => void {
    const stopLifecycle = this.#lifecycle.observe(observer);
    const actor = this.#actor;
    if (actor === undefined) return stopLifecycle;
    tellActors(actor, actor.sessionId, observer);
    const subscription = actor.system.inspect((told: InspectionEvent) => {
      const wire = xstateWire(told);
      if (wire) observer(wire);
    });
    return () => {
      stopLifecycle();
      subscription.unsubscribe();
    };
  }

  signal(signal: CellSignal): void {
    switch (signal.type) {
      case 'pause':
        this.#lifecycle.send('pause');
        break;
      case 'resume':
        this.#lifecycle.send('resume');
        break;
      case 'configure':
        throw new RuntimeError('unsupported', 'a plain actor takes its input once; stop it and spawn it anew');
      case 'timer':
      case 'undelivered':
      case 'task-event':
      case 'offers':
      case 'terminated':
        this.#actor?.send({ ...signal, type: `troupe.${signal.type}` });
        break;
      default:
        assertNever(signal);
    }
  }

  /** Of an actor that does not persist: undefined. */
  snapshot(): unknown {
    if (!this.#definition.persist || this.#actor?.getSnapshot().status === 'error') return undefined;
    return this.#actor?.getPersistedSnapshot();
  }

  state(): AgentState {
    return this.#lifecycle.state;
  }

  stop(): void {
    const actor = this.#actor;
    this.#actor = undefined;
    // XState tells observers of `complete` at a stop, too: by then this is no longer its actor.
    actor?.stop();
    if (this.#lifecycle.allows('terminate') && this.#lifecycle.state !== 'error') this.#lifecycle.send('terminate');
    this.#end();
  }

  #create(): Actor<AnyActorLogic> {
    const { logic, input, persist } = this.#definition;
    const { id, name, node, thread, incarnation, config, restored } = this.#cell;
    return createActor(logic, {
      id,
      input: typeof input === 'function' ? input({ id, name, node, thread, incarnation, config }) : input,
      ...(persist && restored !== undefined ? { snapshot: restored as Snapshot<unknown> } : {}),
      clock: clockOf(this.#cell),
      logger: (...args: readonly unknown[]) => this.#cell.log({ level: 'info', message: args.map(String).join(' ') }),
    });
  }

  #takes(event: LogicEvent): boolean {
    const snapshot: { can?: (event: LogicEvent) => boolean } | undefined = this.#actor?.getSnapshot();
    return snapshot?.can === undefined || snapshot.can(event);
  }

  #refuse(message: Message): void {
    this.#cell.deadLetter(message, 'no_handler');
    const text = `the state of actor ${this.#cell.name} has no transition for "${message.type}"`;
    this.#cell.replyError(message, wireError('no_handler', text, { type: message.type }));
  }

  #crashed(error: unknown): void {
    const wire = toWireError(error, 'agent_crashed');
    if (this.#lifecycle.allows('crash')) this.#lifecycle.send('crash', wire);
    this.#end();
    this.#cell.fail(wire);
  }

  #finished(): void {
    const output: unknown = this.#actor?.getSnapshot().output;
    if (this.#lifecycle.allows('terminate')) this.#lifecycle.send('terminate');
    this.#end();
    this.#cell.done(output);
  }

  /** Nothing is sent to the logic any more; messages that were held go nowhere, as the cell has ended. */
  #end(): void {
    this.#actor = undefined;
    this.#lifecycle.dispose();
    this.#release();
  }

  #release(): void {
    const held = this.#held;
    this.#held = undefined;
    held?.resolve();
  }
}

/** An actor and those below it, as they stand. */
function tellActors(actor: AnyActorRef, rootId: string, observer: (told: RawXState) => void): void {
  observer(xstateActor(actor, rootId));
  const { children = {} } = actor.getSnapshot() as { children?: Record<string, AnyActorRef | undefined> };
  for (const child of Object.values(children)) if (child) tellActors(child, rootId, observer);
}

/** Timers of the logic end with the cell. */
function clockOf(cell: CellContext) {
  const timers = new Map<number, () => void>();
  let next = 1;
  return {
    setTimeout(fn: (...args: unknown[]) => void, delayMs: number): number {
      const key = next++;
      const cancel = cell.setTimer(delayMs, () => {
        timers.delete(key);
        fn();
      });
      timers.set(key, cancel);
      return key;
    },
    clearTimeout(key: number): void {
      timers.get(key)?.();
      timers.delete(key);
    },
  };
}

interface PromiseWithResolve {
  readonly promise: Promise<void>;
  resolve(): void;
}

function heldPromise(): PromiseWithResolve {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}
