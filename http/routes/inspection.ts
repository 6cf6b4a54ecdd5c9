// What the inspector's page reads: tree, live feed, one agent, threads, nodes, configuration. Everybody may look; only a profile is for admins.

import { z } from 'zod';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import {
  cpuProfileSchema,
  type InspectFocusInput,
  inspectedAgentSchema,
  inspectedConfigSchema,
  inspectFocusSchema,
  inspectFrameSchema,
  inspectKindSchema,
  inspectNodesSchema,
  inspectThreadsSchema,
  inspectTreeSchema,
  profileRequestSchema,
} from '../../runtime/contracts/inspection.ts';
import { type ApiRequest, type Endpoint, EVENT_STREAM_TYPE, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { openFrameStream } from '../frame-stream.ts';
import { agentParam, cursorQuery, queryInt } from '../params.ts';
import { EdgeError, invalidInput } from '../problem.ts';
import { defined } from './agents.ts';

const text = z.string().min(1).max(300);

export function inspectionRoutes(deps: RouteDeps): Endpoint[] {
  const { inspection } = deps.runtime;
  return [
    endpoint({
      method: 'get',
      path: '/api/inspect/tree',
      id: 'inspectTree',
      tag: 'inspection',
      summary: 'The supervision tree over threads and nodes, as a flat list in pages',
      description:
        'Parents come before their children. Begin with a stream, then read the tree: patches whose revision is not above that of the answer are in it already.',
      query: z.strictObject({
        node: text.optional(),
        parent: text.optional().meta({ description: 'Only what is directly below this node of the tree.' }),
        kind: inspectKindSchema.optional(),
        type: text.optional(),
        state: text.optional(),
        thread: queryInt(0, 999_999_999).optional(),
        q: text.optional().meta({ description: 'Text in id, name or type.' }),
        limit: queryInt(1, 1_000).optional().meta({ description: 'Default 200.' }),
        cursor: cursorQuery,
      }),
      responses: { 200: { description: 'A page, with counts by type and state.', content: json(inspectTreeSchema) } },
      handle: async ({ c, query, call }) => c.json(await inspection.tree(defined(query), call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/inspect/stream',
      id: 'inspectStream',
      tag: 'inspection',
      summary: 'One live feed: patches of the tree, figures, events, and what the focus names',
      description:
        'Each event is a frame (schema InspectFrame), named by its type. The first is `hello`. A viewer that is too slow gets `reset` with `end`; open the stream anew. `focus` is the JSON of an InspectFocus.',
      query: z.strictObject({ focus: z.string().max(7_000).optional() }),
      responses: { 200: { description: 'Server-sent events.', content: { [EVENT_STREAM_TYPE]: inspectFrameSchema } } },
      async handle(request) {
        const focus = focusOf(request.query.focus);
        return openFrameStream(request as unknown as ApiRequest, deps, (signal) =>
          inspection.open({ ...(focus ? { focus } : {}), signal }, request.call),
        );
      },
    }),
    endpoint({
      method: 'post',
      path: '/api/inspect/streams/{id}/focus',
      id: 'setInspectFocus',
      tag: 'inspection',
      summary: 'What an open stream is to tell from now on, in the place of what it told',
      description: 'A stream lives on the node it was opened at: elsewhere this is 404, and it is opened anew.',
      body: inspectFocusSchema,
      responses: { 200: { description: 'The focus as it is now.', content: json(inspectFocusSchema) } },
      handle: async ({ c, body, call }) => c.json(await inspection.focus(param(c.req.param('id')), body, call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/inspect/agents/{id}',
      id: 'inspectAgent',
      tag: 'inspection',
      summary: 'One agent in full: statechart, context, mailbox, last messages, transitions, log',
      responses: { 200: { description: 'As it stands.', content: json(inspectedAgentSchema) } },
      async handle({ c, call }) {
        const id = agentParam(param(c.req.param('id')));
        if (id === null) throw new RuntimeError('actor_not_found', 'no agent can be called so');
        return c.json(await inspection.agent(id, call));
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/inspect/threads',
      id: 'inspectThreads',
      tag: 'inspection',
      summary: 'Threads of all nodes: event loop, heap, agents, beat, and those that died',
      responses: { 200: { description: 'As they stand.', content: json(inspectThreadsSchema) } },
      handle: async ({ c, call }) => c.json(await inspection.threads(call)),
    }),
    endpoint({
      method: 'post',
      path: '/api/inspect/threads/{id}/profile',
      id: 'profileThread',
      tag: 'inspection',
      summary: 'A CPU profile of one thread, as .cpuprofile JSON',
      description: 'Takes as long as it was asked for. Thread 0 is the main thread. One at a time per thread.',
      body: profileRequestSchema,
      bodyOptional: true,
      responses: { 200: { description: 'For the DevTools of Chromium and others.', content: json(cpuProfileSchema) } },
      async handle({ c, body, call }) {
        const thread = param(c.req.param('id'));
        if (!/^\d{1,9}$/.test(thread)) throw new RuntimeError('thread_not_found', 'a thread is named by its number');
        const profile = await inspection.profile(Number(thread), body, call);
        c.header('content-disposition', `attachment; filename="thread-${thread}.cpuprofile"`);
        return c.json(profile);
      },
    }),
    endpoint({
      method: 'get',
      path: '/api/inspect/nodes',
      id: 'inspectNodes',
      tag: 'inspection',
      summary: 'The nodes of the cluster with their figures',
      responses: { 200: { description: 'By the clock of the database.', content: json(inspectNodesSchema) } },
      handle: async ({ c, call }) => c.json(await inspection.nodes(call)),
    }),
    endpoint({
      method: 'get',
      path: '/api/inspect/config',
      id: 'inspectConfig',
      tag: 'inspection',
      summary: 'The resolved configuration of the answering node, without its secrets',
      responses: { 200: { description: 'Every option.', content: json(inspectedConfigSchema) } },
      handle: async ({ c }) => c.json(inspection.config()),
    }),
  ];
}

function focusOf(given: string | undefined): InspectFocusInput | undefined {
  if (given === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(given);
  } catch {
    throw new EdgeError('invalid_input', 'focus: expected JSON', {
      errors: [{ path: 'focus', message: 'expected JSON' }],
    });
  }
  const parsed = inspectFocusSchema.safeParse(value);
  if (!parsed.success) throw invalidInput(parsed.error, 'focus');
  return parsed.data;
}

function param(text: string | undefined): string {
  return text ?? '';
}
