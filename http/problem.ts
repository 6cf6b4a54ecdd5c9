// Errors as RFC 9457 problem details. The only file of the project that knows which error code has which HTTP status.

import { z } from 'zod';
import { ERROR_CODES, type ErrorCode } from '../runtime/contracts/errors.ts';
import { placesOf as placesOfParse } from '../runtime/contracts/validation.ts';

/** Codes that exist only at this edge. */
const EDGE_STATUS = {
  malformed_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  body_too_large: 413,
  uri_too_long: 414,
  unsupported_media_type: 415,
  rate_limited: 429,
  too_many_streams: 429,
  headers_too_large: 431,
  identity_provider_unavailable: 503,
} as const;
export type EdgeCode = keyof typeof EDGE_STATUS;

/** 4xx: the caller can mend it. 429 and 503: later. 502 and 504: an agent failed or was too slow. 500: a bug of ours, always. */
const STATUS = {
  actor_not_found: 404,
  agent_name_taken: 409,
  mailbox_full: 429,
  backpressure: 429,
  target_lost: 503,
  unreachable: 503,
  ask_timeout: 504,
  handler_failed: 502,
  no_handler: 422,
  not_cloneable: 422,
  payload_too_large: 413,
  filtered: 422,
  hop_limit: 422,
  channel_not_found: 404,
  channel_exists: 409,
  dead_letter_not_found: 404,
  replay_limit: 409,
  unknown_agent_type: 422,
  no_node_fits: 422,
  not_a_module: 422,
  no_node_has_type: 503,
  illegal_transition: 409,
  init_failed: 503,
  agent_crashed: 503,
  agent_stopped: 409,
  restart_intensity: 409,
  version_conflict: 412,
  spawn_timeout: 503,
  thread_lost: 503,
  thread_stuck: 503,
  thread_out_of_memory: 503,
  no_thread_up: 503,
  unknown_capability: 422,
  invalid_input: 422,
  invalid_output: 502,
  task_not_found: 404,
  task_terminal: 409,
  task_timeout: 504,
  task_cancelled: 409,
  queue_timeout: 504,
  deadline_exceeded: 504,
  attempts_exhausted: 502,
  poison: 502,
  fenced: 409,
  queue_full: 429,
  idempotency_mismatch: 422,
  idempotency_in_flight: 409,
  workflow_not_found: 404,
  workflow_state: 409,
  workflow_cycle: 422,
  workflow_invalid: 422,
  unknown_pattern: 422,
  upstream_failed: 502,
  definition_changed: 409,
  child_failed: 502,
  workflow_failed: 502,
  budget_exceeded: 409,
  input_not_found: 404,
  input_closed: 409,
  input_expired: 409,
  rejected: 409,
  handoff_limit: 502,
  draining: 503,
  event_position_gone: 410,
  store_unavailable: 503,
  store_locked: 503,
  store_foreign: 503,
  schema_version: 503,
  lease_lost: 503,
  config_invalid: 500,
  model_unavailable: 503,
  unsupported: 422,
  stream_not_found: 404,
  thread_not_found: 404,
  profile_running: 409,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

/** What a caller may read of a failure inside: nothing of how we are built. */
const FIXED_DETAIL: Partial<Record<ErrorCode | EdgeCode, string>> = {
  internal: 'Something went wrong on our side. The trace id finds it in the log.',
  config_invalid: 'Something went wrong on our side. The trace id finds it in the log.',
  actor_not_found: 'There is no such agent.',
  task_not_found: 'There is no such task.',
  workflow_not_found: 'There is no such workflow.',
  channel_not_found: 'There is no such channel or group.',
  dead_letter_not_found: 'There is no such letter.',
  store_unavailable: 'The database does not answer. What was accepted is kept; try again shortly.',
  store_locked: 'The database is not usable by this node.',
  store_foreign: 'The database is not usable by this node.',
  schema_version: 'The database is not usable by this node.',
  lease_lost: 'This node is restarting. Try again shortly.',
};

/** Fields of an error's `details` that callers see. */
const SHOWN_DETAILS = ['known', 'cycle', 'from', 'event', 'version', 'status', 'limit'] as const;

export const problemSchema = z
  .object({
    type: z.string().meta({ example: 'urn:troupe:problem:task_not_found' }),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    code: z.string().meta({ description: 'Stable: match on this one.' }),
    retryable: z.boolean().meta({ description: 'Whether trying the same again can help.' }),
    traceId: z.string(),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Each place of the request that is not valid.' }),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'Problem' });
export type Problem = z.infer<typeof problemSchema>;

/** An error that this edge itself makes, with the headers its answer needs. */
export class EdgeError extends Error {
  readonly code: EdgeCode | 'invalid_input';
  readonly errors: readonly { path: string; message: string }[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: EdgeCode | 'invalid_input',
    detail: string,
    extra: { errors?: readonly { path: string; message: string }[]; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail);
    this.name = 'EdgeError';
    this.code = code;
    this.errors = extra.errors;
    this.headers = extra.headers ?? {};
  }
}

const MAX_PLACES = 50;

/** A failed zod parse as a 422 that names every place, e.g. `retry.maxAttempts` or `tasks[2].dependsOn[0]`. */
export function invalidInput(error: z.ZodError, prefix = ''): EdgeError {
  const errors = placesOfParse(error)
    .slice(0, MAX_PLACES)
    .map(({ path, message }) => ({ path: jsonPath(prefix, path), message }));
  const [first] = errors;
  return new EdgeError('invalid_input', first ? `${first.path || 'The body'}: ${first.message}` : 'Not valid.', {
    errors,
  });
}

export function jsonPath(prefix: string, path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    prefix,
  );
}

/** Whether the failure is a bug of ours, to be logged with its stack. */
export function isBug(thrown: unknown): boolean {
  return statusOf(codeOf(thrown), thrown) === 500;
}

/** Any thrown value as an answer. */
export function problemResponse(thrown: unknown, traceId: string): Response {
  const code = codeOf(thrown);
  const status = statusOf(code, thrown);
  const shown: Problem = {
    type: `urn:troupe:problem:${code}`,
    title: titleOf(code),
    status,
    detail: FIXED_DETAIL[code as ErrorCode] ?? (thrown as Error).message,
    code,
    retryable: retryableOf(code, thrown),
    traceId,
    ...placesOf(thrown),
    ...detailsOf(thrown),
  };
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    ...retryAfter(status, thrown),
    ...(thrown instanceof EdgeError ? thrown.headers : {}),
  };
  return new Response(JSON.stringify(shown), { status, headers });
}

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'internal';
  const { code, name } = thrown as Error & { code?: unknown };
  return typeof code === 'string' && (name === 'RuntimeError' || name === 'EdgeError') ? code : 'internal';
}

