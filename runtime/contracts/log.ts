// Lines of the log as people look them up: the newest of a node, kept in memory for the inspector. The log itself is wherever standard error goes.

import { z } from 'zod';

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export const logLevelSchema = z.enum(LOG_LEVELS);
export type LogLevel = z.infer<typeof logLevelSchema>;

export const loggedLineSchema = z
  .object({
    /** Grows by one with every line of this node. */
    seq: z.number().int(),
    at: z.string(),
    level: logLevelSchema,
    message: z.string(),
    /** Absent: the node's own line. */
    tenant: z.string().optional(),
    agentId: z.string().optional(),
    thread: z.number().int().optional(),
    taskId: z.string().optional(),
    workflowId: z.string().optional(),
    traceId: z.string().optional(),
    fields: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'LogLine' });
export type LoggedLine = z.infer<typeof loggedLineSchema>;

export const logPageSchema = z
  .object({
    node: z.string(),
    items: z.array(loggedLineSchema).meta({ description: 'Oldest first.' }),
    /** Lines up to this one are gone. */
    forgotten: z.number().int(),
  })
  .meta({ id: 'LogPage' });
export type LogPage = z.infer<typeof logPageSchema>;

/** Which lines are wanted: all of these must fit. */
export interface LogFilter {
  readonly agentId?: string;
  readonly taskId?: string;
  readonly workflowId?: string;
  readonly traceId?: string;
  /** This level and more severe ones. */
  readonly level?: LogLevel;
  /** Lines after this one, the oldest of them first; absent: the newest lines. */
  readonly after?: number;
  /** Default 100, at most 1,000. */
  readonly limit?: number;
  /** The node's own lines, which belong to no tenant, too. Default no. */
  readonly ofNode?: boolean;
}
