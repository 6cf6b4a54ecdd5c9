// What every logic of the tree shares: its snapshot, its events about children, and how children are made.

import { type ActorScope, type AnyActorLogic, type AnyActorRef, createActor, type EventObject } from 'xstate';

/** A snapshot in XState's four statuses with the fields of one kind of actor beside them. */
export type NodeSnapshot<Fields> = Fields & {
  readonly status: 'active' | 'done' | 'error' | 'stopped';
  readonly output: undefined;
  readonly error: unknown;
};

/** XState's own snapshot type is a union per status; custom logic declares itself in that type and reads its own. */
export type LogicSnapshot<Fields> = Fields &
  (
    | { status: 'active'; output: undefined; error: undefined }
    | { status: 'done'; output: unknown; error: undefined }
    | { status: 'error'; output: undefined; error: unknown }
    | { status: 'stopped'; output: undefined; error: undefined }
  );

export const ACTIVE = { status: 'active', output: undefined, error: undefined } as const;
export const STOPPED = { status: 'stopped', output: undefined, error: undefined } as const;
export const DONE = { status: 'done', output: undefined, error: undefined } as const;

export const STOP = 'xstate.stop';
const DONE_PREFIX = 'xstate.done.actor.';
const ERROR_PREFIX = 'xstate.error.actor.';

/** An exit of a child as XState tells its parent, or undefined for any other event. */
export function childExit(
  event: EventObject,
): { readonly actorId: string; readonly failed: boolean; readonly value: unknown } | undefined {
  if (event.type.startsWith(DONE_PREFIX)) {
    const output = (event as EventObject & { output?: unknown }).output;
    return { actorId: event.type.slice(DONE_PREFIX.length), failed: false, value: output };
  }
  if (event.type.startsWith(ERROR_PREFIX)) {
    const error = (event as EventObject & { error?: unknown }).error;
    return { actorId: event.type.slice(ERROR_PREFIX.length), failed: true, value: error };
  }
  return undefined;
}

/**
 * A child of a custom logic, in the same system and inspection. Its end reaches the parent's `transition` as an event;
 * with a parent that handles it, an error stays contained.
 */
export function createChild(
  logic: AnyActorLogic,
  parent: AnyActorRef,
  id: string,
  input?: unknown,
): AnyActorRef & { start(): unknown } {
  return createActor(logic, { parent, id, input });
}

/** The scope of any logic; what children are stopped with. */
export type AnyScope = Pick<ActorScope<never, never>, 'stopChild'> & { readonly self: AnyActorRef };
