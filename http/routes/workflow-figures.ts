// What is asked about workflows rather than of one: a plan before it runs, figures over many runs, runs that stand still.

import { z } from 'zod';
import { createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import { workflowPlanSchema } from '../../runtime/contracts/workflow-plan.ts';
import { MAX_WORKFLOW_BYTES } from '../body.ts';
import { type Endpoint, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { limitQuery, queryInt } from '../params.ts';
import { withoutStack } from '../present.ts';
import { statisticsSchema, stuckSchema } from '../schemas.ts';
import { defined } from './agents.ts';

const DAY_S = 86_400;

export function workflowFigureRoutes({ runtime: { workflows } }: RouteDeps): Endpoint[] {
  return [
    endpoint({
      method: 'post',
      path: '/api/agents/workflows/plan',
      id: 'planWorkflow',
      tag: 'workflows',
      summary: 'What a workflow would do, in which order and for how long; nothing is stored',
      description:
        'Takes the body of create and refuses what create refuses. Times are medians of recent tasks of the same capability; `basis` says of each step where its time is from.',
      body: createWorkflowSchema,
      maxBodyBytes: MAX_WORKFLOW_BYTES,
      responses: { 200: { description: 'The plan.', content: json(workflowPlanSchema) } },
      handle: async ({ c, body, call }) => c.json(await workflows.plan(defined(body), call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/workflows/statistics',
      id: 'workflowStatistics',
      tag: 'workflows',
      summary: 'What each pattern achieved: outcomes, times, speed-up, causes of failure',
      query: z.strictObject({
        withinS: queryInt(1, 999_999_999)
          .optional()
          .meta({
            description: `Runs that ended in the last so many seconds; default ${7 * DAY_S}, 7 days.`,
          }),
      }),
      responses: { 200: { description: 'By pattern.', content: json(statisticsSchema) } },
      async handle({ c, query, call }) {
        const { withinS } = query;
        return c.json(await workflows.statistics(withinS === undefined ? {} : { withinMs: withinS * 1_000 }, call));
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/workflows/stuck',
      id: 'stuckWorkflows',
      tag: 'workflows',
      summary: 'Runs that nothing will move again, longest first',
      description:
        'Running, no decision for a while, and no task, run inside, question, timer or unread event that could bring one. Cancel or fork them.',
      query: z.strictObject({
        idleS: queryInt(0, 999_999_999).optional().meta({ description: 'Without a decision for so long; default 60.' }),
        limit: limitQuery,
      }),
      responses: { 200: { description: 'The runs.', content: json(stuckSchema) } },
      async handle({ c, query, call }) {
        const { idleS, limit } = query;
        const filter = { ...(idleS === undefined ? {} : { idleMs: idleS * 1_000 }), ...defined({ limit }) };
        const rows = await workflows.stuck(filter, call);
        return c.json({
          items: rows.map(({ error, ...rest }) => (error ? { ...rest, error: withoutStack(error) } : rest)),
        });
      },
    }),
  ];
}
