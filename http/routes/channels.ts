// Channels and groups over REST: made, read, joined, left and deleted at run time.

import { z } from 'zod';
import {
  channelKindSchema,
  channelMemberSchema,
  channelViewSchema,
  createChannelSchema,
  fanOutSchema,
  joinChannelSchema,
  leaveChannelSchema,
} from '../../runtime/contracts/messages.ts';
import { type ApiRequest, type Endpoint, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { problem } from '../openapi.ts';
import { cursorQuery, limitQuery } from '../params.ts';
import { page } from '../schemas.ts';
import { defined } from './agents.ts';

const BASE = '/api/agents/channels';
const NO_CHANNEL = problem('There is no such channel or group.');
const NO_CHANNEL_OR_AGENT = problem('There is no such channel or group, or no such agent.');

export function channelRoutes({ runtime, basePath }: RouteDeps): Endpoint[] {
  const { channels } = runtime.messages;
  return [
    endpoint({
      method: 'post',
      path: `${BASE}/create`,
      id: 'createChannel',
      tag: 'messages',
      summary: 'Create a channel (for broadcasts) or a group (for multicasts)',
      body: createChannelSchema,
      responses: {
        201: {
          description: 'It exists and will be kept.',
          content: json(channelViewSchema),
          headers: { Location: 'Where it is.' },
        },
        404: problem('There is no such agent.'),
        409: problem('The name is taken.'),
      },
      async handle({ c, body, call }) {
        const channel = await channels.create(defined(body), call);
        c.header('location', `${basePath}${BASE}/${channel.id}`);
        return c.json(channel, 201);
      },
    }),
    endpoint({
      method: 'get',
      path: `${BASE}/list`,
      id: 'listChannels',
      tag: 'messages',
      summary: 'List channels and groups, newest first',
      query: z.strictObject({
        kind: channelKindSchema.optional(),
        member: z
          .string()
          .min(1)
          .max(120)
          .optional()
          .meta({ description: 'Only those this agent (id or name) is in.' }),
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      responses: {
        200: { description: 'A page.', content: json(page('ChannelPage', channelViewSchema)) },
        404: problem('There is no such agent.'),
      },
      handle: async ({ c, query, call }) => c.json(await channels.list(defined(query), call)),
    }),
    endpoint({
      method: 'get',
      path: `${BASE}/{id}`,
      id: 'getChannel',
      tag: 'messages',
      summary: 'One channel or group, by id or name',
      responses: { 200: { description: 'The channel.', content: json(channelViewSchema) }, 404: NO_CHANNEL },
      handle: async (request) => request.c.json(await channels.get(idOf(request), request.call)),
    }),
    endpoint({
      method: 'delete',
      path: `${BASE}/{id}`,
      id: 'deleteChannel',
      tag: 'messages',
      summary: 'Delete it; each member is told by the message `channel.deleted`',
      responses: {
        200: { description: 'Who was told.', content: json(fanOutSchema) },
        404: NO_CHANNEL,
      },
      handle: async (request) => request.c.json(await channels.remove(idOf(request), request.call)),
    }),
    endpoint({
      method: 'get',
      path: `${BASE}/{id}/members`,
      id: 'listMembers',
      tag: 'messages',
      summary: 'Who is in it',
      query: z.strictObject({ limit: limitQuery, cursor: cursorQuery }),
      responses: {
        200: { description: 'A page.', content: json(page('ChannelMembers', channelMemberSchema)) },
        404: NO_CHANNEL,
      },
      handle: async (request) =>
        request.c.json(await channels.members(idOf(request), defined(request.query), request.call)),
    }),
    endpoint({
      method: 'post',
      path: `${BASE}/{id}/join`,
      id: 'joinChannel',
      tag: 'messages',
      summary: 'Make agents members; with `where` only messages for which it holds reach them',
      body: joinChannelSchema,
      responses: {
        200: { description: 'The channel with its new view.', content: json(channelViewSchema) },
        404: NO_CHANNEL_OR_AGENT,
      },
      handle: async (request) =>
        request.c.json(await channels.join(idOf(request), defined(request.body), request.call)),
    }),
    endpoint({
      method: 'post',
      path: `${BASE}/{id}/leave`,
      id: 'leaveChannel',
      tag: 'messages',
      summary: 'Take agents out',
      body: leaveChannelSchema,
      responses: {
        200: { description: 'The channel with its new view.', content: json(channelViewSchema) },
        404: NO_CHANNEL_OR_AGENT,
      },
      handle: async (request) => request.c.json(await channels.leave(idOf(request), request.body, request.call)),
    }),
  ];
}

const idOf = ({ c }: Pick<ApiRequest, 'c'>): string => c.req.param('id') ?? '';
