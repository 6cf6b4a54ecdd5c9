// Agents over REST: create, read, change, remove, pause, talk to; and the types they are made of.

import { z } from 'zod';
import {
  agentStateSchema,
  agentViewSchema,
  capabilityNameSchema,
  createAgentSchema,
  updateAgentSchema,
} from '../../runtime/contracts/agent.ts';
import { maxAttemptsSchema, type TellResult } from '../../runtime/contracts/envelope.ts';
import { type ErrorCode, RuntimeError } from '../../runtime/contracts/errors.ts';
import { type ApiRequest, type Endpoint, EVENT_STREAM_TYPE, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { problem } from '../openapi.ts';
import {
  afterSeq,
  agentParam,
  checkedName,
  cursorQuery,
  etagOf,
  ifMatchVersion,
  limitQuery,
  queryInt,
} from '../params.ts';
import { presentType } from '../present.ts';
import { EdgeError } from '../problem.ts';
import {
  agentPageSchema,
  agentTypeSchema,
  agentTypesSchema,
  removalSchema,
  replySchema,
  tellAnswerSchema,
} from '../schemas.ts';
import { openEventStream } from '../sse.ts';

const NO_AGENT = problem('There is no such agent.');
const NAME_TAKEN = problem('The name is taken, or the same Idempotency-Key is still in flight.');
const WRONG_STATE = problem('Not possible in the state the agent is in.');
const DEFAULT_ASK_MS = 5_000;

const messageSchema = z
  .strictObject({
    type: z.string().min(1).max(100),
    body: z.unknown().optional(),
    /** `tell` is done when the message is in the mailbox; `ask` waits for the reply. */
    mode: z.enum(['tell', 'ask']).default('tell'),
    timeoutMs: z.number().int().min(1).max(60_000).optional().meta({ description: 'Of an ask; default 5,000.' }),
    durable: z
      .boolean()
      .optional()
      .meta({ description: 'Kept until it is handled: at least once, with one effect in the state of the agent.' }),
    maxAttempts: maxAttemptsSchema.optional().meta({ description: 'Of a durable tell; default 5.' }),
    correlationId: z.string().min(1).max(200).optional().meta({
      description: 'Of a durable ask: the same once more, within ten minutes after the reply, gives the first reply.',
    }),
  })
  .refine(({ mode, timeoutMs }) => mode === 'ask' || timeoutMs === undefined, {
    path: ['timeoutMs'],
    message: 'only an ask has a timeout',
  })
  .refine(({ mode, durable, maxAttempts }) => maxAttempts === undefined || (durable && mode === 'tell'), {
    path: ['maxAttempts'],
    message: 'only a durable tell has attempts',
  })
  .refine(({ mode, durable, correlationId }) => correlationId === undefined || (durable && mode === 'ask'), {
    path: ['correlationId'],
    message: 'only a durable ask is answered again',
  })
  .meta({ id: 'SendMessage' });

export function agentRoutes(deps: RouteDeps): Endpoint[] {
  const { agents, events } = deps.runtime;
  const command = (name: 'pause' | 'resume') =>
    endpoint({
      method: 'post',
      path: `/api/agents/{id}/${name}`,
      id: `${name}Agent`,
      tag: 'agents',
      summary: name === 'pause' ? 'Take no new tasks after the running one' : 'Take tasks again',
      body: z.strictObject({}),
      bodyOptional: true,
      responses: {
        200: { description: 'The agent.', content: json(agentViewSchema) },
        404: NO_AGENT,
        409: WRONG_STATE,
      },
      handle: async (request) => agentAnswer(request, await agents[name](agentId(request), request.call)),
    });

  return [
    endpoint({
      method: 'post',
      path: '/api/agents/create',
      id: 'createAgent',
      tag: 'agents',
      summary: 'Create an agent',
      body: createAgentSchema,
      responses: {
        201: {
          description: 'It exists and will be kept; it may still be initialising.',
          content: json(agentViewSchema),
          headers: { Location: 'Where the agent is.', ETag: 'Its version.' },
        },
        409: NAME_TAKEN,
        503: problem('The node is draining.'),
      },
      async handle({ c, body, call }) {
        const { name, ...rest } = body;
        const agent = await agents.create(
          { ...rest, ...(name === undefined ? {} : { name: checkedName(name) }) },
          call,
        );
        c.header('location', `${deps.basePath}/api/agents/${agent.id}`);
        c.header('etag', etagOf(agent.version));
        return c.json(agent, 201);
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/list',
      id: 'listAgents',
      tag: 'agents',
      summary: 'List agents with their state and metrics',
      query: z.strictObject({
        type: z.string().min(1).max(100).optional(),
        state: agentStateSchema.optional(),
        capability: capabilityNameSchema.optional(),
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      responses: { 200: { description: 'A page.', content: json(agentPageSchema) } },
      handle: async ({ c, query, call }) => c.json(await agents.list(defined(query), call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/types',
      id: 'listAgentTypes',
      tag: 'agents',
      summary: 'List the types this node knows',
      responses: { 200: { description: 'All of them.', content: json(agentTypesSchema) } },
      handle: async ({ c }) => c.json({ items: agents.types().map(presentType) }),
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/types/{type}/register',
      id: 'registerAgentType',
      tag: 'agents',
      summary: 'Activate a type of the manifest',
      body: z.strictObject({}),
      bodyOptional: true,
      responses: {
        200: { description: 'Agents of the type can be created.', content: json(agentTypeSchema) },
        404: problem('No module of this node has such a type.'),
      },
      async handle({ c }) {
        const type = c.req.param('type') ?? '';
        if (!agents.types().some((entry) => entry.type === type))
          throw new EdgeError('not_found', 'There is no such type.');
        return c.json(presentType(agents.registerType(type)));
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/{id}',
      id: 'getAgent',
      tag: 'agents',
      summary: 'One agent, by id or name',
      responses: { 200: { description: 'The agent.', content: json(agentViewSchema) }, 404: NO_AGENT },
      handle: async (request) => agentAnswer(request, await agents.get(agentId(request), request.call)),
    }),
    endpoint({
      method: 'patch',
      path: '/api/agents/{id}',
      id: 'updateAgent',
      tag: 'agents',
      summary: 'Change config, capabilities or paused; what is not named stays',
      headers: { 'If-Match': 'The ETag that was read; 412 when the agent has changed since.' },
      body: updateAgentSchema,
      responses: {
        200: { description: 'The changed agent.', content: json(agentViewSchema) },
        404: NO_AGENT,
        409: WRONG_STATE,
        412: problem('The agent has changed since.'),
      },
      async handle(request) {
        const ifVersion = ifMatchVersion(request.c.req.raw.headers);
        const options = ifVersion === undefined ? {} : { ifVersion };
        return agentAnswer(
          request,
          await agents.update(agentId(request), defined(request.body), options, request.call),
        );
      },
    }),
    endpoint({
      method: 'delete',
      path: '/api/agents/{id}',
      id: 'removeAgent',
      tag: 'agents',
      summary: 'Remove an agent; its running task is finished (drain) or given to others (force)',
      query: z.strictObject({
        mode: z.enum(['drain', 'force']).default('drain'),
        timeoutMs: queryInt(0, 600_000).optional(),
      }),
      responses: { 200: { description: 'What was cleaned up.', content: json(removalSchema) }, 404: NO_AGENT },
      handle: async (request) =>
        request.c.json(await agents.remove(agentId(request), defined(request.query), request.call)),
    }),
    command('pause'),
    command('resume'),
    endpoint({
      method: 'post',
      path: '/api/agents/{id}/messages',
      id: 'sendMessage',
      tag: 'agents',
      summary: 'Send a message to an agent, with or without waiting for its reply',
      body: messageSchema,
      responses: {
        200: { description: 'The reply to an ask.', content: json(replySchema) },
        202: {
          description: 'A tell is in the mailbox, or stored when it is durable.',
          content: json(tellAnswerSchema),
        },
        404: NO_AGENT,
        502: problem('The handler failed.'),
        503: problem('The agent was lost before it took the message: whether it did is unknown.'),
        504: problem('No reply in time.'),
      },
      async handle(request) {
        const { c, body, call, signal } = request;
        const id = agentId(request);
        if (body.mode === 'ask') {
          const timeoutMs = body.timeoutMs ?? DEFAULT_ASK_MS;
          const options = defined({ timeoutMs, signal, durable: body.durable, correlationId: body.correlationId });
          return c.json({ reply: (await agents.ask(id, body.type, body.body, options, call)) ?? null });
        }
        if (body.durable) {
          const options = defined({ ...call, durable: true as const, maxAttempts: body.maxAttempts });
          return c.json(await agents.tell(id, body.type, body.body, options), 202);
        }
        const result = await agents.tell(id, body.type, body.body, call);
        if (result.outcome !== 'delivered') throw notDelivered(result);
        return c.json(result, 202);
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/{id}/events',
      id: 'agentEvents',
      tag: 'agents',
      summary: 'Events of an agent as they happen',
      headers: { 'Last-Event-ID': 'Go on after this event.' },
      query: z.strictObject({ after: queryInt(0, 999_999_999).optional() }),
      responses: { 200: { description: 'Server-sent events.', content: { [EVENT_STREAM_TYPE]: null } }, 404: NO_AGENT },
      async handle(request) {
        const { c, call, query } = request;
        const { id } = await agents.get(agentId(request), call);
        return openEventStream(request as ApiRequest, deps, {
          afterSeq: afterSeq(c.req.raw.headers, query.after),
          open: (after, signal) =>
            events.stream(id, { signal, ...(after === undefined ? {} : { afterSeq: after }) }, call),
        });
      },
    }),
  ];
}

/** Drops what is undefined: optional fields of the runtime are absent, not undefined. */
export function defined<Value extends object>(value: Value): { [Key in keyof Value]: Exclude<Value[Key], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, inner]) => inner !== undefined)) as never;
}

function agentId({ c }: Pick<ApiRequest, 'c'>): string {
  const id = agentParam(c.req.param('id') ?? '');
  if (id === null) throw new RuntimeError('actor_not_found', 'There is no such agent.');
  return id;
}

function agentAnswer({ c }: Pick<ApiRequest, 'c'>, agent: z.infer<typeof agentViewSchema>): Response {
  c.header('etag', etagOf(agent.version));
  return c.json(agent);
}

const REFUSALS: Partial<Record<string, ErrorCode>> = {
  actor_not_found: 'actor_not_found',
  actor_stopped: 'agent_stopped',
  mailbox_full: 'mailbox_full',
  dropped_new: 'mailbox_full',
  dropped_oldest: 'mailbox_full',
  backpressure: 'backpressure',
  not_cloneable: 'not_cloneable',
  no_handler: 'no_handler',
  payload_too_large: 'payload_too_large',
  filtered: 'filtered',
  hop_limit: 'hop_limit',
  unreachable: 'unreachable',
};

export function notDelivered(result: Exclude<TellResult, { outcome: 'delivered' }>): RuntimeError {
  const code = REFUSALS[result.reason] ?? 'target_lost';
  const surely = result.outcome === 'refused' ? 'It was surely not delivered.' : 'Whether it was delivered is unknown.';
  const detail = result.outcome === 'refused' && result.detail !== undefined ? ` ${result.detail}` : '';
  return new RuntimeError(code, `${result.reason}. ${surely}${detail}`);
}
