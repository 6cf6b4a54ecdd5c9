// What probes and people ask without a token: alive, ready, the API's description.

import { z } from 'zod';
import { renderDocs } from '../docs.ts';
import { type Endpoint, endpoint, JSON_TYPE, json, type RouteDeps } from '../endpoint.ts';
import type { OpenApiDocument } from '../openapi.ts';
import { liveSchema, readySchema } from '../schemas.ts';

export function healthRoutes({ runtime }: RouteDeps, document: () => OpenApiDocument): Endpoint[] {
  let page: string | undefined;
  return [
    endpoint({
      method: 'get',
      path: '/livez',
      id: 'live',
      tag: 'health',
      summary: 'The process answers',
      responses: { 200: { description: 'It does.', content: json(liveSchema) } },
      handle: async ({ c }) => c.json({ status: 'ok' }),
    }),
    endpoint({
      method: 'get',
      path: '/readyz',
      id: 'ready',
      tag: 'health',
      summary: 'The node accepts work',
      responses: {
        200: { description: 'It does.', content: json(readySchema) },
        503: { description: 'Not now, and why.', content: json(readySchema) },
      },
      async handle({ c }) {
        const state = runtime.system.ready();
        return c.json(state, state.ready ? 200 : 503);
      },
    }),
    endpoint({
      method: 'get',
      path: '/openapi.json',
      id: 'openApi',
      tag: 'health',
      summary: 'This API as OpenAPI 3.1',
      responses: { 200: { description: 'The document.', content: { [JSON_TYPE]: z.looseObject({}) } } },
      handle: async ({ c }) => c.json(document()),
    }),
    endpoint({
      method: 'get',
      path: '/docs',
      id: 'docs',
      tag: 'health',
      summary: 'This API as a page',
      responses: { 200: { description: 'A page that loads nothing from elsewhere.', content: { 'text/html': null } } },
      async handle() {
        page ??= renderDocs(document());
        return new Response(page, {
          headers: {
            'content-type': 'text/html; charset=utf-8',
            'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
          },
        });
      },
    }),
  ];
}
