// Workflows over REST: create, start, read, list, cancel, follow, and why they went as they did.

import { z } from 'zod';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import {
  createWorkflowSchema,
  isTerminalWorkflow,
  type WorkflowView,
  workflowStateSchema,
  workflowViewSchema,
} from '../../runtime/contracts/workflow.ts';
import { MAX_WORKFLOW_BYTES } from '../body.ts';
import { type ApiRequest, type Endpoint, EVENT_STREAM_TYPE, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { problem } from '../openapi.ts';
import { afterSeq, cursorQuery, etagOf, idParam, limitQuery, queryInt } from '../params.ts';
import { presentWorkflow, withoutStack } from '../present.ts';
import { decisionsSchema, workflowPageSchema } from '../schemas.ts';
import { openEventStream } from '../sse.ts';
import { defined } from './agents.ts';

const NO_WORKFLOW = problem('There is no such workflow.');
const WRONG_STATE = problem('Not possible in the state the workflow is in.');

export function workflowRoutes(deps: RouteDeps): Endpoint[] {
  const { workflows, events } = deps.runtime;
  return [
    endpoint({
      method: 'post',
      path: '/api/agents/workflows/create',
      id: 'createWorkflow',
      tag: 'workflows',
      summary: 'Define a workflow; it does not run yet',
      query: z.strictObject({ start: z.enum(['true', 'false']).optional() }),
      description: 'With `?start=true` it runs from the same commit on.',
      body: createWorkflowSchema,
      maxBodyBytes: MAX_WORKFLOW_BYTES,
      responses: {
        201: {
          description: 'The workflow.',
          content: json(workflowViewSchema),
          headers: { Location: 'Where the workflow is.' },
        },
        503: problem('The node is draining.'),
      },
      async handle(request) {
        const start = request.query.start === 'true';
        const workflow = await workflows.create(defined(request.body), request.call, { start });
        request.c.header('location', `${deps.basePath}/api/agents/workflows/${workflow.id}`);
        return answer(request, workflow, 201);
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/workflows/list',
      id: 'listWorkflows',
      tag: 'workflows',
      summary: 'List workflows, newest first',
      query: z.strictObject({
        status: workflowStateSchema.optional(),
        pattern: z.string().min(1).max(50).optional(),
        parent: z
          .string()
          .max(100)
          .optional()
          .meta({ description: 'Runs that are a step of this one, instead of roots.' }),
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      responses: { 200: { description: 'A page.', content: json(workflowPageSchema) } },
      async handle({ c, query, call }) {
        const page = await workflows.list(defined(query), call);
        const items = page.items.map(({ error, ...rest }) => (error ? { ...rest, error: withoutStack(error) } : rest));
        return c.json({ ...page, items });
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/workflows/{id}',
      id: 'getWorkflow',
      tag: 'workflows',
      summary: 'One workflow with its steps, progress and metrics',
      description:
        'Of a workflow with many steps an answer holds at most 1,000; `nextStep` is the `stepsCursor` of the next ones, null when there are no more.',
      query: z.strictObject({
        stepsLimit: queryInt(1, 1_000).optional().meta({ description: 'Steps in the answer; default 1,000.' }),
        stepsCursor: z
          .string()
          .regex(/^\d{1,9}$/, 'not a cursor of ours')
          .optional()
          .meta({
            description: 'The `nextStep` of the page before.',
          }),
        results: z
          .enum(['true', 'false'])
          .optional()
          .meta({ description: '`false`: without the results of steps and the output, which may be large.' }),
      }),
      responses: { 200: { description: 'The workflow.', content: json(workflowViewSchema) }, 404: NO_WORKFLOW },
      async handle({ c, query: { results, ...page }, call }) {
        const view = await workflows.get(workflowId({ c }), call, defined(page));
        return answer({ c }, results === 'false' ? withoutResults(view) : view, 200);
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/workflows/{id}/start',
      id: 'startWorkflow',
      tag: 'workflows',
      summary: 'Start a workflow',
      headers: { Prefer: '`wait=N`: answer 200 with the ended workflow if it ends within N seconds (at most 60).' },
      body: z.strictObject({}),
      bodyOptional: true,
      responses: {
        200: { description: 'It ended while we waited.', content: json(workflowViewSchema) },
        202: {
          description: 'It runs.',
          content: json(workflowViewSchema),
          headers: { Location: 'Where the workflow is.' },
        },
        404: NO_WORKFLOW,
        409: WRONG_STATE,
        503: problem('The node is draining.'),
      },
      async handle(request) {
        const { c, call, signal, waitMs } = request;
        const started = await workflows.start(workflowId(request), call);
        c.header('location', `${deps.basePath}/api/agents/workflows/${started.id}`);
        if (waitMs === 0) return answer(request, started, 202);
        c.header('preference-applied', `wait=${waitMs / 1_000}`);
        const view = await workflows.wait(started.id, { timeoutMs: waitMs, signal }, call);
        return answer(request, view, isTerminalWorkflow(view.status) ? 200 : 202);
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/workflows/{id}/cancel',
      id: 'cancelWorkflow',
      tag: 'workflows',
      summary: 'Cancel a workflow and its running steps',
      body: z.strictObject({}),
      bodyOptional: true,
      responses: {
        202: { description: 'The workflow.', content: json(workflowViewSchema) },
        404: NO_WORKFLOW,
        409: WRONG_STATE,
      },
      handle: async (request) => answer(request, await workflows.cancel(workflowId(request), request.call), 202),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/workflows/{id}/events',
      id: 'workflowEvents',
      tag: 'workflows',
      summary: 'Events of a workflow from its beginning, then as they happen, until it ends',
      headers: { 'Last-Event-ID': 'Go on after this event.' },
      query: z.strictObject({ after: queryInt(0, 999_999_999).optional() }),
      responses: {
        200: { description: 'Server-sent events.', content: { [EVENT_STREAM_TYPE]: null } },
        204: { description: 'It ended, and the client has it all.' },
        404: NO_WORKFLOW,
      },
      async handle(request) {
        const { c, call, query } = request;
        const workflow = await workflows.get(workflowId(request), call);
        return openEventStream(request as ApiRequest, deps, {
          ended: isTerminalWorkflow(workflow.status),
          afterSeq: afterSeq(c.req.raw.headers, query.after),
          open: (after, signal) =>
            events.stream(workflow.id, { signal, ...(after === undefined ? {} : { afterSeq: after }) }, call),
        });
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/workflows/{id}/decisions',
      id: 'workflowDecisions',
      tag: 'workflows',
      summary: 'The decision log: what was chosen among what, by which rule',
      query: z.strictObject({ after: queryInt(0, 999_999_999).optional(), limit: limitQuery }),
      responses: { 200: { description: 'Decisions in order.', content: json(decisionsSchema) }, 404: NO_WORKFLOW },
      async handle(request) {
        const { c, call, query } = request;
        return c.json({ items: await workflows.decisions(workflowId(request), defined(query), call) });
      },
    }),
  ];
}

function answer({ c }: Pick<ApiRequest, 'c'>, workflow: WorkflowView, status: 200 | 201 | 202): Response {
  c.header('etag', etagOf(workflow.version));
  return c.json(presentWorkflow(workflow), status);
}

function withoutResults({ output: _output, tasks, ...view }: WorkflowView): WorkflowView {
  return { ...view, tasks: tasks.map(({ result: _result, ...step }) => step) };
}

/** The id in the path. Throws `workflow_not_found`. */
export function workflowId({ c }: Pick<ApiRequest, 'c'>): string {
  const id = idParam('workflow', c.req.param('id') ?? '');
  if (id === null) throw new RuntimeError('workflow_not_found', 'There is no such workflow.');
  return id;
}
