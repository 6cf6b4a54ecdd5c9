// Who may do what: one table over every route. A route that is not in it does not start.

import type { Principal, Role } from './auth.ts';

type Allowed = 'public' | readonly Role[];

const READ: Allowed = ['viewer', 'operator', 'admin', 'service'];
const WORK: Allowed = ['operator', 'admin', 'service'];
const ADMIN: Allowed = ['admin'];

export const ACCESS: Readonly<Record<string, Allowed>> = {
  'POST /api/agents/create': WORK,
  'GET /api/agents/list': READ,
  'GET /api/agents/types': READ,
  'POST /api/agents/types/{type}/register': ADMIN,
  'GET /api/agents/{id}': READ,
  'PATCH /api/agents/{id}': WORK,
  'DELETE /api/agents/{id}': ADMIN,
  'POST /api/agents/{id}/pause': WORK,
  'POST /api/agents/{id}/resume': WORK,
  'POST /api/agents/{id}/messages': WORK,
  'GET /api/agents/{id}/events': READ,
  'POST /api/agents/tasks/submit': WORK,
  'GET /api/agents/tasks/list': READ,
  'GET /api/agents/tasks/{id}': READ,
  'POST /api/agents/tasks/{id}/cancel': WORK,
  'POST /api/agents/tasks/{id}/redrive': ADMIN,
  'GET /api/agents/tasks/{id}/events': READ,
  'POST /api/agents/workflows/create': WORK,
  'POST /api/agents/workflows/plan': WORK,
  'GET /api/agents/workflows/statistics': READ,
  'GET /api/agents/workflows/stuck': READ,
  'GET /api/agents/workflows/list': READ,
  'GET /api/agents/workflows/{id}': READ,
  'POST /api/agents/workflows/{id}/start': WORK,
  'POST /api/agents/workflows/{id}/cancel': WORK,
  'POST /api/agents/workflows/{id}/pause': WORK,
  'POST /api/agents/workflows/{id}/resume': WORK,
  'POST /api/agents/workflows/{id}/fork': WORK,
  'POST /api/agents/workflows/{id}/signals': WORK,
  'POST /api/agents/workflows/{id}/items': WORK,
  'GET /api/agents/workflows/{id}/inputs': READ,
  'POST /api/agents/workflows/{id}/inputs/{step}': WORK,
  'POST /api/agents/tasks/{id}/input': WORK,
  'GET /api/agents/inputs': READ,
  'POST /api/agents/messages/send': WORK,
  'GET /api/agents/messages/statistics': READ,
  'POST /api/agents/messages/subscribe': WORK,
  'POST /api/agents/messages/unsubscribe': WORK,
  'GET /api/agents/messages/subscriptions': READ,
  'GET /api/agents/dead-letters/{id}': READ,
  'POST /api/agents/dead-letters/{id}/replay': WORK,
  'GET /api/agents/capabilities/{name}': READ,
  'GET /api/agents/capabilities/{name}/events': READ,
  'POST /api/agents/channels/create': WORK,
  'GET /api/agents/channels/list': READ,
  'GET /api/agents/channels/{id}': READ,
  'DELETE /api/agents/channels/{id}': ADMIN,
  'GET /api/agents/channels/{id}/members': READ,
  'POST /api/agents/channels/{id}/join': WORK,
  'POST /api/agents/channels/{id}/leave': WORK,
  'GET /api/agents/workflows/{id}/events': READ,
  'GET /api/agents/workflows/{id}/decisions': READ,
  'GET /api/agents/workflows/{id}/attempts': READ,
  'GET /api/agents/workflows/{id}/journal': READ,
  'GET /api/agents/workflows/{id}/journal/{seq}': READ,
  'GET /api/agents/history/events': READ,
  'GET /api/agents/history/timeline': READ,
  'GET /api/agents/history/moment': READ,
  'GET /api/agents/status': READ,
  'GET /api/agents/metrics': READ,
  'GET /api/agents/metrics/history': READ,
  'GET /api/agents/tree': READ,
  'GET /api/agents/nodes': READ,
  'GET /api/agents/dead-letters': READ,
  'GET /api/agents/events': READ,
  'GET /api/inspect/logs': READ,
  'POST /api/agents/initialize': ADMIN,
  'POST /api/agents/shutdown': ADMIN,
  'GET /api/inspect/tree': READ,
  'GET /api/inspect/stream': READ,
  'POST /api/inspect/streams/{id}/focus': READ,
  'GET /api/inspect/agents/{id}': READ,
  'GET /api/inspect/threads': READ,
  'POST /api/inspect/threads/{id}/profile': ADMIN,
  'GET /api/inspect/nodes': READ,
  'GET /api/inspect/config': READ,
  'GET /metrics': READ,
  'GET /livez': 'public',
  'GET /readyz': 'public',
  'GET /openapi.json': 'public',
  'GET /docs': 'public',
};

/** What the table says of a route, e.g. `GET /api/agents/list`. Throws when it says nothing: the app must not start. */
export function accessOf(route: string): Allowed {
  const allowed = Object.hasOwn(ACCESS, route) ? ACCESS[route] : undefined;
  if (allowed === undefined) throw new Error(`the access table has no entry for ${route}`);
  return allowed;
}

export function mayCall(allowed: Allowed, principal: Principal): boolean {
  return allowed === 'public' || allowed.includes(principal.role);
}
