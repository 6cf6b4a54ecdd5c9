// Messages over REST: sending by all five protocols, subscriptions, what was counted, letters nobody took, who offers a capability.

import { z } from 'zod';
import { capabilityRefSchema } from '../../runtime/contracts/agent.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import {
  type Offers,
  offersSchema,
  type SendResult,
  sendSchema,
  subscribeSchema,
  subscriptionSchema,
  unsubscribeSchema,
} from '../../runtime/contracts/messages.ts';
import { type ApiRequest, type Endpoint, EVENT_STREAM_TYPE, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { problem } from '../openapi.ts';
import { idParam } from '../params.ts';
import { deadLetterSchema, messageStatisticsSchema, replaySchema, sentSchema } from '../schemas.ts';
import { openValueStream } from '../value-stream.ts';
import { defined, notDelivered } from './agents.ts';

const NO_AGENT = problem('There is no such agent.');
const NO_LETTER = problem('There is no such letter.');
const BASE = '/api/agents/messages';

export function messageRoutes(deps: RouteDeps): Endpoint[] {
  const { messages } = deps.runtime;
  return [
    endpoint({
      method: 'post',
      path: `${BASE}/send`,
      id: 'send',
      tag: 'messages',
      summary: 'Send a message: direct, broadcast, multicast, publish-subscribe or request-response',
      description:
        'At most once. With an Idempotency-Key, or a correlationId of a request, the same message within 10 minutes is sent once and gets the first answer (on one node).',
      body: sendSchema,
      bodySchemaFor: protocolSchema,
      responses: {
        200: { description: 'The reply to a request.', content: json(sentSchema) },
        202: { description: 'It is in the mailbox, or on its way to many.', content: json(sentSchema) },
        404: problem('There is no such agent, channel or group.'),
        413: problem('The body is too large.'),
        502: problem('The handler failed.'),
        503: problem('The agent was lost before it took the message: whether it did is unknown.'),
        504: problem('No reply in time.'),
      },
      async handle({ c, body, call }) {
        const result = await messages.send(defined(body) as typeof body, call);
        return c.json(taken(result), result.protocol === 'request-response' ? 200 : 202);
      },
    }),
    endpoint({
      method: 'get',
      path: `${BASE}/statistics`,
      id: 'messageStatistics',
      tag: 'messages',
      summary: 'What this node has counted of messages since it began',
      responses: { 200: { description: 'The counts.', content: json(messageStatisticsSchema) } },
      handle: async ({ c }) => c.json(messages.statistics()),
    }),
    endpoint({
      method: 'post',
      path: `${BASE}/subscribe`,
      id: 'subscribe',
      tag: 'messages',
      summary: 'Subscribe an agent to topics (`orders.*`, `orders.**`), to a type of messages, or to both',
      body: subscribeSchema,
      responses: {
        200: {
          description: 'It is kept until it is ended or the agent is removed.',
          content: json(subscriptionSchema),
        },
        404: NO_AGENT,
      },
      handle: async ({ c, body, call }) => c.json(await messages.subscribe(defined(body), call)),
    }),
    endpoint({
      method: 'post',
      path: `${BASE}/unsubscribe`,
      id: 'unsubscribe',
      tag: 'messages',
      summary: 'End a subscription',
      body: unsubscribeSchema,
      responses: {
        200: {
          description: 'Whether there was one.',
          content: json(z.object({ ended: z.boolean() }).meta({ id: 'Unsubscribed' })),
        },
        404: NO_AGENT,
      },
      handle: async ({ c, body, call }) => c.json({ ended: await messages.unsubscribe(defined(body), call) }),
    }),
    endpoint({
      method: 'get',
      path: `${BASE}/subscriptions`,
      id: 'listSubscriptions',
      tag: 'messages',
      summary: 'Subscriptions, at most 1,000',
      query: z.strictObject({
        agent: z.string().min(1).max(120).optional().meta({ description: 'Only of this agent, by id or name.' }),
      }),
      responses: {
        200: {
          description: 'The subscriptions.',
          content: json(z.object({ items: z.array(subscriptionSchema) }).meta({ id: 'Subscriptions' })),
        },
        404: NO_AGENT,
      },
      handle: async ({ c, query, call }) => c.json({ items: await messages.subscriptions(defined(query), call) }),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/dead-letters/{id}',
      id: 'getDeadLetter',
      tag: 'messages',
      summary: 'A message that nobody took, with its body',
      responses: { 200: { description: 'The letter.', content: json(deadLetterSchema) }, 404: NO_LETTER },
      handle: async (request) => request.c.json(await messages.deadLetter(letterId(request), request.call)),
    }),
    endpoint({
      method: 'post',
      path: '/api/agents/dead-letters/{id}/replay',
      id: 'replayDeadLetter',
      tag: 'messages',
      summary: 'Send a letter to its addressee again, three times at most',
      body: z.strictObject({}),
      bodyOptional: true,
      responses: {
        202: { description: 'What became of it this time.', content: json(replaySchema) },
        404: NO_LETTER,
        409: problem('It was sent again as often as is allowed.'),
      },
      handle: async (request) => request.c.json(await messages.replay(letterId(request), request.call), 202),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/capabilities/{name}',
      id: 'getOffers',
      tag: 'messages',
      summary: 'Which agents offer a capability and take work now, on all nodes',
      responses: { 200: { description: 'Their ids.', content: json(offersSchema) } },
      handle: async (request) => request.c.json(await messages.offers(capability(request), request.call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/agents/capabilities/{name}/events',
      id: 'followOffers',
      tag: 'messages',
      summary: 'Who offers a capability, and every change of that as it happens',
      responses: {
        200: { description: 'Server-sent events of type `offers`.', content: { [EVENT_STREAM_TYPE]: null } },
      },
      handle: async (request) => {
        const name = capability(request);
        return openValueStream<Offers>(request as ApiRequest, deps, {
          event: 'offers',
          follow: (listener) => messages.followOffers(name, listener, request.call),
        });
      },
    }),
  ];
}

/** The schema of the protocol that was meant, so that what is wrong is told of its own fields. */
function protocolSchema(value: unknown) {
  const { protocol } = (typeof value === 'object' && value !== null ? value : {}) as { protocol?: unknown };
  const meant = sendSchema.options.find((option) => option.shape.protocol.value === protocol);
  return (meant ?? sendSchema) as typeof sendSchema;
}

/** A refused direct message is an error, as it is for one agent. */
function taken(result: SendResult): SendResult {
  if (result.protocol === 'direct' && result.outcome !== 'delivered' && result.outcome !== 'stored')
    throw notDelivered(result);
  return result;
}

function letterId({ c }: Pick<ApiRequest, 'c'>): string {
  const id = idParam('deadLetter', c.req.param('id') ?? '');
  if (id === null) throw new RuntimeError('dead_letter_not_found', 'There is no such letter.');
  return id;
}

function capability({ c }: Pick<ApiRequest, 'c'>): string {
  const parsed = capabilityRefSchema.safeParse(c.req.param('name'));
  if (parsed.success) return parsed.data;
  throw new RuntimeError('invalid_input', 'name: expected a capability like document.search', {
    details: { issues: [{ path: 'name', message: 'expected a capability like document.search' }] },
  });
}
