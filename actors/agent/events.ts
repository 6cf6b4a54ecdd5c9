// The events of an agent's own life, and what their handlers get.

import type { DeadLetter } from '../../runtime/contracts/envelope.ts';
import type { WireError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { Terminated } from '../../runtime/contracts/supervision.ts';
import type { AgentContext } from './context.ts';

interface TaskFacts {
  readonly taskId: string;
  readonly capability: string;
  readonly attempt: number;
}

/**
 * Task events tell how an attempt ended in this agent, in the order in which attempts ended; whether the outcome
 * was accepted is the store's to say.
 */
export interface AgentEvents {
  readonly 'task.started': TaskFacts;
  readonly 'task.completed': TaskFacts & { readonly result: unknown; readonly runMs: number };
  readonly 'task.failed': TaskFacts & { readonly error: WireError; readonly runMs: number };
  readonly 'task.timed_out': TaskFacts & { readonly runMs: number };
  readonly 'task.cancelled': TaskFacts & { readonly runMs: number };
  readonly paused: Record<string, never>;
  readonly resumed: Record<string, never>;
  /** Config or capabilities were changed at run time; `ctx.config` is the new one. */
  readonly configured: { readonly capabilities: readonly string[] };
  /** A durable timer is due. */
  readonly timer: { readonly key: string; readonly body: unknown };
  /** A message that this agent told could not be delivered. */
  readonly undelivered: { readonly letter: DeadLetter };
  /** A watched agent has ended. */
  readonly terminated: Omit<Terminated, 'type'>;
  /** A channel or group it was in was deleted. Without this handler nor one for the message `channel.deleted` nothing happens. */
  readonly 'channel.deleted': {
    readonly id: string;
    readonly name: string;
    readonly kind: string;
    /** The last view of it. */
    readonly viewId: string;
  };
  /** Who offers a capability it follows: first as it is, then after every change. */
  readonly offers: { readonly capability: string; readonly agents: readonly AgentId[] };
  /** News of a task that concerns this agent, from the node. */
  readonly 'task-event': { readonly event: string; readonly body: unknown };
}

export const AGENT_EVENTS = [
  'task.started',
  'task.completed',
  'task.failed',
  'task.timed_out',
  'task.cancelled',
  'paused',
  'resumed',
  'configured',
  'timer',
  'undelivered',
  'terminated',
  'channel.deleted',
  'offers',
  'task-event',
] as const satisfies readonly (keyof AgentEvents)[];

export type AgentEventType = keyof AgentEvents;

/** Called in the order of the events; an asynchronous one is not waited for. A handler that throws is logged and counted. */
export type EventHandlers<State, Config> = {
  readonly [Type in AgentEventType]?: (event: AgentEvents[Type], ctx: AgentContext<State, Config>) => unknown;
};
