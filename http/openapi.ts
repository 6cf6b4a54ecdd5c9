// The OpenAPI 3.1 document, made from the endpoints and the very schemas that check requests.

import { z } from 'zod';
import { ACCESS, accessOf } from './access.ts';
import { type Endpoint, JSON_TYPE, type ResponseSpec, routeName } from './endpoint.ts';
import { problemSchema } from './problem.ts';

type Json = Record<string, unknown>;
export interface OpenApiDocument extends Json {
  readonly paths: Record<string, Record<string, Json>>;
  readonly components: { readonly schemas: Record<string, Json> };
}

const POINTER = '#/components/schemas/';

/** Errors that every authenticated route can answer with. */
const COMMON_PROBLEMS: Readonly<Record<number, string>> = {
  401: 'No token, or not a valid one.',
  403: 'The role may not do this.',
  422: 'Something in the request is not valid; `errors` names the places.',
  429: 'Over the budget of the caller, or a queue or mailbox is full.',
};

/** The document of these routes. Every schema with an id becomes a component. */
export function openApiDocument(endpoints: readonly Endpoint[], version: string, basePath = ''): OpenApiDocument {
  const schemas: Record<string, Json> = {};
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of endpoints) {
    const operations = paths[route.path] ?? {};
    paths[route.path] = operations;
    operations[route.method] = operation(route, schemas);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Troupe',
      version,
      description: 'Agents as supervised actors, durable tasks, workflows. Errors are problem details (RFC 9457).',
    },
    servers: [{ url: basePath || '/' }],
    tags: ['agents', 'tasks', 'workflows', 'messages', 'system', 'events', 'history', 'inspection', 'health'].map(
      (name) => ({
        name,
      }),
    ),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
      schemas,
    },
  } as OpenApiDocument;
}

function operation(route: Endpoint, schemas: Record<string, Json>): Json {
  const open = accessOf(routeName(route)) === 'public';
  return {
    operationId: route.id,
    tags: [route.tag],
    summary: route.summary,
    ...(route.description ? { description: route.description } : {}),
    ...(open ? { security: [] } : { security: [{ bearer: [] }], 'x-roles': ACCESS[routeName(route)] }),
    parameters: [...pathParameters(route.path), ...queryParameters(route, schemas), ...headerParameters(route)],
    ...(route.body ? { requestBody: requestBody(route, route.body, schemas) } : {}),
    responses: responses(route, open, schemas),
  };
}

function requestBody(route: Endpoint, body: z.ZodType, schemas: Record<string, Json>): Json {
  const schema = jsonSchema(body, schemas);
  return {
    required: !route.bodyOptional,
    content: {
      [JSON_TYPE]: { schema },
      ...(route.bodyForms?.includes('ndjson') ? { 'application/x-ndjson': { schema: { type: 'string' } } } : {}),
    },
  };
}

function responses(route: Endpoint, open: boolean, schemas: Record<string, Json>): Json {
  const entries = Object.entries(route.responses).map(([status, spec]) => [status, responseOf(spec, schemas)]);
  const problems = Object.entries(open ? {} : COMMON_PROBLEMS)
    .filter(([status]) => !(status in route.responses))
    .map(([status, description]) => [status, responseOf(problem(description), schemas)]);
  return Object.fromEntries([...entries, ...problems]) as Json;
}

function responseOf({ description, content, headers }: ResponseSpec, schemas: Record<string, Json>): Json {
  return {
    description,
    ...(content
      ? {
          content: Object.fromEntries(
            Object.entries(content).map(([type, schema]) => [
              type,
              { schema: schema ? jsonSchema(schema, schemas) : { type: 'string' } },
            ]),
          ),
        }
      : {}),
    ...(headers
      ? {
          headers: Object.fromEntries(
            Object.entries(headers).map(([name, about]) => [name, { description: about, schema: { type: 'string' } }]),
          ),
        }
      : {}),
  };
}

/** A problem answer of a route. */
export function problem(description: string): ResponseSpec {
  return { description, content: { 'application/problem+json': problemSchema } };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(route: Endpoint, schemas: Record<string, Json>): Json[] {
  if (!route.query) return [];
  const { properties = {}, required = [] } = jsonSchema(route.query, schemas) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    ...(description ? { description } : {}),
    schema,
  }));
}

function headerParameters(route: Endpoint): Json[] {
  const own = Object.entries(route.headers ?? {}).map(([name, description]) => ({ name, description }));
  const retries =
    route.method === 'post'
      ? [
          {
            name: 'Idempotency-Key',
            description: '1 to 255 printable characters. The same request with the same key has one effect.',
          },
        ]
      : [];
  return [...own, ...retries].map((header) => ({
    ...header,
    in: 'header',
    required: false,
    schema: { type: 'string' },
  }));
}

/** A schema as JSON Schema 2020-12, with everything that has an id moved to the components. */
function jsonSchema(schema: z.ZodType, schemas: Record<string, Json>): Json {
  const made = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any', override: tidy }) as Json;
  const { $defs = {}, $schema: _dialect, ...own } = made as { $defs?: Record<string, Json>; $schema?: string };
  for (const [id, definition] of Object.entries($defs)) schemas[id] ??= repoint(definition) as Json;
  const { id } = (schema.meta() ?? {}) as { id?: string };
  if (id === undefined || '$ref' in own) return repoint(own) as Json;
  schemas[id] ??= repoint(own, id) as Json;
  return { $ref: `${POINTER}${id}` };
}

/** Bounds that only say "a safe integer" are noise. */
function tidy({ jsonSchema: made }: { jsonSchema: Json }): void {
  if (made.minimum === Number.MIN_SAFE_INTEGER) delete made.minimum;
  if (made.maximum === Number.MAX_SAFE_INTEGER) delete made.maximum;
  delete made.id;
}

function repoint(value: unknown, self?: string): unknown {
  if (Array.isArray(value)) return value.map((item) => repoint(item, self));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== '$ref' || typeof inner !== 'string') return [key, repoint(inner, self)];
      return [key, inner === '#' && self ? `${POINTER}${self}` : inner.replace('#/$defs/', POINTER)];
    }),
  );
}
