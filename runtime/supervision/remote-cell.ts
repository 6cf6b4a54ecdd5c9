// The stand-in on the main thread for one incarnation of an agent's cell in its thread: a child of its agent's supervisor.
// It mirrors state, ends as the cell ends, and guarantees that every launch ends: started, refused or timed out.

import type { ActorLogic, EventObject } from 'xstate';
import type { AgentState } from '../contracts/agent.ts';
import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { Clock, Dispose } from '../contracts/ports.ts';
import { type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';

/** What a launch answers. `state` is the cell's state by then; default `idle`. */
export interface Launched {
  readonly thread: number;
  readonly state?: AgentState;
}

/** Why an incarnation failed; the error of the errored actor. */
export interface CellFailure {
  /** `crashed`: by its own error; `lost`: with its thread; `launch`: it never came up. */
  readonly type: 'crashed' | 'lost' | 'launch';
  readonly error: WireError;
  /** It had a task or a message in hand when its thread died. */
  readonly busy: boolean;
}

/** The supervisor of a cell, as the cell needs it. Called within transitions: must not throw. */
export interface CellOwner {
  launchCell(incarnation: number): Promise<Launched>;
  /** A change of state, in order. */
  cellState(to: AgentState, cause: string, error?: WireError): void;
  cellStarted(thread: number): void;
  /** The launch succeeded after this incarnation had been given up: something may run that nobody supervises. */
  cellOrphaned(incarnation: number): void;
}

export interface CellInput {
  readonly incarnation: number;
  readonly owner: CellOwner;
  readonly clock: Clock;
  readonly spawnTimeoutMs: number;
}

export type CellEvent =
  | { readonly type: 'cell.started'; readonly launched: Launched }
  | { readonly type: 'cell.refused'; readonly error: WireError }
  | { readonly type: 'cell.transition'; readonly to: AgentState; readonly cause: string; readonly error?: WireError }
  | { readonly type: 'cell.failed'; readonly error: WireError }
  | { readonly type: 'cell.lost'; readonly error: WireError; readonly busy: boolean }
  | { readonly type: 'cell.done'; readonly output: unknown };

export type CellSnapshot = LogicSnapshot<{
  readonly state: AgentState;
  /** Undefined until the launch is acknowledged. */
  readonly thread: number | undefined;
  readonly incarnation: number;
}>;

type CellInternal = CellSnapshot & { readonly run: CellRun };

/** What belongs to one actor beside its snapshot: its input, its timer, and whether its end was reported. */
class CellRun {
  readonly input: CellInput;
  #timer: Dispose | undefined;
  #over = false;

  constructor(input: CellInput) {
    this.input = input;
  }

  launch(self: { send(event: CellEvent): void }): void {
    const { clock, spawnTimeoutMs, owner, incarnation } = this.input;
    this.#timer = clock.setTimeout(() => {
      const error = wireError('spawn_timeout', `no answer within ${spawnTimeoutMs} ms`, { spawnTimeoutMs });
      self.send({ type: 'cell.refused', error });
    }, spawnTimeoutMs);
    launched(owner, incarnation).then(
      (answer) => {
        if (this.#over) owner.cellOrphaned(incarnation);
        else self.send({ type: 'cell.started', launched: answer });
      },
      (error: unknown) => {
        if (!this.#over) self.send({ type: 'cell.refused', error: toWireError(error, 'init_failed') });
      },
    );
  }

  answered(): void {
    this.#timer?.();
    this.#timer = undefined;
  }

  end(): void {
    this.#over = true;
    this.answered();
  }
}

/** One logic for all cells: what is theirs travels in the input. */
export const remoteCell: ActorLogic<CellInternal, CellEvent | EventObject, CellInput> = {
  getInitialSnapshot: (_scope, input) => active('initializing', undefined, new CellRun(input)),
  start: ({ run }, { self }) => run.launch(self),
  transition: (snapshot, event) => {
    const own = event as CellEvent | { readonly type: typeof STOP };
    switch (own.type) {
      case 'cell.started':
        return started(snapshot, own.launched);
      case 'cell.transition':
        return mirrored(snapshot, own);
      case 'cell.refused':
        // Too late to be refused once the cell answered: what ends it now is its own failure or its thread's.
        return snapshot.thread === undefined ? failed(snapshot, 'launch', own.error, false) : snapshot;
      case 'cell.failed':
        return failed(snapshot, snapshot.thread === undefined ? 'launch' : 'crashed', own.error, false);
      case 'cell.lost':
        return failed(snapshot, 'lost', own.error, own.busy);
      case 'cell.done':
        snapshot.run.end();
        return { ...snapshot, status: 'done', output: own.output, error: undefined };
      case STOP:
        snapshot.run.end();
        return { ...snapshot, ...STOPPED };
      default:
        return snapshot;
    }
  },
  getPersistedSnapshot: (snapshot) => snapshot,
};

function active(state: AgentState, thread: number | undefined, run: CellRun): CellInternal {
  // Written out: this runs for every transition of every agent, and a spread costs several times as much.
  return {
    status: 'active',
    output: undefined,
    error: undefined,
    state,
    thread,
    incarnation: run.input.incarnation,
    run,
  };
}

function started(snapshot: CellInternal, answer: Launched): CellInternal {
  const { run } = snapshot;
  run.answered();
  const state = snapshot.state === 'initializing' ? (answer.state ?? 'idle') : snapshot.state;
  if (state !== snapshot.state) run.input.owner.cellState(state, 'ready');
  run.input.owner.cellStarted(answer.thread);
  return active(state, answer.thread, run);
}

function mirrored(
  snapshot: CellInternal,
  change: { readonly to: AgentState; readonly cause: string; readonly error?: WireError },
): CellInternal {
  const { to } = change;
  // The proxy is `initializing` from the launch on, and what was acknowledged does not initialise again; the end of a
  // cell is what its failure or its halt says, so that it is told once.
  if (to === snapshot.state || to === 'created' || to === 'initializing' || to === 'terminated' || to === 'error') {
    return snapshot;
  }
  snapshot.run.input.owner.cellState(to, change.cause, change.error);
  return active(to, snapshot.thread, snapshot.run);
}

function failed(snapshot: CellInternal, type: CellFailure['type'], error: WireError, busy: boolean): CellInternal {
  snapshot.run.end();
  const failure: CellFailure = { type, error, busy };
  return { ...snapshot, status: 'error', output: undefined, error: failure };
}

function launched(owner: CellOwner, incarnation: number): Promise<Launched> {
  try {
    return owner.launchCell(incarnation);
  } catch (error) {
    return Promise.reject(error);
  }
}
