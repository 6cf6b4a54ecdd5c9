// The dead letter for a mailbox that went with its thread. Its messages cannot be named any more, only counted.

import type { DeadLetter } from '../contracts/envelope.ts';
import type { AgentId } from '../contracts/ids.ts';

/** Type of the dead letter that stands for a lost mailbox; its body is `{ count }`. */
export const LOST_MAILBOX = 'mailbox.lost';

/**
 * One letter for all messages that were acknowledged, waited in the mailbox of this actor and were not handed to its
 * behaviour when the thread died. The count may include messages of the last turn whose acknowledgement had not reached
 * their senders: those are told by their senders too, as unknown. Never is one told by neither.
 */
export function lostMail(node: string, thread: number, to: AgentId, count: number, atMs: number): DeadLetter {
  return {
    reason: 'target_lost',
    to,
    type: LOST_MAILBOX,
    body: { count },
    messageId: `${node}.${thread}!${to}`,
    atMs,
  };
}
