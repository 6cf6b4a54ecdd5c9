// What happened, as streams with one fenced writer each and a dense sequence; the source of SSE, of waiting callers and of history.

import { z } from 'zod';

export const EVENT_TYPES = [
  'task.accepted',
  'task.started',
  'task.progress',
  'task.retrying',
  'task.handed_off',
  'task.waiting',
  'task.answered',
  'task.completed',
  'task.failed',
  'task.dead',
  'task.cancelled',
  'task.timed_out',
  'agent.created',
  'agent.transition',
  'agent.updated',
  'agent.terminated',
  'workflow.created',
  'workflow.started',
  'workflow.step',
  'workflow.decision',
  'workflow.paused',
  'workflow.resumed',
  'workflow.input',
  'workflow.ended',
  'thread.up',
  'thread.down',
  'thread.stuck',
  'node.started',
  'node.draining',
  'node.lost',
  'message.dead_letter',
  'supervision.restart',
  'supervision.escalated',
] as const;
export const eventTypeSchema = z.enum(EVENT_TYPES);
export type EventType = z.infer<typeof eventTypeSchema>;

/** One event. `stream` is the id of the task, agent, workflow or node it belongs to. `seq` is dense per stream from 1;
 * null marks a live notice that is not stored (start and progress of a task, transitions of an agent). */
export const runtimeEventSchema = z
  .object({
    stream: z.string(),
    seq: z.number().int().min(1).nullable(),
    type: eventTypeSchema,
    tenant: z.string(),
    at: z.string(),
    data: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'Event' });
export type RuntimeEvent = z.infer<typeof runtimeEventSchema>;

/** An event before its writer numbers it. */
export interface NewEvent {
  readonly stream: string;
  readonly type: EventType;
  readonly tenant: string;
  readonly data: Record<string, unknown>;
}
