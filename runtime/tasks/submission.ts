// From what a caller sends to the row that is stored: validation, defaults, the hash that an idempotency key is bound to.

import { createHash } from 'node:crypto';
import { canonicalJson } from '../contracts/canonical-json.ts';
import type { TaskId } from '../contracts/ids.ts';
import type { CallContext } from '../contracts/runtime.ts';
import type { NewTask } from '../contracts/store.ts';
import { type ResolvedSubmit, submitTaskSchema } from '../contracts/task.ts';
import { invalidInput, parseInput } from '../contracts/validation.ts';
import type { Pinned } from './capability-resolver.ts';
import { findUnstorable } from './json-value.ts';

const TEN_YEARS_MS = 10 * 366 * 86_400_000;

/** The submit with its defaults. A missing input is `{}`. Throws `invalid_input` with `details.issues`. */
export function parseSubmit(given: unknown, nowMs: number): ResolvedSubmit {
  const parsed = parseInput(submitTaskSchema, given);
  const bad = findUnstorable(parsed.input, 'input');
  if (bad) throw invalidInput(bad.path, bad.message);
  if (parsed.runAt !== undefined && Date.parse(parsed.runAt) > nowMs + TEN_YEARS_MS) {
    throw invalidInput('runAt', 'must lie within the next 10 years');
  }
  return { ...parsed, input: parsed.input === undefined ? {} : parsed.input };
}

/** The row of an accepted submit. `key` is the idempotency key in force, the call's before the body's. */
export function newTaskOf(
  id: TaskId,
  submit: ResolvedSubmit,
  pinned: Pinned,
  call: { readonly tenant: string; readonly traceparent?: string; readonly key?: string },
): NewTask {
  return {
    id,
    tenant: call.tenant,
    capability: pinned.capability,
    version: pinned.version,
    queue: pinned.queue,
    ...(pinned.agentId ? { agentId: pinned.agentId } : {}),
    input: submit.input,
    priority: submit.priority,
    timeoutMs: submit.timeoutMs,
    ...given('queueTimeoutMs', submit.queueTimeoutMs),
    ...given('deadlineMs', submit.deadlineMs),
    ...given('delayMs', submit.delayMs || undefined),
    ...given('runAt', submit.runAt),
    retry: submit.retry,
    ...given('dedupeKey', submit.dedupeKey),
    ...given('idempotency', call.key === undefined ? undefined : { key: call.key, bodyHash: bodyHash(submit) }),
    ...given('traceparent', call.traceparent),
  };
}

/** Whether it is to start at once, as far as its sender knows. */
export const startsNow = (task: Pick<NewTask, 'delayMs' | 'runAt'>): boolean =>
  !task.delayMs && task.runAt === undefined;

/** SHA-256 of the canonical JSON of the body with its defaults, without the key: the same wish has the same hash. */
export function bodyHash(submit: ResolvedSubmit): string {
  const { idempotencyKey: _, ...body } = submit;
  return createHash('sha256').update(canonicalJson(body)).digest('hex');
}

/** The key of one item of a batch that came under one key. Long ones are hashed, a key holds 255 characters. */
export function itemKey(call: CallContext, index: number): string | undefined {
  if (call.idempotencyKey === undefined) return undefined;
  const key = `${call.idempotencyKey}#${index}`;
  return key.length <= 255 ? key : createHash('sha256').update(key).digest('hex');
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): { readonly [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [K in Key]: Value });
}
