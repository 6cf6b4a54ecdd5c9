// Path parameters, query strings and request headers: what is taken, and the errors for the rest.

import { z } from 'zod';
import { agentNameSchema } from '../runtime/contracts/agent.ts';
import { type IdKind, isId } from '../runtime/contracts/ids.ts';
import { EdgeError, invalidInput } from './problem.ts';

/** First words of our paths: no agent may be called so, and no lookup reaches the runtime. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'create',
  'list',
  'types',
  'tasks',
  'workflows',
  'status',
  'metrics',
  'tree',
  'dead-letters',
  'events',
  'inputs',
  'history',
  'messages',
  'channels',
  'capabilities',
  'initialize',
  'shutdown',
]);

const MAX_WAIT_S = 60;
const INVISIBLE = /[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]/;

/** An agent's id or name out of a path; null when nothing can be called so. */
export function agentParam(text: string): string | null {
  const name = text.normalize('NFC');
  return !RESERVED_NAMES.has(name) && agentNameSchema.safeParse(name).success ? name : null;
}

/** An id of this kind out of a path; null when it is not well formed: then the database need not be asked. */
export function idParam(kind: IdKind, text: string): string | null {
  return isId(kind, text) ? text : null;
}

/** The name a new agent gets: normalised, so that two names that look the same are the same. */
export function checkedName(name: string): string {
  const normal = name.normalize('NFC');
  const refuse = (message: string): never => {
    throw new EdgeError('invalid_input', `name: ${message}`, { errors: [{ path: 'name', message }] });
  };
  if (RESERVED_NAMES.has(normal)) refuse('this word is reserved');
  if (INVISIBLE.test(normal)) refuse('must hold no invisible or direction-changing characters');
  return normal;
}

/** A whole number in a query string. */
export const queryInt = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `expected a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));

export const limitQuery = queryInt(1, 500).optional().meta({ description: 'Items on a page; default 50.' });
export const cursorQuery = z
  .string()
  .min(1)
  .max(500)
  .regex(/^[\w.~+/=:-]+$/, 'not a cursor of ours')
  .optional()
  .meta({ description: 'The `nextCursor` of the page before.' });

/** The parsed query. Parameters given twice are refused: which of them counts would be a guess. */
export function parseQuery(queries: Record<string, string[]>, schema: z.ZodType | undefined): unknown {
  for (const [name, values] of Object.entries(queries)) {
    if (values.length > 1)
      throw new EdgeError('invalid_input', `${name}: given twice`, {
        errors: [{ path: name, message: 'given twice' }],
      });
  }
  const single = Object.fromEntries(Object.entries(queries).map(([name, values]) => [name, values[0] ?? '']));
  const parsed = (schema ?? z.strictObject({})).safeParse(single);
  if (!parsed.success) throw invalidInput(parsed.error);
  return parsed.data;
}

/** `Idempotency-Key`: 1 to 255 visible characters. */
export function idempotencyKey(headers: Headers): string | undefined {
  const key = headers.get('idempotency-key');
  if (key === null) return undefined;
  if (!/^[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?$/.test(key))
    throw new EdgeError('malformed_request', 'Idempotency-Key takes 1 to 255 printable ASCII characters.');
  return key;
}

/** The wait of `Prefer: wait=N` (RFC 7240) in milliseconds, at most 60 s; 0 when there is none. */
export function preferredWaitMs(headers: Headers): number {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?:$|[,;\s])/i.exec(headers.get('prefer') ?? '');
  return match?.[1] === undefined ? 0 : Math.min(Number(match[1]), MAX_WAIT_S) * 1_000;
}

/** The version an `If-Match` names; undefined for none and for `*`; -1 for one that can never match. */
export function ifMatchVersion(headers: Headers): number | undefined {
  const header = headers.get('if-match')?.trim();
  if (header === undefined || header === '*') return undefined;
  if (!/^(W\/)?"[^"]*"(\s*,\s*(W\/)?"[^"]*")*$/.test(header))
    throw new EdgeError('malformed_request', 'If-Match takes an entity tag like "v3".');
  const match = /^"v(\d{1,15})"$/.exec(header);
  return match?.[1] === undefined ? -1 : Number(match[1]);
}

export const etagOf = (version: number): string => `"v${version}"`;

/** The place to go on from: `Last-Event-ID`, or `after` in the query for those who cannot set headers. */
export function afterSeq(headers: Headers, after: number | undefined): number | undefined {
  const header = headers.get('last-event-id');
  if (header === null || header === '') return after;
  if (!/^\d{1,15}$/.test(header)) throw new EdgeError('malformed_request', 'Last-Event-ID takes the id of an event.');
  return Number(header);
}

/** Whether an `Accept` header takes one of these types. None, or `*`, takes all. */
export function accepts(accept: string | null, types: readonly string[]): boolean {
  if (accept === null || accept.trim() === '') return true;
  const ranges = accept
    .split(',')
    .map((range) => range.split(';').map((part) => part.trim().toLowerCase()))
    .filter(([, ...parameters]) => !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter)))
    .map(([media]) => media ?? '');
  return types.some((type) => {
    const [media = ''] = type.split(';');
    return ranges.some((range) => range === '*/*' || range === media || range === `${media.split('/')[0]}/*`);
  });
}
