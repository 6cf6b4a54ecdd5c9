// The lifecycle of an agent: seven states, driven by the events of LIFECYCLE_EVENTS and by nothing else.
// It steps on lifecycle events only; messages never pass through it.

import { type ActorRefFrom, type AnyActorRef, createActor, fromTransition, setup } from 'xstate';
import { type AgentState, LIFECYCLE_EVENTS, type LifecycleEvent } from '../../runtime/contracts/agent.ts';
import { RuntimeError, type WireError } from '../../runtime/contracts/errors.ts';
import type { RawXState } from '../../runtime/contracts/inspection-wire.ts';
import { xstateActor } from '../../runtime/contracts/xstate-wire.ts';

interface LifecycleContext {
  /** Tasks in a handler. */
  readonly running: number;
  /** A pause was asked for while running: the last task to end leads to `paused`. */
  readonly pausing: boolean;
  readonly startPaused: boolean;
}

/** `maxIterations` turns an endless `always` loop, a programming error, into an error instead of a hang. */
const MAX_ITERATIONS = 100;

const oneMore = ({ context }: { context: LifecycleContext }): number => context.running + 1;
const oneLess = ({ context }: { context: LifecycleContext }): number => context.running - 1;

const machineSetup = setup({
  types: {
    context: {} as LifecycleContext,
    events: {} as { readonly type: LifecycleEvent },
    input: {} as { readonly startPaused: boolean },
  },
  guards: {
    startPaused: ({ context }) => context.startPaused,
    othersRun: ({ context }) => context.running > 1,
    pausing: ({ context }) => context.pausing,
  },
});
const counted = machineSetup.assign({ running: oneMore });
const discounted = machineSetup.assign({ running: oneLess });
const settled = machineSetup.assign({ running: 0, pausing: false });

/** The chart itself, for the inspector and for documentation. */
export const lifecycleMachine = machineSetup.createMachine({
  id: 'agent',
  initial: 'created',
  context: ({ input }) => ({ running: 0, pausing: false, startPaused: input.startPaused }),
  options: { maxIterations: MAX_ITERATIONS },
  states: {
    created: { on: { initialize: 'initializing', crash: 'error', terminate: 'terminated' } },
    initializing: {
      on: {
        ready: [{ guard: 'startPaused', target: 'paused' }, { target: 'idle' }],
        crash: 'error',
        terminate: 'terminated',
      },
    },
    idle: {
      on: {
        taskStarted: { target: 'running', actions: counted },
        pause: 'paused',
        crash: 'error',
        terminate: 'terminated',
      },
    },
    running: {
      on: {
        taskStarted: { actions: counted },
        taskEnded: [
          { guard: 'othersRun', actions: discounted },
          { guard: 'pausing', target: 'paused', actions: settled },
          { target: 'idle', actions: settled },
        ],
        pause: { actions: machineSetup.assign({ pausing: true }) },
        resume: { actions: machineSetup.assign({ pausing: false }) },
        crash: { target: 'error', actions: settled },
        terminate: { target: 'terminated', actions: settled },
      },
    },
    paused: { on: { resume: 'idle', crash: 'error', terminate: 'terminated' } },
    error: { on: { restart: 'initializing', terminate: 'terminated' } },
    terminated: { type: 'final' },
  },
});

export interface LifecycleChange {
  readonly from: AgentState;
  readonly to: AgentState;
  readonly cause: LifecycleEvent;
  readonly error?: WireError;
}

export interface LifecycleOptions {
  /** Once initialised, go to `paused` instead of `idle`. */
  readonly startPaused: boolean;
  /** Called once for every change of state, after it. */
  readonly onChange: (change: LifecycleChange) => void;
}

/** One agent's lifecycle: an XState actor behind a check that nothing illegal reaches it. */
export class Lifecycle {
  readonly #onChange: (change: LifecycleChange) => void;
  readonly #actor: ActorRefFrom<typeof lifecycleMachine>;
  #observer: ((told: RawXState) => void) | undefined;
  #state: AgentState = 'created';

  constructor(options: LifecycleOptions) {
    this.#onChange = options.onChange;
    this.#actor = createActor(lifecycleMachine, {
      input: { startPaused: options.startPaused },
      parent: lifecycles(),
    }).start();
  }

  get state(): AgentState {
    return this.#state;
  }

  /** Tasks in a handler. */
  get running(): number {
    return this.#actor.getSnapshot().context.running;
  }

  /** Whether the agent will be paused when its running tasks have ended. */
  get pausing(): boolean {
    return this.#actor.getSnapshot().context.pausing;
  }

  allows(event: LifecycleEvent): boolean {
    return (LIFECYCLE_EVENTS[event] as readonly AgentState[]).includes(this.#state);
  }

  /**
   * Takes one event. Throws `illegal_transition` (details `from`, `event`) when the state does not allow it;
   * the state is then unchanged and nothing is reported.
   */
  send(event: LifecycleEvent, error?: WireError): void {
    const from = this.#state;
    if (!this.allows(event)) {
      throw new RuntimeError('illegal_transition', `an agent that is ${from} cannot take ${event}`, {
        details: { from, event },
      });
    }
    this.#actor.send({ type: event });
    if (this.#observer) this.#told(event, this.#observer);
    const { status, value: to, error: cause } = this.#actor.getSnapshot();
    if (status === 'error') throw new RuntimeError('internal', 'the lifecycle machine failed', { cause });
    if (to === from) return;
    this.#state = to;
    this.#onChange({ from, to, cause: event, ...(error ? { error } : {}) });
  }

  /**
   * Tells its events and snapshots until disposed; one observer at a time. Told from here and not by XState, whose observers hear of every
   * lifecycle in the thread.
   */
  observe(observer: (told: RawXState) => void): () => void {
    this.#observer = observer;
    const { parentId: _shared, ...actor } = xstateActor(this.#actor, this.#actor.sessionId);
    observer({ ...actor, name: 'lifecycle' });
    return () => {
      if (this.#observer === observer) this.#observer = undefined;
    };
  }

  #told(type: LifecycleEvent, observer: (told: RawXState) => void): void {
    const { sessionId } = this.#actor;
    const { status, value, context } = this.#actor.getSnapshot();
    const at = { sessionId, rootId: sessionId, event: { type } };
    observer({ type: '@xstate.event', ...at });
    observer({ type: '@xstate.snapshot', ...at, snapshot: { status, value, context } });
  }

  /** Takes the actor out of its system. Send nothing afterwards. */
  dispose(): void {
    lifecycles().send({ type: 'stop', child: this.#actor });
  }
}

type StopChild = { readonly type: 'stop'; readonly child: AnyActorRef };

/**
 * One XState system holds the lifecycles of all agents of a thread: half the memory of a system each (2.0 kB against 3.8 kB).
 * The parent's logic keeps no list of them, because XState copies its children at each spawn.
 */
const startLifecycles = () =>
  createActor(
    fromTransition((state: null, event: StopChild, scope) => {
      if (event.type === 'stop') scope.stopChild(event.child);
      return state;
    }, null),
  ).start();
let shared: ReturnType<typeof startLifecycles> | undefined;

function lifecycles(): ReturnType<typeof startLifecycles> {
  shared ??= startLifecycles();
  return shared;
}
