// Acting on a workflow that runs: pause, resume, signal, more items, answers of people; and running it again from a step.

import { z } from 'zod';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { taskInputSchema } from '../../runtime/contracts/human-question.ts';
import type { CallContext } from '../../runtime/contracts/runtime.ts';
import { workflowViewSchema } from '../../runtime/contracts/workflow.ts';
import {
  appendItemsSchema,
  forkWorkflowSchema,
  inputAnswerSchema,
  inputViewSchema,
  workflowSignalSchema,
} from '../../runtime/contracts/workflow-control.ts';
import { MAX_WORKFLOW_BYTES } from '../body.ts';
import { type ApiRequest, type Endpoint, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { problem } from '../openapi.ts';
import { etagOf, limitQuery } from '../params.ts';
import { presentWorkflow } from '../present.ts';
import { defined } from './agents.ts';
import { workflowId } from './workflows.ts';

const NO_WORKFLOW = problem('There is no such workflow.');
const WRONG_STATE = problem('Not possible in the state the workflow is in.');
const keptSchema = z.object({ kept: z.literal(true) });
const inputListSchema = z.object({ items: z.array(inputViewSchema) });
const allInputsSchema = z.object({ items: z.array(z.union([inputViewSchema, taskInputSchema])) });
const stateQuery = z.enum(['open', 'answered', 'closed']).optional();

export function workflowControlRoutes({ runtime: { workflows, tasks }, basePath }: RouteDeps): Endpoint[] {
  const turned = (verb: 'pause' | 'resume', summary: string): Endpoint =>
    endpoint({
      method: 'post',
      path: `/api/agents/workflows/{id}/${verb}`,
      id: `${verb}Workflow`,
      tag: 'workflows',
      summary,
      body: z.strictObject({}),
      bodyOptional: true,
      responses: {
        200: { description: 'The workflow.', content: json(workflowViewSchema) },
        404: NO_WORKFLOW,
        409: WRONG_STATE,
      },
      async handle(request) {
        const view = await workflows[verb](workflowId(request), request.call);
        request.c.header('etag', etagOf(view.version));
        return request.c.json(presentWorkflow(view));
      },
    });
  const inputsOf = async ({ c, query, call }: ApiRequest<unknown, InputsQuery>, id?: string): Promise<Response> => {
    const items = await workflows.inputs({ ...defined(query), ...(id === undefined ? {} : { workflowId: id }) }, call);
    return c.json({ items: items.map(reachable) });
  };
  const reachable = <Input extends { readonly answerAt: string }>(item: Input): Input => ({
    ...item,
    answerAt: `${basePath}${item.answerAt}`,
  });
  return [
    turned('pause', 'Start nothing new; what is in flight goes on'),
    turned('resume', 'Go on'),
    endpoint({
      method: 'post',
      path: '/api/agents/workflows/{id}/fork',
      id: 'forkWorkflow',
      tag: 'workflows',
      summary: 'Run it again from a step, with the outcomes before it',
      description:
        'Without `fromStep`: what had not completed is done, e.g. after a failure was mended. The new run starts at once unless `start` is false.',
      body: forkWorkflowSchema,
      bodyOptional: true,
      responses: {
        201: {
          description: 'The new workflow.',
          content: json(workflowViewSchema),
          headers: { Location: 'Where the new workflow is.' },
        },
        404: NO_WORKFLOW,
        409: WRONG_STATE,
      },
      async handle(request) {
        const view = await workflows.fork(workflowId(request), defined(request.body), request.call);
        request.c.header('location', `${basePath}/api/agents/workflows/${view.id}`);
        request.c.header('etag', etagOf(view.version));
        return request.c.json(presentWorkflow(view), 201);
      },
    }),
    kept({
      path: '/api/agents/workflows/{id}/signals',
      id: 'signalWorkflow',
      summary: 'Tell a run something: steps that wait for the signal of this key complete with its value',
      description: 'Kept; the run takes it.',
      body: workflowSignalSchema,
      keep: (id, signal, call) => workflows.signal(id, defined(signal), call),
    }),
    kept({
      path: '/api/agents/workflows/{id}/items',
      id: 'appendItems',
      summary: 'More items for a pipeline whose source is open',
      description: 'Kept; the pipeline takes them.',
      body: appendItemsSchema,
      maxBodyBytes: MAX_WORKFLOW_BYTES,
      keep: (id, items, call) => workflows.append(id, defined(items), call),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/workflows/{id}/inputs',
      id: 'workflowInputs',
      tag: 'workflows',
      summary: 'Questions to people of a run and of every run below it, those of their tasks included',
      query: inputsQuery,
      responses: { 200: { description: 'Questions.', content: json(inputListSchema) }, 404: NO_WORKFLOW },
      handle: (request) => inputsOf(request as ApiRequest<unknown, InputsQuery>, workflowId(request)),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/inputs',
      id: 'listInputs',
      tag: 'workflows',
      summary: 'Questions to people: of workflows with their tasks, and of tasks by themselves, newest first',
      query: inputsQuery,
      responses: { 200: { description: 'Questions.', content: json(allInputsSchema) } },
      async handle({ c, query, call }) {
        const { state, limit } = query;
        const open = state === undefined || state === 'open';
        const ofTasks = open ? await tasks.inputs({ ...defined({ limit }), ofSteps: false }, call) : [];
        const ofRuns = await workflows.inputs(defined(query), call);
        const items = [...ofTasks, ...ofRuns].sort((a, b) => Date.parse(b.askedAt) - Date.parse(a.askedAt));
        return c.json({ items: items.slice(0, limit).map(reachable) });
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/workflows/{id}/inputs/{step}',
      id: 'answerInput',
      tag: 'workflows',
      summary: 'Answer a question or an approval',
      description:
        'Once: the first answer counts. `approved` for an approval, `value` for a question, also for one that the handler of the step asks.',
      body: inputAnswerSchema,
      responses: {
        200: { description: 'The question with its answer.', content: json(inputViewSchema) },
        404: problem('There is no such workflow, or no such question.'),
        409: problem('It was answered, has expired or is no longer asked.'),
      },
      async handle(request) {
        const step = request.c.req.param('step') ?? '';
        if (step.length > 200) throw new RuntimeError('input_not_found', 'There is no such question.');
        return request.c.json(await workflows.answer(workflowId(request), step, defined(request.body), request.call));
      },
    }),
  ];
}

const inputsQuery = z.strictObject({ state: stateQuery, limit: limitQuery });
type InputsQuery = z.output<typeof inputsQuery>;

interface Kept<Body> {
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  readonly description: string;
  readonly body: z.ZodType<Body>;
  readonly maxBodyBytes?: number;
  keep(id: string, body: Body, call: CallContext): Promise<unknown>;
}

/** Mail for a run: durable when it is answered, taken later. */
function kept<Body>({ description, keep, ...route }: Kept<Body>): Endpoint {
  return endpoint({
    ...route,
    method: 'post',
    tag: 'workflows',
    responses: { 202: { description, content: json(keptSchema) }, 404: NO_WORKFLOW, 409: WRONG_STATE },
    async handle(request) {
      await keep(workflowId(request), request.body, request.call);
      return request.c.json({ kept: true }, 202);
    },
  });
}
