// What an asker is told when its message was not taken.

import type { DeadLetterReason } from '../contracts/envelope.ts';
import { type ErrorCode, RuntimeError } from '../contracts/errors.ts';

const REFUSALS: Partial<Record<DeadLetterReason, [ErrorCode, string]>> = {
  actor_not_found: ['actor_not_found', 'no actor has this id'],
  actor_stopped: ['agent_stopped', 'it stopped before it took the message'],
  mailbox_full: ['mailbox_full', 'its mailbox is full'],
  dropped_oldest: ['mailbox_full', 'the message was dropped from its full mailbox'],
  dropped_new: ['mailbox_full', 'its mailbox is full'],
  backpressure: ['backpressure', 'it does not keep up with its senders'],
  target_lost: ['target_lost', 'its thread was lost'],
  not_cloneable: ['not_cloneable', 'the body cannot be cloned'],
  payload_too_large: ['payload_too_large', 'it is too large'],
  unreachable: ['unreachable', 'there is no way to its node'],
};

/** The error of an ask whose message was not taken. */
export function refusal(
  envelope: { to: string; type: string; body?: unknown },
  reason: DeadLetterReason,
  more?: string,
): RuntimeError {
  const [code, why] = REFUSALS[reason] ?? ['target_lost', 'it could not be reached'];
  const described = reason === 'not_cloneable' && typeof envelope.body === 'string' ? envelope.body : undefined;
  const detail = more ?? described;
  return new RuntimeError(
    code,
    `${envelope.to} did not take ${envelope.type}: ${why}${detail === undefined ? '' : `: ${detail}`}`,
    {
      details: { to: envelope.to, type: envelope.type, reason },
    },
  );
}
