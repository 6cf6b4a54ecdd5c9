// What becomes of a task whose handler gave it to somebody else: the addressee is looked up, and the eleventh time is refused.

import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { TaskStore } from '../contracts/store.ts';
import type { ClaimedTask, HandoffOutcome } from '../contracts/task.ts';
import type { CapabilityResolver } from './capability-resolver.ts';
import type { Verdict } from './retry-policy.ts';

/** Handoffs of one task: two agents that each think it is the other's would pass it on for ever. */
export const MAX_HANDOFFS = 10;

export interface HandoffParts {
  readonly store: Pick<TaskStore, 'attempts'>;
  readonly resolve: CapabilityResolver['resolve'];
}

/**
 * The verdict on an attempt that ended in a handoff: back to the queue, uncharged; or `failed` for good with `actor_not_found`,
 * `unknown_capability` or `handoff_limit`. Rejects when the store is away.
 */
export async function judgeHandoff(
  { store, resolve }: HandoffParts,
  task: ClaimedTask,
  { to, input, reason }: HandoffOutcome,
): Promise<Verdict> {
  const before = (await store.attempts(task.taskId)).filter(({ outcome }) => outcome === 'handed_off').length;
  if (before >= MAX_HANDOFFS) {
    const message = `the task was handed on ${before} times and is to be handed on again`;
    return failed(wireError('handoff_limit', message, { handoffs: before, to }));
  }
  const wish =
    'agent' in to
      ? { capability: `${task.capability}@${task.version}`, agentId: to.agent }
      : { capability: to.capability };
  try {
    const { capability, version, queue, agentId } = await resolve(wish, task.tenant);
    return {
      outcome: 'handed_off',
      crashed: false,
      settlement: {
        type: 'handed_off',
        target: { capability, version, queue, agentId: agentId ?? null },
        ...(input === undefined ? {} : { input }),
        ...(reason === undefined ? {} : { reason }),
      },
    };
  } catch (thrown) {
    const error = toWireError(thrown);
    if (error.code !== 'actor_not_found' && error.code !== 'unknown_capability' && error.code !== 'invalid_input')
      throw thrown;
    return failed({ ...error, retryable: false });
  }
}

function failed(error: WireError): Verdict {
  return { outcome: 'failed', crashed: false, settlement: { type: 'failed', error } };
}
