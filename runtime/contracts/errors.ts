// Every error of the runtime: a stable code, what the caller should do, and its form on the wire.
// After a border (thread, node, HTTP) match on `code`: classes do not survive a MessagePort.

import { z } from 'zod';
import { withoutCredentials } from './redaction.ts';

/** What every code means and whether trying the same again can help. */
export const ERROR_CODES = {
  // addressing and messages
  actor_not_found: { retryable: false },
  agent_name_taken: { retryable: false },
  mailbox_full: { retryable: true },
  backpressure: { retryable: true },
  target_lost: { retryable: true },
  /** There is no way to its node now: surely not sent. */
  unreachable: { retryable: true },
  ask_timeout: { retryable: true },
  handler_failed: { retryable: false },
  no_handler: { retryable: false },
  not_cloneable: { retryable: false },
  payload_too_large: { retryable: false },
  /** A filter of the channel or of the receiver did not let it through. */
  filtered: { retryable: false },
  hop_limit: { retryable: false },
  channel_not_found: { retryable: false },
  channel_exists: { retryable: false },
  dead_letter_not_found: { retryable: false },
  replay_limit: { retryable: false },
  // agents
  unknown_agent_type: { retryable: false },
  no_node_fits: { retryable: false },
  not_a_module: { retryable: false },
  no_node_has_type: { retryable: true },
  illegal_transition: { retryable: false },
  init_failed: { retryable: true },
  agent_crashed: { retryable: true },
  agent_stopped: { retryable: true },
  restart_intensity: { retryable: false },
  version_conflict: { retryable: true },
  spawn_timeout: { retryable: true },
  // threads
  thread_lost: { retryable: true },
  thread_stuck: { retryable: true },
  thread_out_of_memory: { retryable: true },
  no_thread_up: { retryable: true },
  // tasks
  unknown_capability: { retryable: false },
  invalid_input: { retryable: false },
  invalid_output: { retryable: false },
  task_not_found: { retryable: false },
  task_terminal: { retryable: false },
  task_timeout: { retryable: true },
  task_cancelled: { retryable: false },
  queue_timeout: { retryable: false },
  deadline_exceeded: { retryable: false },
  attempts_exhausted: { retryable: false },
  poison: { retryable: false },
  fenced: { retryable: false },
  queue_full: { retryable: true },
  idempotency_mismatch: { retryable: false },
  idempotency_in_flight: { retryable: true },
  // workflows
  workflow_not_found: { retryable: false },
  workflow_state: { retryable: false },
  workflow_cycle: { retryable: false },
  workflow_invalid: { retryable: false },
  unknown_pattern: { retryable: false },
  upstream_failed: { retryable: false },
  definition_changed: { retryable: false },
  child_failed: { retryable: false },
  workflow_failed: { retryable: false },
  budget_exceeded: { retryable: false },
  input_not_found: { retryable: false },
  input_closed: { retryable: false },
  input_expired: { retryable: false },
  rejected: { retryable: false },
  handoff_limit: { retryable: false },
  // the node
  draining: { retryable: true },
  /** The reader's place in an event stream is not kept any more: it must start again. */
  event_position_gone: { retryable: false },
  store_unavailable: { retryable: true },
  store_locked: { retryable: false },
  store_foreign: { retryable: false },
  schema_version: { retryable: false },
  lease_lost: { retryable: true },
  config_invalid: { retryable: false },
  model_unavailable: { retryable: true },
  unsupported: { retryable: false },
  // the inspector
  stream_not_found: { retryable: false },
  thread_not_found: { retryable: false },
  profile_running: { retryable: true },
  internal: { retryable: false },
} as const satisfies Record<string, { retryable: boolean }>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** An error as it crosses threads, nodes and rows. `code` may also be one that a user's handler chose. */
export const wireErrorSchema = z
  .object({
    code: z.string(),
    message: z.string(),
    retryable: z.boolean(),
    details: z.record(z.string(), z.unknown()).optional(),
    stack: z.string().optional(),
  })
  .meta({ id: 'Error' });
