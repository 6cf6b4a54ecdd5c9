// The node over REST: status, metrics, the supervision tree, dead letters, initialise and shut down.

import { z } from 'zod';
import { DEAD_LETTER_REASONS } from '../../runtime/contracts/envelope.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { metricHistorySchema } from '../../runtime/contracts/store-figures.ts';
import { type Endpoint, endpoint, JSON_TYPE, json, PROMETHEUS_TYPE, type RouteDeps } from '../endpoint.ts';
import { accepts, cursorQuery, limitQuery, queryInt } from '../params.ts';
import { deadLettersSchema, metricsSchema, nodesSchema, stateSchema, statusSchema, treeSchema } from '../schemas.ts';
import { defined } from './agents.ts';

const timeQuery = z.iso.datetime({ offset: true }).optional();

export function systemRoutes({ runtime, log, metrics, onExit }: RouteDeps): Endpoint[] {
  const { system } = runtime;
  const prometheus = async (): Promise<Response> =>
    new Response((await system.prometheus()) + (await metrics.text()), {
      headers: { 'content-type': PROMETHEUS_TYPE },
    });

  return [
    endpoint({
      method: 'get',
      path: '/api/agents/status',
      id: 'getStatus',
      tag: 'system',
      summary: 'Nodes, threads, agents, queues, dependencies, tables',
      responses: { 200: { description: 'As it stands.', content: json(statusSchema) } },
      handle: async ({ c, call }) => c.json(await system.status(call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/metrics',
      id: 'getMetrics',
      tag: 'system',
      summary: 'Metrics as JSON, or in the Prometheus format under `Accept: text/plain`',
      responses: {
        200: {
          description: 'The figures of this node.',
          content: { [JSON_TYPE]: metricsSchema, [PROMETHEUS_TYPE]: null },
        },
      },
      async handle({ c, call }) {
        const accept = c.req.header('accept') ?? null;
        return accepts(accept, [JSON_TYPE]) ? c.json(await system.metrics(call)) : prometheus();
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/metrics/history',
      id: 'getMetricHistory',
      tag: 'system',
      summary: 'One metric over time, per node',
      description:
        'Kept by the minute for 7 days and by the hour as long as other history. `_total`s are what was added in each step, anything else its mean. A minute in which nothing happened on a node has no point: nothing was added, and the level stayed.',
      query: z.strictObject({
        metric: z
          .string()
          .regex(/^[a-z][a-z0-9_]{0,99}$/)
          .meta({ description: 'Name without prefix and labels.', example: 'tasks_ended_total' }),
        from: timeQuery.meta({ description: 'Default: an hour before `to`.' }),
        to: timeQuery.meta({ description: 'Default: now.' }),
        stepS: queryInt(60, 31_536_000)
          .optional()
          .meta({ description: 'Seconds per point, a multiple of 60; default: what gives some 200 points.' }),
      }),
      responses: { 200: { description: 'Points in order of time.', content: json(metricHistorySchema) } },
      async handle({ c, query }) {
        const { metric, from, to, stepS } = query;
        const wish = {
          fromMs: from === undefined ? undefined : Date.parse(from),
          toMs: to === undefined ? undefined : Date.parse(to),
          stepMs: stepS === undefined ? undefined : stepS * 1_000,
        };
        return c.json(await system.metricHistory({ metric, ...defined(wish) }));
      },
    }),
    endpoint({
      method: 'get',
      path: '/metrics',
      id: 'getPrometheusMetrics',
      tag: 'system',
      summary: 'Metrics in the Prometheus format',
      responses: { 200: { description: 'Text exposition.', content: { [PROMETHEUS_TYPE]: null } } },
      handle: prometheus,
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/tree',
      id: 'getTree',
      tag: 'system',
      summary: 'The supervision tree',
      responses: { 200: { description: 'From the root down.', content: json(treeSchema) } },
      handle: async ({ c, call }) => c.json(system.tree(call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/nodes',
      id: 'listNodes',
      tag: 'system',
      summary: 'The nodes of the cluster with their agents and the age of their heartbeat',
      responses: { 200: { description: 'By the clock of the database.', content: json(nodesSchema) } },
      handle: async ({ c }) => c.json(await system.nodes()),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/dead-letters',
      id: 'listDeadLetters',
      tag: 'system',
      summary: 'Messages that nobody took, newest first',
      query: z.strictObject({
        to: z.string().min(1).max(120).optional(),
        reason: z.enum(DEAD_LETTER_REASONS).optional(),
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      responses: { 200: { description: 'A page.', content: json(deadLettersSchema) } },
      async handle({ c, query, call }) {
        return c.json(await system.deadLetters(defined(query), call));
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/initialize',
      id: 'initialize',
      tag: 'system',
      summary: 'Take work again after a shutdown without exit',
      body: z.strictObject({}),
      bodyOptional: true,
      responses: { 200: { description: 'The node takes work.', content: json(stateSchema) } },
      async handle({ c, call }) {
        await system.initialize();
        return c.json({ status: (await system.status(call)).status });
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/shutdown',
      id: 'shutdown',
      tag: 'system',
      summary: 'Take no new work, finish or give back what runs; with `exit` the process ends after it',
      body: z.strictObject({
        timeoutMs: z.number().int().min(0).max(600_000).optional().meta({ description: 'Longest drain.' }),
        exit: z.boolean().default(false),
      }),
      bodyOptional: true,
      responses: {
        202: { description: 'It drains; reads are still served.', content: json(stateSchema) },
      },
      async handle({ c, body }) {
        const { exit, ...options } = body;
        if (exit && !onExit)
          throw new RuntimeError('unsupported', 'This node is a guest in another process and cannot end it.');
        void system
          .drain(defined(options))
          .then(() => {
            if (exit) onExit?.();
          })
          .catch((error: unknown) => log.error('the drain failed', { error }));
        return c.json({ status: 'draining' }, 202);
      },
    }),
  ];
}