function statusOf(code: string, thrown: unknown): number {
  if (Object.hasOwn(EDGE_STATUS, code)) return EDGE_STATUS[code as EdgeCode];
  if (Object.hasOwn(STATUS, code)) return STATUS[code as ErrorCode];
  // A code that a user's handler chose came back through an ask: the agent failed, not we.
  return thrown instanceof Error && thrown.name === 'RuntimeError' ? 502 : 500;
}

function retryableOf(code: string, thrown: unknown): boolean {
  const own = (thrown as { retryable?: unknown } | null)?.retryable;
  if (typeof own === 'boolean') return own;
  if (Object.hasOwn(ERROR_CODES, code)) return ERROR_CODES[code as ErrorCode].retryable;
  return code === 'rate_limited' || code === 'too_many_streams' || code === 'identity_provider_unavailable';
}

function titleOf(code: string): string {
  const words = code.replaceAll('_', ' ').slice(0, 100);
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function placesOf(thrown: unknown): Pick<Problem, 'errors'> {
  if (thrown instanceof EdgeError) return thrown.errors ? { errors: [...thrown.errors] } : {};
  const { path, errors, issues } = rawDetails(thrown);
  const parsed = z
    .array(z.object({ path: z.string(), message: z.string() }))
    .min(1)
    .safeParse(errors ?? issues);
  if (parsed.success) return { errors: parsed.data.slice(0, MAX_PLACES) };
  if (typeof path !== 'string') return {};
  const { message } = thrown as Error;
  return { errors: [{ path, message: message.startsWith(`${path}: `) ? message.slice(path.length + 2) : message }] };
}

function detailsOf(thrown: unknown): Pick<Problem, 'details'> {
  const raw = rawDetails(thrown);
  const shown = Object.fromEntries(SHOWN_DETAILS.filter((key) => raw[key] !== undefined).map((key) => [key, raw[key]]));
  return Object.keys(shown).length > 0 ? { details: shown } : {};
}

function retryAfter(status: number, thrown: unknown): Record<string, string> {
  if (status !== 429 && status !== 503) return {};
  const { retryAfterMs } = rawDetails(thrown);
  return { 'retry-after': String(typeof retryAfterMs === 'number' ? Math.max(1, Math.ceil(retryAfterMs / 1_000)) : 1) };
}

function rawDetails(thrown: unknown): Record<string, unknown> {
  const details = (thrown as { details?: unknown } | null)?.details;
  return typeof details === 'object' && details !== null ? (details as Record<string, unknown>) : {};
}