export type WireError = z.infer<typeof wireErrorSchema>;

export interface RuntimeErrorOptions {
  readonly details?: Record<string, unknown>;
  readonly cause?: unknown;
  /** Default: what {@link ERROR_CODES} says of the code. */
  readonly retryable?: boolean;
}

/** An error of the runtime. Match on `code`; `details` names the field, id or limit at fault. */
export class RuntimeError extends Error {
  readonly code: string;
  readonly details: Record<string, unknown>;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: RuntimeErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'RuntimeError';
    this.code = code;
    this.details = options.details ?? {};
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
  }
}

/**
 * What a task handler throws to fail its attempt with a code of its own.
 * `retryable: false` (the default is true) fails the task at once, whatever attempts are left.
 */
export class TaskError extends Error {
  readonly code: string;
  readonly retryable: boolean;
  readonly details: Record<string, unknown>;

  constructor(code: string, message: string, options: { retryable?: boolean; details?: Record<string, unknown> } = {}) {
    super(message);
    this.name = 'TaskError';
    this.code = code;
    this.retryable = options.retryable ?? true;
    this.details = options.details ?? {};
  }
}

const MAX_STACK_CHARS = 4_000;
const MAX_MESSAGE_CHARS = 2_000;

/**
 * Any thrown value as a {@link WireError}, without credentials in its texts: they are stored, shown and logged. An unknown error gets `fallback` as its code and its retryability.
 */
export function toWireError(thrown: unknown, fallback: ErrorCode = 'internal'): WireError {
  if (isWireError(thrown)) return thrown;
  if (!(thrown instanceof Error)) {
    return {
      code: fallback,
      message: withoutCredentials(String(thrown).slice(0, MAX_MESSAGE_CHARS)),
      retryable: ERROR_CODES[fallback].retryable,
    };
  }
  const own = thrown as Error & { code?: unknown; retryable?: unknown; details?: unknown };
  const code = typeof own.code === 'string' ? own.code : fallback;
  const known = ERROR_CODES[code as ErrorCode] ?? ERROR_CODES[fallback];
  return {
    code,
    message: withoutCredentials(thrown.message.slice(0, MAX_MESSAGE_CHARS)),
    retryable: typeof own.retryable === 'boolean' ? own.retryable : known.retryable,
    ...(isRecord(own.details) && Object.keys(own.details).length > 0 ? { details: own.details } : {}),
    ...(thrown.stack ? { stack: withoutCredentials(thrown.stack.slice(0, MAX_STACK_CHARS)) } : {}),
  };
}

/** A {@link RuntimeError} of what came over a border, to be thrown on this side. */
export function fromWireError(error: WireError): RuntimeError {
  const code: ErrorCode = error.code in ERROR_CODES ? (error.code as ErrorCode) : 'handler_failed';
  const local = new RuntimeError(code, error.message, {
    retryable: error.retryable,
    ...(error.details ? { details: error.details } : {}),
  });
  if (error.stack) local.stack = error.stack;
  if (code !== error.code) Object.defineProperty(local, 'code', { value: error.code, enumerable: true });
  return local;
}

/** Shorthand for a wire error of a known code. */
export function wireError(code: ErrorCode, message: string, details?: Record<string, unknown>): WireError {
  return { code, message, retryable: ERROR_CODES[code].retryable, ...(details ? { details } : {}) };
}

function isWireError(value: unknown): value is WireError {
  return (
    isRecord(value) &&
    !(value instanceof Error) &&
    typeof value.code === 'string' &&
    typeof value.message === 'string' &&
    typeof value.retryable === 'boolean'
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The end of a closed switch: a compile error when a case is missing, an exception when data lies. */
export function assertNever(value: never): never {
  throw new RuntimeError('internal', `unexpected value ${JSON.stringify(value)}`);
}
