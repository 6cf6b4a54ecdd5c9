// A part of the runtime that is no actor (the pool, the dispatcher, the HTTP server) as a child of a supervisor.

import type { ActorLogic, EventObject } from 'xstate';
import { toWireError } from '../contracts/errors.ts';
import type { Ambient, Dispose } from '../contracts/ports.ts';
import { ACTIVE, DONE, type LogicSnapshot, STOP, STOPPED } from './actor-logic.ts';
import type { ChildLink } from './supervisor.ts';

/** A part with a life: its supervisor starts it, stops it and starts it again. */
export interface SystemChild {
  readonly id: string;
  /** Resolves when it is up. A rejection counts as a failure; it must leave nothing running then. */
  start(): Promise<void>;
  /** Ends it; called at most once per start, also to clean up after a failure. */
  stop(): Promise<void>;
  /** Tells about its death while it runs. */
  onFailure?(listener: (error: unknown) => void): Dispose;
  /** Default 5,000 ms: how long `stop` may take before the tree goes on without it. */
  readonly shutdownMs?: number;
}

type Phase = 'starting' | 'running' | 'cleaning' | 'stopping';

export type HandleSnapshot = LogicSnapshot<{ readonly phase: Phase; readonly cause?: unknown }>;

type HandleEvent =
  | { readonly type: 'shutdown' }
  | { readonly type: 'handle.up' }
  | { readonly type: 'handle.failed'; readonly error: unknown }
  | { readonly type: 'handle.down' };

const CLEAN_UP_MS = 5_000;

/** The logic of one incarnation of a {@link SystemChild}. */
export function handleLogic(
  child: SystemChild,
  link: ChildLink,
  ambient: Ambient,
): ActorLogic<HandleSnapshot, HandleEvent | EventObject, undefined> {
  const life = new HandleLife(child, link, ambient);
  return {
    getInitialSnapshot: () => ({ ...ACTIVE, phase: 'starting' }),
    start: (_snapshot, scope) => life.start((event) => scope.self.send(event)),
    transition: (snapshot, event) => life.next(snapshot, event as HandleEvent),
    getPersistedSnapshot: (snapshot) => snapshot,
  };
}

class HandleLife {
  readonly #child: SystemChild;
  readonly #link: ChildLink;
  readonly #ambient: Ambient;
  #send: (event: HandleEvent) => void = () => {};
  #unsubscribe: Dispose | undefined;
  #stopping = false;
  #stopWhenUp = false;
  #cleanTimer: Dispose | undefined;

  constructor(child: SystemChild, link: ChildLink, ambient: Ambient) {
    this.#child = child;
    this.#link = link;
    this.#ambient = ambient;
  }

  start(send: (event: HandleEvent) => void): void {
    this.#send = send;
    this.#unsubscribe = this.#child.onFailure?.((error) => this.#send({ type: 'handle.failed', error }));
    call(() => this.#child.start()).then(
      () => this.#send({ type: 'handle.up' }),
      (error: unknown) => this.#send({ type: 'handle.failed', error }),
    );
  }

  next(snapshot: HandleSnapshot, event: HandleEvent | { readonly type: typeof STOP }): HandleSnapshot {
    switch (event.type) {
      case 'handle.up':
        return this.#up(snapshot);
      case 'handle.failed':
        return this.#failed(snapshot, event.error);
      case 'handle.down':
        if (snapshot.phase === 'cleaning') return this.#end({ ...snapshot, ...failure(snapshot.cause) });
        return snapshot.phase === 'stopping' ? this.#end({ ...DONE, phase: 'stopping' }) : snapshot;
      case 'shutdown':
        if (snapshot.phase === 'starting') this.#stopWhenUp = true;
        else if (snapshot.phase === 'running') this.#stop();
        else return { ...ACTIVE, phase: 'stopping' };
        return snapshot.phase === 'running' ? { ...ACTIVE, phase: 'stopping' } : snapshot;
      case STOP:
        // Killed: nobody waits for the answer any more, but what is up must not stay up.
        if (snapshot.phase === 'running') this.#stop();
        else if (snapshot.phase === 'starting') this.#stopWhenUp = true;
        return this.#end({ ...STOPPED, phase: snapshot.phase }, this.#stopWhenUp);
      default:
        return snapshot;
    }
  }

  #up(snapshot: HandleSnapshot): HandleSnapshot {
    if (snapshot.phase !== 'starting') return snapshot;
    this.#link.up();
    if (!this.#stopWhenUp) return { ...ACTIVE, phase: 'running' };
    this.#stop();
    return { ...ACTIVE, phase: 'stopping' };
  }

  #failed(snapshot: HandleSnapshot, error: unknown): HandleSnapshot {
    if (snapshot.phase === 'starting') {
      if (this.#stopWhenUp) return this.#end({ ...DONE, phase: 'stopping' });
      return this.#end({ ...snapshot, ...failure(error) });
    }
    if (snapshot.phase !== 'running') return snapshot;
    this.#cleanTimer = this.#ambient.clock.setTimeout(() => this.#send({ type: 'handle.down' }), CLEAN_UP_MS);
    this.#stop();
    return { ...ACTIVE, phase: 'cleaning', cause: error };
  }

  #stop(): void {
    if (this.#stopping) return;
    this.#stopping = true;
    call(() => this.#child.stop()).then(
      () => this.#send({ type: 'handle.down' }),
      (error: unknown) => {
        this.#ambient.log.warn('a system child did not stop cleanly', {
          child: this.#child.id,
          error: toWireError(error).message,
        });
        this.#send({ type: 'handle.down' });
      },
    );
  }

  #end(snapshot: HandleSnapshot, stillStarting = false): HandleSnapshot {
    this.#unsubscribe?.();
    this.#cleanTimer?.();
    this.#send = (event) => {
      if (stillStarting && event.type === 'handle.up') this.#stop();
    };
    return snapshot;
  }
}

/** Runs what may throw before it returns its promise. */
async function call(fn: () => Promise<void>): Promise<void> {
  await fn();
}

function failure(error: unknown): { readonly status: 'error'; readonly output: undefined; readonly error: unknown } {
  return { status: 'error', output: undefined, error };
}
