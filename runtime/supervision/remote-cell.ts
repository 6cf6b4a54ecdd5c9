// The stand-in on the main thread for one incarnation of an agent's cell in its thread: a child of its agent's supervisor.
// It mirrors state, ends as the cell ends, and guarantees that every launch ends: started, refused or timed out.

import type { ActorLogic, EventObject } from 'xstate';
import type { AgentState } from '../contracts/agent.ts';
import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { Clock, Dispose } from '../contracts/ports.ts';
import { ACTIVE, type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';

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

export interface CellInput {
  readonly incarnation: number;
  readonly clock: Clock;
  readonly spawnTimeoutMs: number;
  readonly launch: () => Promise<Launched>;
  /** A change of state, in order; called within the transition that makes it. */
  readonly onState: (to: AgentState, cause: string, error?: WireError) => void;
  readonly onStarted: (thread: number) => void;
  /** The launch succeeded after this incarnation had been given up: something may run that nobody supervises. */
  readonly onOrphan: () => void;
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

/** Per-actor attachments that are no part of the snapshot. */
interface CellRun {
  readonly input: CellInput;
  timer: Dispose | undefined;
  over: boolean;
}

type CellInternal = CellSnapshot & { readonly run: CellRun };

/** One logic for all cells: what is theirs travels in the input. */
export const remoteCell: ActorLogic<CellInternal, CellEvent | EventObject, CellInput> = {
  getInitialSnapshot: (_scope, input) => ({
    ...ACTIVE,
    state: 'initializing',
    thread: undefined,
    incarnation: input.incarnation,
    run: { input, timer: undefined, over: false },
  }),
  start: ({ run }, { self }) => {
    const { clock, spawnTimeoutMs, launch, onOrphan } = run.input;
    run.timer = clock.setTimeout(() => {
      const error = wireError('spawn_timeout', `no answer within ${spawnTimeoutMs} ms`, { spawnTimeoutMs });
      self.send({ type: 'cell.refused', error });
    }, spawnTimeoutMs);
    settle(launch).then(
      (launched) => {
        if (run.over) onOrphan();
        else self.send({ type: 'cell.started', launched });
      },
      (error: unknown) => {
        if (!run.over) self.send({ type: 'cell.refused', error: toWireError(error, 'init_failed') });
      },
    );
  },
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
        finish(snapshot);
        return { ...snapshot, status: 'done', output: own.output, error: undefined };
      case STOP:
        finish(snapshot);
        return { ...snapshot, ...STOPPED };
      default:
        return snapshot;
    }
  },
  getPersistedSnapshot: (snapshot) => snapshot,
};

function started(snapshot: CellInternal, launched: Launched): CellInternal {
  snapshot.run.timer?.();
  const state = snapshot.state === 'initializing' ? (launched.state ?? 'idle') : snapshot.state;
  if (state !== snapshot.state) snapshot.run.input.onState(state, 'ready');
  snapshot.run.input.onStarted(launched.thread);
  return { ...snapshot, thread: launched.thread, state };
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
  snapshot.run.input.onState(to, change.cause, change.error);
  return { ...snapshot, state: to };
}

function failed(snapshot: CellInternal, type: CellFailure['type'], error: WireError, busy: boolean): CellInternal {
  finish(snapshot);
  const failure: CellFailure = { type, error, busy };
  return { ...snapshot, status: 'error', output: undefined, error: failure };
}

function finish({ run }: CellInternal): void {
  run.over = true;
  run.timer?.();
}

async function settle(launch: () => Promise<Launched>): Promise<Launched> {
  return await launch();
}
