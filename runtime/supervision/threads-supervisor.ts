// One child actor per thread of the pool. The pool restarts its threads; here a dead one is a failed child that is charged
// to the intensity of the threads, and one too many is the failure of them all.

import type { ActorLogic, EventObject } from 'xstate';
import { type WireError, wireError } from '../contracts/errors.ts';
import type { NewEvent } from '../contracts/event.ts';
import type { Ambient } from '../contracts/ports.ts';
import type { RestartIntensity } from '../contracts/supervision.ts';
import type { PoolNotice } from '../contracts/wire.ts';
import { ACTIVE, type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';
import { DynamicSupervisor } from './dynamic-supervisor.ts';
import { addRestart } from './restart-intensity.ts';

export type ThreadNotice = Extract<PoolNotice, { type: `thread.${string}` }>;

export type ThreadSnapshot = LogicSnapshot<{
  readonly thread: number;
  readonly state: 'up' | 'stuck' | 'down';
  readonly dedicatedTo: string | undefined;
}>;

interface ThreadInput {
  readonly thread: number;
  readonly dedicatedTo: string | undefined;
}

/** Mirrors one thread: stuck and back, drained as done, dead as errored. */
const threadMirror: ActorLogic<ThreadSnapshot, ThreadNotice | EventObject, ThreadInput> = {
  getInitialSnapshot: (_scope, input) => ({ ...ACTIVE, ...input, state: 'up' }),
  transition: (snapshot, event) => {
    const notice = event as ThreadNotice | { readonly type: typeof STOP };
    switch (notice.type) {
      case 'thread.up':
        return { ...snapshot, state: 'up' };
      case 'thread.stuck':
        return { ...snapshot, state: 'stuck' };
      case 'thread.down':
        return notice.reason === 'drained'
          ? { ...snapshot, state: 'down', status: 'done', output: undefined, error: undefined }
          : { ...snapshot, state: 'down', status: 'error', output: undefined, error: errorOf(notice) };
      case STOP:
        return { ...snapshot, ...STOPPED, state: 'down' };
      default:
        return snapshot;
    }
  },
  getPersistedSnapshot: (snapshot) => snapshot,
};

export interface ThreadsSupervisorOptions {
  readonly ambient: Ambient;
  readonly intensity: RestartIntensity;
  readonly onEvent: (event: NewEvent) => void;
  /** Of the events: the stream and tenant of the node. */
  readonly stream: string;
  readonly tenant: string;
}

/** Takes the pool's notices about threads. */
export class ThreadsSupervisor {
  readonly children: DynamicSupervisor;
  readonly #options: ThreadsSupervisorOptions;
  readonly #dedicated = new Set<string>();
  #restartsAtMs: readonly number[] = [];

  constructor(options: ThreadsSupervisorOptions) {
    this.#options = options;
    this.children = new DynamicSupervisor((id, exit) => this.#exited(id, exit.failed ? exit.value : undefined));
  }

  notify(notice: ThreadNotice): void {
    const id = `thread-${notice.thread}`;
    const known = this.children.get(id);
    if (known !== undefined) known.send(notice);
    else if (notice.type === 'thread.up') this.#spawn(id, notice);
  }

  #spawn(id: string, notice: Extract<ThreadNotice, { type: 'thread.up' }>): void {
    if (notice.dedicatedTo !== undefined) this.#dedicated.add(id);
    try {
      this.children.spawn(id, threadMirror, { thread: notice.thread, dedicatedTo: notice.dedicatedTo });
    } catch (error) {
      // The tree is going down while a thread came up; the pool stops it with the others.
      this.#options.ambient.log.debug('a thread came up too late', { thread: notice.thread, error: String(error) });
    }
  }

  #exited(id: string, failure: unknown): WireError | undefined {
    // The death of a dedicated thread is its agent's affair alone: it is charged to the agent's own budget.
    const dedicated = this.#dedicated.delete(id);
    if (failure === undefined) return undefined;
    const error = failure as WireError;
    const { ambient, intensity, onEvent, stream, tenant } = this.#options;
    const charged = !dedicated;
    if (charged) {
      const budget = addRestart(this.#restartsAtMs, ambient.clock.monotonicMs(), intensity);
      this.#restartsAtMs = budget.restartsAtMs;
      if (budget.exceeded) return intensityError(intensity, id, error);
    }
    const data = { supervisor: 'threads', child: id, delayMs: 0, charged, error };
    onEvent({ stream, type: 'supervision.restart', tenant, data });
    return undefined;
  }
}

function errorOf(notice: Extract<ThreadNotice, { type: 'thread.down' }>): WireError {
  return (
    notice.error ?? wireError('thread_lost', `thread ${notice.thread} ${notice.reason}`, { reason: notice.reason })
  );
}

function intensityError({ maxRestarts, withinMs }: RestartIntensity, id: string, cause: WireError): WireError {
  const message = `the threads died more than ${maxRestarts} times within ${withinMs} ms, last ${id}: ${cause.message}`;
  return wireError('restart_intensity', message, { supervisor: 'threads', child: id, maxRestarts, withinMs, cause });
}
