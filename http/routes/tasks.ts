// Tasks over REST: submit one or many, read, list, cancel, redrive, follow.

import { createHash } from 'node:crypto';
import { z } from 'zod';
import { capabilityRefSchema } from '../../runtime/contracts/agent.ts';
import { RuntimeError, type WireError } from '../../runtime/contracts/errors.ts';
import { taskAnswerSchema } from '../../runtime/contracts/human-question.ts';
import {
  cancelReportSchema,
  isTerminalTask,
  type SubmitTask,
  submitTaskSchema,
  type TaskView,
  taskStateSchema,
  taskViewSchema,
} from '../../runtime/contracts/task.ts';
import { type ApiRequest, type Endpoint, EVENT_STREAM_TYPE, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { problem } from '../openapi.ts';
import { afterSeq, agentParam, cursorQuery, idParam, limitQuery, queryInt } from '../params.ts';
import { presentTask, withoutStack } from '../present.ts';
import { EdgeError, invalidInput } from '../problem.ts';
import { batchSchema, taskPageSchema } from '../schemas.ts';
import { openEventStream } from '../sse.ts';
import { defined } from './agents.ts';

const NO_TASK = problem('There is no such task.');
const MAX_BATCH = 10_000;
const MAX_KEY_CHARS = 255;

const agentQuery = z
  .string()
  .transform((text, context) => {
    const agent = agentParam(text);
    if (agent === null) context.addIssue({ code: 'custom', message: 'expected the id or name of an agent' });
    return agent ?? '';
  })
  .optional();
const workflowQuery = z
  .string()
  .refine((text) => idParam('workflow', text) !== null, { message: 'expected the id of a workflow' })
  .optional();

/** As OpenAPI shows it. */
const submitBodySchema = z.union([submitTaskSchema, z.array(submitTaskSchema).min(1).max(MAX_BATCH)]);
/** Items of a batch are checked one by one: a bad one is refused alone. */
const batchBodySchema = z.array(z.unknown()).min(1).max(MAX_BATCH);
type SubmitBody = SubmitTask | unknown[];

export function taskRoutes(deps: RouteDeps): Endpoint[] {
  const { tasks, events } = deps.runtime;
  return [
    endpoint({
      method: 'post',
      path: '/api/agents/tasks/submit',
      id: 'submitTask',
      tag: 'tasks',
      summary: 'Submit a task, or many at once as an array or as NDJSON',
      description:
        'Once it is answered the task is kept and will end, whatever dies. A batch is one commit with an answer per item.',
      headers: { Prefer: '`wait=N`: answer 200 with the ended task if it ends within N seconds (at most 60).' },
      body: submitBodySchema as z.ZodType<SubmitBody>,
      bodySchemaFor: (value) => (Array.isArray(value) ? batchBodySchema : submitTaskSchema),
      bodyForms: ['json', 'ndjson'],
      responses: {
        200: { description: 'It ended while we waited.', content: json(taskViewSchema) },
        202: {
          description: 'Accepted: the task, or the answers of a batch.',
          content: json(z.union([taskViewSchema, batchSchema])),
          headers: { Location: 'Where the task is.' },
        },
        503: problem('The node is draining.'),
      },
      handle: async (request) =>
        Array.isArray(request.body) ? submitMany(deps, request, request.body) : submitOne(deps, request, request.body),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/tasks/list',
      id: 'listTasks',
      tag: 'tasks',
      summary: 'List tasks, newest first',
      query: z.strictObject({
        status: taskStateSchema.optional(),
        capability: capabilityRefSchema.optional(),
        agentId: agentQuery,
        workflowId: workflowQuery,
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      responses: { 200: { description: 'A page.', content: json(taskPageSchema) } },
      async handle({ c, query, call }) {
        const page = await tasks.list(defined(query), call);
        return c.json({ ...page, items: page.items.map(presentTask) });
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/tasks/{id}',
      id: 'getTask',
      tag: 'tasks',
      summary: 'One task with its attempts',
      headers: { Prefer: '`wait=N`: answer when the task has ended, after N seconds (at most 60) at the latest.' },
      responses: { 200: { description: 'The task.', content: json(taskViewSchema) }, 404: NO_TASK },
      async handle(request) {
        const id = taskId(request);
        const { c, call, signal, waitMs } = request;
        if (waitMs > 0) await tasks.wait(id, { timeoutMs: waitMs, signal }, call);
        return c.json(presentTask(await tasks.get(id, call)));
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/tasks/{id}/cancel',
      id: 'cancelTask',
      tag: 'tasks',
      summary: 'Cancel a task and learn how it was stopped',
      body: z.strictObject({ graceMs: z.number().int().min(0).max(600_000).optional() }),
      bodyOptional: true,
      responses: {
        202: { description: 'How it ended, or that it is still ending.', content: json(cancelReportSchema) },
        404: NO_TASK,
        409: problem('The task has already ended otherwise.'),
      },
      async handle(request) {
        const { c, body, call } = request;
        return c.json(await tasks.cancel(taskId(request), defined(body), call), 202);
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/tasks/{id}/input',
      id: 'answerTask',
      tag: 'tasks',
      summary: 'Answer what a waiting task asks a person',
      description: 'Once: the first answer counts, and the task is queued again with it.',
      body: taskAnswerSchema,
      responses: {
        200: { description: 'The task.', content: json(taskViewSchema) },
        404: problem('There is no such task, or it asks nothing.'),
        409: problem('The question has expired, or another one is open by now.'),
      },
      async handle(request) {
        const { c, body, call } = request;
        return c.json(presentTask(await tasks.answer(taskId(request), defined(body), call)));
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/tasks/{id}/redrive',
      id: 'redriveTask',
      tag: 'tasks',
      summary: 'Put a dead task back into its queue, with its attempts counted anew',
      body: z.strictObject({}),
      bodyOptional: true,
      responses: {
        202: {
          description: 'The task; its history stays.',
          content: json(taskViewSchema),
          headers: { Location: 'Where the task is.' },
        },
        404: NO_TASK,
        409: problem('The task is not dead, or its workflow has ended.'),
      },
      async handle(request) {
        const { c, call } = request;
        const task = await tasks.redrive(taskId(request), call);
        c.header('location', `${deps.basePath}/api/agents/tasks/${task.id}`);
        return c.json(presentTask(task), 202);
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/tasks/{id}/events',
      id: 'taskEvents',
      tag: 'tasks',
      summary: 'Events of a task from its beginning, then as they happen, until it ends',
      headers: { 'Last-Event-ID': 'Go on after this event.' },
      query: z.strictObject({ after: queryInt(0, 999_999_999).optional() }),
      responses: {
        200: { description: 'Server-sent events.', content: { [EVENT_STREAM_TYPE]: null } },
        204: { description: 'It ended, and the client has it all.' },
        404: NO_TASK,
      },
      async handle(request) {
        const { c, call, query } = request;
        const task = await tasks.get(taskId(request), call);
        return openEventStream(request as ApiRequest, deps, {
          ended: isTerminalTask(task.status),
          afterSeq: afterSeq(c.req.raw.headers, query.after),
          open: (after, signal) =>
            events.stream(task.id, { signal, ...(after === undefined ? {} : { afterSeq: after }) }, call),
        });
      },
    }),
  ];
}

async function submitOne({ runtime, basePath }: RouteDeps, request: ApiRequest, task: SubmitTask): Promise<Response> {
  const { c, call, signal, waitMs } = request;
  const accepted = await runtime.tasks.submit(task, call).catch(unknownInBody);
  c.header('location', `${basePath}/api/agents/tasks/${accepted.id}`);
  if (waitMs === 0) return c.json(presentTask(accepted), 202);
  c.header('preference-applied', `wait=${waitMs / 1_000}`);
  const view = await runtime.tasks.wait(accepted.id, { timeoutMs: waitMs, signal }, call);
  return c.json(presentTask(view), isTerminalTask(view.status) ? 200 : 202);
}

async function submitMany({ runtime }: RouteDeps, { c, call }: ApiRequest, batch: unknown[]): Promise<Response> {
  const { idempotencyKey, ...rest } = call;
  const items = batch.map((item, index) => {
    const parsed = submitTaskSchema.safeParse(item);
    if (!parsed.success) return { ok: false as const, error: wireErrorOf(invalidInput(parsed.error, `[${index}]`)) };
    // One key for many tasks would make them one: each item gets the key with its place.
    const key = idempotencyKey === undefined ? {} : { idempotencyKey: itemKey(idempotencyKey, index) };
    return { ok: true as const, task: { ...key, ...parsed.data } as SubmitTask };
  });
  const accepted = items.flatMap((item) => (item.ok ? [item.task] : []));
  const answers = accepted.length > 0 ? [...(await runtime.tasks.submitMany(accepted, rest))] : [];
  return c.json(
    {
      items: items.map((item) => {
        const answer = item.ok ? answers.shift() : item;
        if (!answer) throw new RuntimeError('internal', 'a batch has fewer answers than items');
        if (!answer.ok) return { ok: false, error: withoutStack(answer.error) };
        return 'task' in answer ? { ok: true, task: presentTask(answer.task as TaskView) } : answer;
      }),
    },
    202,
  );
}

function wireErrorOf({ code, message, errors }: EdgeError): WireError {
  return { code, message, retryable: false, ...(errors ? { details: { errors } } : {}) };
}

function itemKey(key: string, index: number): string {
  const whole = `${key}/${index}`;
  return whole.length <= MAX_KEY_CHARS ? whole : `${createHash('sha256').update(key).digest('base64url')}/${index}`;
}

/** An agent that the body names and nobody knows is a mistake in the body, not a missing page. */
function unknownInBody(error: unknown): never {
  if (error instanceof RuntimeError && error.code === 'actor_not_found') {
    const message = 'there is no such agent';
    throw new EdgeError('invalid_input', `agentId: ${message}`, { errors: [{ path: 'agentId', message }] });
  }
  throw error;
}

function taskId({ c }: Pick<ApiRequest, 'c'>): string {
  const id = idParam('task', c.req.param('id') ?? '');
  if (id === null) throw new RuntimeError('task_not_found', 'There is no such task.');
  return id;
}
