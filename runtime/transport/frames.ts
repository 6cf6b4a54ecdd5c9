// The operations of the data plane. A frame is a flat array: [acknowledged, sentAtMs, op, ...fields, op, ...fields]; a bare
// number is an acknowledgement alone. TELL, TELL_META and ASK are counted by both ends: they take credit and are acknowledged.

/** slot, from, type, body */
export const TELL = 1;
/** slot, from, type, body, meta */
export const TELL_META = 2;
/** slot, from, type, body, meta, correlation, timeoutMs */
export const ASK = 3;
/** correlation, body */
export const REPLY = 4;
/** correlation, error */
export const FAIL = 5;
/** sequence, index in NACK_REASONS */
export const NACK = 6;
/** slot, id: who the sender with this slot number is; comes before its first message on a link */
export const INTRODUCE = 7;
/** slot: its sender has ended */
export const FORGET = 8;
/** slot: hold messages for it */
export const PAUSE = 9;
/** slot, count: send this many of those held */
export const GRANT = 10;
/** slot: none is held any more */
export const UNPAUSED = 11;
/** correlation, id, staleThread, staleSlot: where does this actor live? Answered with the place, or with why there is none. Thread to main */
export const RESOLVE = 12;
/** correlation, slot, request: `CellContext.request`. Thread to main */
export const REQUEST = 13;
/** list of notices. Thread to main */
export const NOTICES = 14;
/** operation id, ok, value or error: how a control operation ended. Thread to main */
export const SETTLED = 15;
/** key, outcome. Thread to main */
export const OUTCOME = 16;
/** slot, key, assignment. Main to thread */
export const TASK = 17;
/** key: abort it. Main to thread */
export const CANCEL = 18;
/** key, correlation: give it up and fail its cell. Main to thread */
export const ABANDON = 19;
/** id, thread: drop what you know of where it lives. Main to thread */
export const UNROUTE = 20;
/** thread: it is dead. Main to thread */
export const PEER_DOWN = 21;
/** slot, key, error: the attempt has no outcome and is lost; fail its cell. Main to thread */
export const OVERDUE = 22;

/** Fields that follow each operation. */
export const ARITY: readonly number[] = [0, 4, 5, 7, 2, 2, 2, 2, 1, 1, 2, 1, 4, 3, 1, 3, 2, 3, 1, 2, 2, 1, 3];

/** Why a receiver did not take a message. `gone`: the slot is not there any more; the sender asks for the new one. */
export const NACK_REASONS = ['gone', 'mailbox_full', 'dropped_new', 'actor_stopped', 'filtered'] as const;
export type NackReason = (typeof NACK_REASONS)[number];

/** Posted by itself, with a transferred port: a direct link to another thread. */
export interface Introduction<Port> {
  readonly link: number;
  readonly port: Port;
}

/** Words of the shared memory in which a thread shows that it lives. */
export const BEAT = 0;
export const PROGRESS = 1;
/** Slot of the cell whose code is on the stack, 0 when none is. */
export const ON_STACK = 2;
/** Key of the task whose code is on the stack, 0 when none is. */
export const TASK_ON_STACK = 3;
export const MESSAGES_IN = 4;
export const MESSAGES_OUT = 5;
export const CELLS = 6;
export const HEAP_KB = 7;
export const UTILIZATION_PERMILLE = 8;
export const LIFE_WORDS = 16;

/**
 * Meters of a thread: words of shared memory that show how many messages wait in a mailbox, so that they can be counted when
 * the thread dies. Word 0 is nobody's. Mailboxes beyond that many have none and are lost uncounted.
 */
export const METERS = 65_536;
