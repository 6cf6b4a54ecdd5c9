// One coordinator actor per running workflow, one child of it per step in flight. They hold no logic of workflows: they give
// a coordinator its place in the tree, so that stopping it cancels its steps and a failing step is a supervision event.

import type { ActorLogic, AnyActorRef, EventObject } from 'xstate';
import { toWireError, type WireError } from '../contracts/errors.ts';
import type { Ambient } from '../contracts/ports.ts';
import { ACTIVE, type AnyScope, childExit, createChild, type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';
import { DynamicSupervisor } from './dynamic-supervisor.ts';

export interface CoordinatorSpec {
  /** Whose run it is, for who looks at the tree. */
  readonly about?: { readonly tenant: string; readonly pattern: string };
  /** Called as the actor starts. What it throws ends the coordinator as failed. */
  start(): void;
  /** Called once when the actor is stopped before it was done: by `stop`, or with the tree. Its steps are cancelled first. */
  stop(): void;
  /** A step failed (`StepHandle.failed`): the event the pattern answers. */
  onStepFailed?(step: string, error: WireError): void;
}

/** A coordinator in the tree. All of its methods are idempotent. */
export interface CoordinatorHandle {
  /** The workflow is over; steps still in flight are cancelled. */
  done(): void;
  failed(error: WireError): void;
  stop(): void;
}

export interface StepSpec {
  readonly taskId?: string;
  /** Called once when the step is stopped before it ended: cancels its task. */
  cancel(): void;
}

export interface StepHandle {
  done(): void;
  failed(error: WireError): void;
  /** Cancels it. */
  stop(): void;
}

type StepSnapshot = LogicSnapshot<{ readonly step: string; readonly taskId: string | undefined }>;
type StepEvent = { readonly type: 'step.done' } | { readonly type: 'step.failed'; readonly error: WireError };
interface StepInput extends StepSpec {
  readonly step: string;
  readonly guard: (what: string, fn: () => void) => void;
}
type StepInternal = StepSnapshot & { readonly input: StepInput };

const stepLogic: ActorLogic<StepInternal, StepEvent | EventObject, StepInput> = {
  getInitialSnapshot: (_scope, input) => ({ ...ACTIVE, step: input.step, taskId: input.taskId, input }),
  transition: (snapshot, event) => {
    const own = event as StepEvent | { readonly type: typeof STOP };
    switch (own.type) {
      case 'step.done':
        return { ...snapshot, status: 'done', output: undefined, error: undefined };
      case 'step.failed':
        return { ...snapshot, status: 'error', output: undefined, error: own.error };
      case STOP:
        snapshot.input.guard('cancel', () => snapshot.input.cancel());
        return { ...snapshot, ...STOPPED };
      default:
        return snapshot;
    }
  },
  getPersistedSnapshot: (snapshot) => snapshot,
};

type CoordinatorSnapshot = LogicSnapshot<{ readonly steps: number }>;
type CoordinatorEvent =
  | { readonly type: 'coordinator.done' }
  | { readonly type: 'coordinator.failed'; readonly error: WireError }
  | { readonly type: 'coordinator.step-stop'; readonly step: string };

/** One coordinator: its logic and the steps in flight. */
class Coordinator {
  readonly about: CoordinatorSpec['about'];
  readonly logic: ActorLogic<CoordinatorSnapshot, CoordinatorEvent | EventObject, undefined>;
  readonly steps = new Map<string, AnyActorRef>();
  readonly #spec: CoordinatorSpec;
  readonly #guard: (what: string, fn: () => void) => void;
  #scope: AnyScope | undefined;

  constructor(spec: CoordinatorSpec, guard: (what: string, fn: () => void) => void) {
    this.#spec = spec;
    this.about = spec.about;
    this.#guard = guard;
    this.logic = {
      getInitialSnapshot: () => ({ ...ACTIVE, steps: 0 }),
      start: (_snapshot, scope) => {
        this.#scope = scope;
        spec.start();
      },
      transition: (snapshot, event, scope) => this.#next(snapshot, event, scope),
      getPersistedSnapshot: (snapshot) => snapshot,
    };
  }

  step(step: string, spec: StepSpec): StepHandle | undefined {
    if (this.#scope === undefined) return undefined;
    this.#stopStep(step, this.#scope);
    const input: StepInput = {
      step,
      cancel: () => spec.cancel(),
      guard: this.#guard,
      ...(spec.taskId === undefined ? {} : { taskId: spec.taskId }),
    };
    const ref = createChild(stepLogic, this.#scope.self, step, input);
    this.steps.set(step, ref);
    ref.start();
    return {
      done: () => ref.send({ type: 'step.done' }),
      failed: (error) => ref.send({ type: 'step.failed', error }),
      stop: () => {
        if (this.steps.get(step) === ref) this.#scope?.self.send({ type: 'coordinator.step-stop', step });
      },
    };
  }

  #next(snapshot: CoordinatorSnapshot, event: CoordinatorEvent | EventObject, scope: AnyScope): CoordinatorSnapshot {
    const exit = childExit(event);
    if (exit !== undefined) {
      this.steps.delete(exit.actorId);
      if (exit.failed) {
        this.#guard('onStepFailed', () => this.#spec.onStepFailed?.(exit.actorId, toWireError(exit.value)));
      }
      return { ...ACTIVE, steps: this.steps.size };
    }
    const own = event as CoordinatorEvent | { readonly type: typeof STOP };
    switch (own.type) {
      case 'coordinator.step-stop':
        this.#stopStep(own.step, scope);
        return { ...ACTIVE, steps: this.steps.size };
      case 'coordinator.done':
        this.#stopSteps(scope);
        return { status: 'done', output: undefined, error: undefined, steps: 0 };
      case 'coordinator.failed':
        this.#stopSteps(scope);
        return { status: 'error', output: undefined, error: own.error, steps: 0 };
      case STOP:
        this.#stopSteps(scope);
        this.#guard('stop', () => this.#spec.stop());
        return { ...STOPPED, steps: 0 };
      default:
        return snapshot;
    }
  }

  #stopSteps(scope: AnyScope): void {
    this.#scope = undefined;
    for (const step of [...this.steps.keys()].reverse()) this.#stopStep(step, scope);
  }

  #stopStep(step: string, scope: AnyScope): void {
    const ref = this.steps.get(step);
    this.steps.delete(step);
    if (ref !== undefined) scope.stopChild(ref);
  }
}

