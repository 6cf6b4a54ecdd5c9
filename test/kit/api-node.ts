// The REST API over a real node in the test's process: no sockets, but threads, database and every check of the edge.

import { createApp } from '../../http/app.ts';
import type { Role } from '../../http/auth.ts';
import type { Troupe, TroupeOptions } from '../../runtime/index.ts';
import { testTroupe } from './troupe.ts';

export interface ApiAnswer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export interface ApiNode {
  readonly troupe: Troupe;
  /** Paths are below `/api/agents`. The role is admin unless said otherwise. */
  api(
    method: string,
    path: string,
    body?: unknown,
    as?: { role?: Role; tenant?: string; key?: string },
  ): Promise<ApiAnswer>;
  stop(): Promise<void>;
}

export async function apiNode(options: TroupeOptions = {}): Promise<ApiNode> {
  const troupe = await testTroupe(options);
  const app = createApp(troupe, {
    rateLimit: 0,
    authenticate: async (request) => ({
      subject: 'ann',
      tenant: request.headers.get('x-test-tenant') ?? 'default',
      role: (request.headers.get('x-test-role') ?? 'admin') as Role,
    }),
  });
  return {
    troupe,
    async api(method, path, body, { role = 'admin', tenant = 'default', key } = {}) {
      const response = await app.request(`/api/agents${path}`, {
        method,
        headers: {
          'x-test-role': role,
          'x-test-tenant': tenant,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(key === undefined ? {} : { 'idempotency-key': key }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      return { status: response.status, body: (await response.json()) as Record<string, unknown> };
    },
    stop: () => troupe.stop(),
  };
}
