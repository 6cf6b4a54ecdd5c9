// Everything that happens on this node, live.

import { type ApiRequest, type Endpoint, EVENT_STREAM_TYPE, endpoint, type RouteDeps } from '../endpoint.ts';
import { openEventStream } from '../sse.ts';

export function eventRoutes(deps: RouteDeps): Endpoint[] {
  return [
    endpoint({
      method: 'get',
      path: '/api/agents/events',
      id: 'allEvents',
      tag: 'events',
      summary: 'Every live event of the tenant on this node',
      description:
        'Not resumable: events of one task, agent or workflow are under its own path. A reader that falls 1,000 events behind is ended.',
      responses: { 200: { description: 'Server-sent events without ids.', content: { [EVENT_STREAM_TYPE]: null } } },
      handle: async (request) =>
        openEventStream(request as ApiRequest, deps, {
          ids: false,
          open: (_after, signal) => deps.runtime.events.firehose({ signal }, request.call),
        }),
    }),
  ];
}
