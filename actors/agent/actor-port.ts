// What the logic of a plain actor can do in the world: reply, tell, ask. Used from actions and from transition functions.

import type { ActorSystem, ActorSystemInfo, AnyActorRef, EventObject } from 'xstate';
import type { CellContext } from '../../runtime/contracts/actor.ts';
import type { Message } from '../../runtime/contracts/envelope.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';

type System = ActorSystem<ActorSystemInfo>;

/** The key is a symbol so that no field of a body can be in its way. */
const MESSAGE = Symbol('message');
const cells = new WeakMap<object, CellContext>();

type MessageEvent = EventObject & Record<string | symbol, unknown>;

/**
 * The event of a message: the fields of its body, and its type. A body that is no plain object is the field `body`.
 * The type goes first and is mended afterwards: `{ ...body, type }` takes 1,200 ns, this 130 ns.
 */
export function eventOf(message: Message): MessageEvent {
  const { type, body } = message;
  const event: MessageEvent = isFields(body) ? { type, ...body } : { type, body };
  if (event.type !== type) event.type = type;
  event[MESSAGE] = message;
  return event;
}

/** The message an event was made from: its sender, its ids. Undefined for events that the logic raised itself. */
export function messageOf(event: EventObject): Message | undefined {
  return (event as { readonly [MESSAGE]?: Message })[MESSAGE];
}

export function bindCell(system: System, cell: CellContext): void {
  cells.set(system, cell);
}

/** The cell around an actor's logic. */
export interface ActorPort {
  readonly id: AgentId;
  /** Answers the ask that `event` came from. False when nobody waits for an answer. */
  reply(event: EventObject, body: unknown): boolean;
  /** At most once, order kept per receiver. */
  tell(to: AgentId, type: string, body?: unknown): void;
  /** Rejects with `ask_timeout` (default 5 s), `actor_not_found`, `target_lost`, or what the handler threw. */
  ask(to: AgentId, type: string, body?: unknown, options?: { readonly timeoutMs?: number }): Promise<unknown>;
}

/**
 * The port of the actor whose logic is running: take `system` from the scope of a transition function or the arguments of an action.
 * @throws RuntimeError `unsupported` outside of a runtime, e.g. in a plain `createActor`.
 */
export function portOf({ system }: { readonly system: System }): ActorPort {
  const cell = cells.get(system);
  if (cell === undefined) {
    throw new RuntimeError(
      'unsupported',
      'this actor was not spawned by a runtime: there is nobody to reply to or tell',
    );
  }
  return {
    id: cell.id,
    reply(event, body) {
      const message = messageOf(event);
      if (message?.correlationId === undefined) return false;
      cell.reply(message, body);
      return true;
    },
    tell: (to, type, body) => cell.tell(to, type, body),
    ask: (to, type, body, options) =>
      cell.ask(to, type, body, { timeoutMs: options?.timeoutMs ?? DEFAULT_ASK_TIMEOUT_MS }),
  };
}

const DEFAULT_ASK_TIMEOUT_MS = 5_000;

interface ActionArgs<Context, Event extends EventObject> {
  readonly context: Context;
  readonly event: Event;
  readonly self: AnyActorRef;
  readonly system: System;
}

/** An action that answers the ask its event came from; nothing for a tell. */
export function replyWith<Context, Event extends EventObject>(
  answer: (args: ActionArgs<Context, Event>) => unknown,
): (args: ActionArgs<Context, Event>) => void {
  return (args) => void portOf(args).reply(args.event, answer(args));
}

/** An action that tells another actor. */
export function tellWith<Context, Event extends EventObject>(
  what: (args: ActionArgs<Context, Event>) => { readonly to: AgentId; readonly type: string; readonly body?: unknown },
): (args: ActionArgs<Context, Event>) => void {
  return (args) => {
    const { to, type, body } = what(args);
    portOf(args).tell(to, type, body);
  };
}

function isFields(body: unknown): body is Record<string, unknown> {
  return typeof body === 'object' && body !== null && !Array.isArray(body);
}
