// Writes outcomes until they are committed, refused by the fence, or the lease is gone. An outcome stays in memory while the
// store is away; a commit whose answer was lost is looked up before it is called refused.

import { toWireError } from '../contracts/errors.ts';
import type { RuntimeEvent } from '../contracts/event.ts';
import type { Ambient } from '../contracts/ports.ts';
import type { EventStore, InboxEvent, SettleAnswer, TaskStore } from '../contracts/store.ts';
import type { SettleTask, TaskState } from '../contracts/task.ts';
import { errorCode, jitteredBackoffMs, pause } from './pause.ts';

const RETRY_BASE_MS = 100;
const RETRY_CAP_MS = 5_000;

export type Settled =
  | {
      readonly type: 'committed';
      readonly state: TaskState;
      readonly events: readonly RuntimeEvent[];
      readonly mail?: InboxEvent;
      /** Its run has taken it in the same commit. */
      readonly decided?: boolean;
    }
  /** Somebody else owns the task now. */
  | { readonly type: 'fenced' }
  /** Given up: the node ends or its lease is gone; the sweep of another node decides. */
  | { readonly type: 'abandoned' };

export interface SettlerParts {
  readonly store: Pick<TaskStore, 'settle' | 'get' | 'attempts'>;
  /** The first try, with what may go into the same commit. Default: as every other one. */
  readonly firstTry?: (settle: SettleTask) => Promise<SettleAnswer & { readonly decided?: boolean }>;
  /** With it, the event of a commit whose answer was lost is published too. */
  readonly events?: Pick<EventStore, 'read'>;
  readonly ambient: Ambient;
}

/** Writes one outcome. Never rejects; ends when `signal` aborts. */
export async function settleUntilKnown(
  { store, firstTry = (settle) => store.settle(settle), events, ambient }: SettlerParts,
  first: SettleTask,
  tenant: string,
  signal: AbortSignal,
): Promise<Settled> {
  let settle = first;
  let unknown = false;
  for (let failures = 0; !signal.aborted; ) {
    try {
      const answer: Awaited<ReturnType<typeof firstTry>> = await (failures === 0
        ? firstTry(settle)
        : store.settle(settle));
      if (answer.outcome === 'committed') {
        const { state, events: own, mail, decided } = answer;
        return { type: 'committed', state, events: own, ...(mail ? { mail } : {}), ...(decided ? { decided } : {}) };
      }
      return unknown
        ? await resolveUnknown({ store, ambient, ...(events ? { events } : {}) }, settle, tenant, signal)
        : { type: 'fenced' };
    } catch (error) {
      failures += 1;
      if (errorCode(error) === 'store_unavailable') unknown = true;
      else settle = withoutPayload(settle, error);
      const waitMs = jitteredBackoffMs(failures, RETRY_BASE_MS, RETRY_CAP_MS, ambient.random);
      ambient.log.warn('cannot write an outcome; it is kept and tried again', { taskId: settle.taskId, error, waitMs });
      await pause(ambient.clock, waitMs, signal);
    }
  }
  return { type: 'abandoned' };
}

/** The fence refused what may have been written by the try before: the attempt's own history row tells. */
async function resolveUnknown(
  { store, events, ambient }: SettlerParts,
  settle: SettleTask,
  tenant: string,
  signal: AbortSignal,
): Promise<Settled> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      const [task, attempts] = await Promise.all([store.get(settle.taskId, tenant), store.attempts(settle.taskId)]);
      const written = attempts.some((row) => row.attempt === settle.attempt && row.outcome === settle.outcome);
      if (!task || !written) return { type: 'fenced' };
      const stored = (await events?.read(settle.taskId, tenant, 0, 1_000)) ?? [];
      return { type: 'committed', state: task.status, events: stored.slice(-1) };
    } catch (error) {
      failures += 1;
      if (errorCode(error) !== 'store_unavailable') return { type: 'fenced' };
      await pause(ambient.clock, jitteredBackoffMs(failures, RETRY_BASE_MS, RETRY_CAP_MS, ambient.random), signal);
    }
  }
  return { type: 'abandoned' };
}

/** What the store refuses to hold fails the task; without this the row would stay `running` as long as its node lives. */
function withoutPayload(settle: SettleTask, error: unknown): SettleTask {
  const { agentSnapshot: _, ...rest } = settle;
  if (settle.settlement.type !== 'completed') return rest;
  const { code, message } = toWireError(error);
  return {
    ...rest,
    outcome: 'failed',
    settlement: {
      type: 'failed',
      error: { code: 'invalid_output', message: `the result cannot be stored (${code}: ${message})`, retryable: false },
    },
  };
}
