// The newest lines of the node's log, for the inspector: of an agent, a task, a run or a trace.

import { z } from 'zod';
import { logLevelSchema, logPageSchema } from '../../runtime/contracts/log.ts';
import { type Endpoint, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { queryInt } from '../params.ts';
import { defined } from './agents.ts';

export function logRoutes({ runtime: { system } }: RouteDeps): Endpoint[] {
  const id = z.string().min(1).max(120).optional();
  return [
    endpoint({
      method: 'get',
      path: '/api/inspect/logs',
      id: 'listLogLines',
      tag: 'system',
      summary: "The newest lines of this node's log, oldest first; admins see the node's own lines too",
      description:
        'The last 2,000 lines a node wrote, kept in memory without secrets. `after` goes on where the last answer ended: its last `seq`.',
      query: z.strictObject({
        agent: id.meta({ description: 'Id of an agent.' }),
        task: id,
        workflow: id,
        trace: z
          .string()
          .regex(/^[0-9a-f]{32}$/)
          .optional(),
        level: logLevelSchema.optional().meta({ description: 'This level and more severe ones.' }),
        after: queryInt(0, Number.MAX_SAFE_INTEGER).optional(),
        limit: queryInt(1, 1_000).optional().meta({ description: 'Default 100.' }),
      }),
      responses: { 200: { description: 'The lines of this node.', content: json(logPageSchema) } },
      async handle({ c, query, principal, call }) {
        const { agent, task, workflow, trace, level, after, limit } = query;
        const wanted = { agentId: agent, taskId: task, workflowId: workflow, traceId: trace, level, after, limit };
        return c.json(system.logs({ ...defined(wanted), ofNode: principal.role === 'admin' }, call));
      },
    }),
  ];
}
