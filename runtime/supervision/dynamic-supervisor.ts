// Children that come and go at run time and are never restarted here (OTP: simple_one_for_one with temporary children).
// A Map instead of `snapshot.children`, which XState copies at every spawn; the snapshot is a count.

import type { ActorLogic, AnyActorLogic, AnyActorRef, EventObject } from 'xstate';
import { fromWireError, RuntimeError, type WireError } from '../contracts/errors.ts';
import { ACTIVE, childExit, createChild, DONE, type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';
import type { ChildLink } from './supervisor.ts';

export type DynamicSnapshot = LogicSnapshot<{ readonly children: number }>;

export interface DynamicExit {
  readonly failed: boolean;
  /** The output of a child that is done, the error of one that failed. */
  readonly value: unknown;
}

/** The logic of such a supervisor and what is done with it from outside. One instance is one actor. */
export class DynamicSupervisor {
  readonly logic: ActorLogic<DynamicSnapshot, EventObject, undefined>;
  readonly #children = new Map<string, AnyActorRef>();
  readonly #onExit: (id: string, exit: DynamicExit) => WireError | undefined;
  #link: ChildLink | undefined;
  #self: AnyActorRef | undefined;
  #stopChild: (child: AnyActorRef) => void = () => {};

  /** `onExit` hears of every child that ended by itself; an error it returns is the failure of this supervisor. */
  constructor(onExit: (id: string, exit: DynamicExit) => WireError | undefined) {
    this.#onExit = onExit;
    this.logic = this.#createLogic();
  }

  /** Called once the actor of `logic` is about to start. */
  attach(link: ChildLink): void {
    this.#link = link;
  }

  /** Throws `draining` when this supervisor does not run, `illegal_transition` when the id is taken. */
  spawn(id: string, logic: AnyActorLogic, input?: unknown): AnyActorRef {
    if (this.#self === undefined) throw new RuntimeError('draining', `${id} cannot start: its supervisor does not run`);
    if (this.#children.has(id)) {
      throw new RuntimeError('illegal_transition', `${id} runs already`, { details: { id, event: 'start' } });
    }
    const ref = createChild(logic, this.#self, id, input);
    this.#children.set(id, ref);
    ref.start();
    return ref;
  }

  /** Ends a child at once; its logic sees `xstate.stop`. */
  stop(id: string): void {
    const ref = this.#children.get(id);
    if (ref === undefined) return;
    this.#children.delete(id);
    this.#stopChild(ref);
  }

  get(id: string): AnyActorRef | undefined {
    return this.#children.get(id);
  }

  /** In the order in which they were started. */
  entries(): IterableIterator<[string, AnyActorRef]> {
    return this.#children.entries();
  }

  get size(): number {
    return this.#children.size;
  }

  #createLogic(): ActorLogic<DynamicSnapshot, EventObject, undefined> {
    return {
      getInitialSnapshot: () => ({ ...ACTIVE, children: 0 }),
      start: (_snapshot, scope) => {
        this.#self = scope.self;
        this.#stopChild = scope.stopChild;
        this.#link?.up();
      },
      transition: (snapshot, event) => this.#next(snapshot, event),
      getPersistedSnapshot: (snapshot) => snapshot,
    };
  }

  #next(snapshot: DynamicSnapshot, event: EventObject): DynamicSnapshot {
    const exit = childExit(event);
    if (exit !== undefined) {
      if (!this.#children.delete(exit.actorId)) return snapshot;
      const failure = this.#onExit(exit.actorId, { failed: exit.failed, value: exit.value });
      if (failure === undefined) return { ...ACTIVE, children: this.#children.size };
      this.#stopAll();
      return { status: 'error', output: undefined, error: fromWireError(failure), children: 0 };
    }
    if (event.type !== 'shutdown' && event.type !== STOP) return snapshot;
    this.#stopAll();
    return { ...(event.type === STOP ? STOPPED : DONE), children: 0 };
  }

  #stopAll(): void {
    this.#self = undefined;
    for (const id of [...this.#children.keys()].reverse()) this.stop(id);
  }
}
