// What was: the log of all events by time, what was open at a moment, and runs as they stood after each event of their journal.

import { z } from 'zod';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { eventTypeSchema } from '../../runtime/contracts/event.ts';
import {
  historyKindSchema,
  historyMomentSchema,
  historyPageSchema,
  historyTimelineSchema,
  journalPageSchema,
  stepAttemptsPageSchema,
  workflowMomentSchema,
} from '../../runtime/contracts/history.ts';
import { type Endpoint, endpoint, json, type RouteDeps } from '../endpoint.ts';
import { problem } from '../openapi.ts';
import { cursorQuery, limitQuery, queryInt } from '../params.ts';
import { presentEvent, withoutStack } from '../present.ts';
import { defined } from './agents.ts';
import { workflowId } from './workflows.ts';

const NO_WORKFLOW = problem('There is no such workflow.');
const GONE = problem('The journal can no longer be replayed: its beginning is not kept, or the pattern has changed.');
const HISTORY = '/api/agents/history';
const RUN = '/api/agents/workflows/{id}';

const timeQuery = z.iso.datetime({ offset: true });
const windowQuery = {
  from: timeQuery.optional().meta({ description: 'Default: one hour before `to`.' }),
  to: timeQuery.optional().meta({ description: 'Left out of the window. Default: now. At most 31 days after `from`.' }),
};

export function historyRoutes({ runtime: { history } }: RouteDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: `${HISTORY}/events`,
      id: 'historyEvents',
      tag: 'history',
      summary: 'Stored events of all streams in a window of time, newest first',
      query: z.strictObject({
        ...windowQuery,
        kind: historyKindSchema.optional().meta({ description: 'Of streams of this kind only.' }),
        type: eventTypeSchema.optional(),
        limit: limitQuery,
        cursor: cursorQuery,
      }),
      responses: { 200: { description: 'A page.', content: json(historyPageSchema) } },
      async handle({ c, query, call }) {
        const page = await history.events(defined(query), call);
        return c.json({ ...page, items: page.items.map(presentEvent) });
      },
    }),
    endpoint({
      method: 'get',
      path: `${HISTORY}/timeline`,
      id: 'historyTimeline',
      tag: 'history',
      summary: 'How many events of each type there were, over time',
      query: z.strictObject({ ...windowQuery, buckets: queryInt(1, 500).optional() }),
      responses: { 200: { description: 'Buckets that are not empty.', content: json(historyTimelineSchema) } },
      handle: async ({ c, query, call }) => c.json(await history.timeline(defined(query), call)),
    }),
    endpoint({
      method: 'get',
      path: `${HISTORY}/moment`,
      id: 'historyMoment',
      tag: 'history',
      summary: 'What was open at a moment: tasks, workflows, agents',
      query: z.strictObject({ at: timeQuery }),
      responses: { 200: { description: 'Counts.', content: json(historyMomentSchema) } },
      handle: async ({ c, query, call }) => c.json(await history.moment(query.at, call)),
    }),
    endpoint({
      method: 'get',
      path: `${RUN}/journal`,
      id: 'workflowJournal',
      tag: 'history',
      summary: 'The journal of a run: every event it took, in its order',
      query: z.strictObject({ after: queryInt(0, 999_999_999).optional(), limit: limitQuery }),
      responses: { 200: { description: 'A page.', content: json(journalPageSchema) }, 404: NO_WORKFLOW },
      async handle(request) {
        const { items, total } = await history.journal(workflowId(request), defined(request.query), request.call);
        return request.c.json({ total, items: items.map((item) => ({ ...item, event: bare(item.event) })) });
      },
    }),
    endpoint({
      method: 'get',
      path: `${RUN}/journal/{seq}`,
      id: 'workflowAt',
      tag: 'history',
      summary: 'A run as it stood after an event of its journal: steps, progress and the picture of its pattern',
      query: z.strictObject({
        stepsLimit: queryInt(1, 1_000).optional().meta({ description: 'Steps in the answer; default 1,000.' }),
        stepsCursor: z
          .string()
          .regex(/^\d{1,9}$/, 'not a cursor of ours')
          .optional(),
      }),
      responses: {
        200: { description: 'The run at that moment.', content: json(workflowMomentSchema) },
        404: NO_WORKFLOW,
        409: GONE,
      },
      async handle(request) {
        const { c, call, query } = request;
        const seq = c.req.param('seq') ?? '';
        if (!/^[1-9]\d{0,8}$/.test(seq))
          throw new RuntimeError('invalid_input', 'seq: expected the number of an event of the journal', {
            details: { issues: [{ path: 'seq', message: 'expected the number of an event of the journal' }] },
          });
        const moment = await history.workflowAt(workflowId(request), Number(seq), defined(query), call);
        const tasks = moment.tasks.map(({ error, ...step }) =>
          error ? { ...step, error: withoutStack(error) } : step,
        );
        return c.json({ ...moment, event: bare(moment.event), tasks });
      },
    }),
    endpoint({
      method: 'get',
      path: `${RUN}/attempts`,
      id: 'workflowAttempts',
      tag: 'history',
      summary: 'Every try of every round of a run, in the order in which the rounds were made',
      query: z.strictObject({ limit: limitQuery, cursor: cursorQuery }),
      responses: { 200: { description: 'A page of rounds.', content: json(stepAttemptsPageSchema) }, 404: NO_WORKFLOW },
      async handle(request) {
        const { items, nextCursor } = await history.attempts(workflowId(request), defined(request.query), request.call);
        const shown = items.map((item) => ({
          ...item,
          attempts: item.attempts.map((one) => ({ ...one, error: one.error && withoutStack(one.error) })),
        }));
        return request.c.json({ items: shown, nextCursor });
      },
    }),
  ];
}

/** Errors in a journal hold the stack of their handler, which nobody outside is to see. */
function bare<Event extends { readonly type: string }>(event: Event): Event {
  const { error } = event as { error?: Parameters<typeof withoutStack>[0] };
  return error && typeof error === 'object' ? { ...event, error: withoutStack(error) } : event;
}