/** The workflows that run on this node. */
export class WorkflowsSupervisor {
  readonly children: DynamicSupervisor;
  readonly #coordinators = new Map<string, Coordinator>();
  readonly #ambient: Ambient;

  constructor(ambient: Ambient) {
    this.#ambient = ambient;
    this.children = new DynamicSupervisor((id, exit) => {
      this.#coordinators.delete(id);
      // A failed coordinator is its workflow's failure, which its owner settles and stores; no sibling is concerned.
      if (exit.failed)
        ambient.log.warn('a coordinator failed', { workflow: id, error: toWireError(exit.value).message });
      return undefined;
    });
  }

  /** Throws `illegal_transition` when the workflow has a coordinator here, `draining` when the tree does not run. */
  spawn(id: string, spec: CoordinatorSpec): CoordinatorHandle {
    const coordinator = new Coordinator(spec, (what, fn) => this.#guard(id, what, fn));
    const before = this.#coordinators.get(id);
    this.#coordinators.set(id, coordinator);
    let ref: AnyActorRef;
    try {
      ref = this.children.spawn(id, coordinator.logic);
    } catch (error) {
      if (before === undefined) this.#coordinators.delete(id);
      else this.#coordinators.set(id, before);
      throw error;
    }
    return {
      done: () => ref.send({ type: 'coordinator.done' }),
      failed: (error) => ref.send({ type: 'coordinator.failed', error }),
      stop: () => {
        if (this.#coordinators.get(id) === coordinator) this.stop(id);
      },
    };
  }

  /** A step in flight. One of the same name is cancelled first. Undefined when the workflow has no coordinator here. */
  step(workflowId: string, step: string, spec: StepSpec): StepHandle | undefined {
    return this.#coordinators.get(workflowId)?.step(step, spec);
  }

  /** Stops the coordinator and cancels its steps. */
  stop(id: string): void {
    this.#coordinators.delete(id);
    this.children.stop(id);
  }

  /** Names of the steps in flight. */
  steps(id: string): readonly string[] {
    return [...(this.#coordinators.get(id)?.steps.keys() ?? [])];
  }

  /** Undefined: it has no coordinator here, or nothing was said of it. */
  about(id: string): CoordinatorSpec['about'] {
    return this.#coordinators.get(id)?.about;
  }

  get size(): number {
    return this.children.size;
  }

  #guard(workflow: string, what: string, fn: () => void): void {
    try {
      fn();
    } catch (error) {
      this.#ambient.log.error('a coordinator threw', { workflow, in: what, error: toWireError(error).message });
    }
  }
}
