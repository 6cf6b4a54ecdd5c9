// Durable messages in the store: accepted mail waits in the inbox of its receiver until it is acknowledged together with what it changed,
// or given up as a dead letter. The row is the truth; whoever owns the receiver (by its epoch) reads and acknowledges it.

import type { DeadLetterReason, MessageWay, Protocol } from './envelope.ts';
import type { WireError } from './errors.ts';
import type { AgentId, MessageId, NodeId } from './ids.ts';

/** A message to be kept until it is handled. */
export interface NewDurableMessage {
  readonly id: MessageId;
  readonly tenant: string;
  readonly to: AgentId;
  /** The sending actor as the runtime stamped it; absent for messages from outside. */
  readonly from?: AgentId;
  /** Messages of one lane reach a receiver in the order in which they were accepted: the sending agent, or who sends from outside. */
  readonly lane: string;
  readonly type: string;
  readonly body: unknown;
  readonly protocol: Protocol;
  readonly traceparent?: string;
  /** Of a message to many: the way it came. */
  readonly via?: MessageWay;
  /** Handlers that may fail before it is a dead letter, 1 to 100. */
  readonly maxAttempts: number;
  /** The same key within the retention is the same message. */
  readonly idempotency?: { readonly key: string; readonly bodyHash: string };
  /** Its sender wants the reply: see {@link MessageStore.replies}. */
  readonly correlationId?: string;
}

/**
 * `accepted`: committed, at the end of the receiver's inbox. `duplicate`: the key or the correlation was accepted before, `id` is the
 * message of that time. `mismatch`: then with another body. `not_found`: the tenant has no such agent, or it is removed.
 */
export type AcceptOutcome =
  | { readonly outcome: 'accepted'; readonly id: MessageId; readonly owner: NodeId | null }
  | { readonly outcome: 'duplicate'; readonly id: MessageId }
  | { readonly outcome: 'mismatch' }
  | { readonly outcome: 'not_found' };

/** A message in an inbox. */
export interface InboxMessage {
  readonly to: AgentId;
  /** Its place in the inbox: grows in the order of acceptance within a lane. */
  readonly seq: number;
  readonly id: MessageId;
  readonly from?: AgentId;
  readonly lane: string;
  readonly type: string;
  readonly body: unknown;
  readonly protocol: Protocol;
  readonly traceparent?: string;
  readonly via?: MessageWay;
  readonly correlationId?: string;
  /** Handlers that have failed so far. */
  readonly attempts: number;
  readonly maxAttempts: number;
  /** Deaths of its node or thread while it was suspected: see {@link MessageStore.suspect}. */
  readonly crashes: number;
  /** Its next attempt is not before this; 0 when it is due. */
  readonly waitMs: number;
}

/** What a receiver's node asks for: up to `most` messages after a place, oldest first. */
export interface InboxRead {
  readonly to: AgentId;
  readonly after: number;
  readonly most: number;
}

export interface DurableReply {
  readonly correlationId: string;
  readonly reply?: unknown;
  readonly error?: WireError;
}

/** Messages of one receiver that its handlers are done with, and what they did, to be committed as one. */
export interface Acknowledgement {
  readonly to: AgentId;
  readonly tenant: string;
  readonly epoch: number;
  readonly seqs: readonly number[];
  /** The receiver's state after the last of them. Absent: unchanged since it was last saved. */
  readonly snapshot?: unknown;
  /** Durable messages their handlers sent. */
  readonly out: readonly NewDurableMessage[];
  readonly replies: readonly DurableReply[];
}

/** A message whose handler failed: tried again after `delayMs`, or given up. */
export interface FailedMessage {
  readonly to: AgentId;
  readonly id: MessageId;
  readonly epoch: number;
  readonly seq: number;
  readonly error: WireError;
  /** Whether the failure counts as an attempt. */
  readonly charge: boolean;
  readonly next: { readonly delayMs: number } | { readonly dead: DeadLetterReason };
}

/** Mail there is for a receiver of this node. */
export interface WaitingInbox {
  readonly to: AgentId;
}

export type ReplyState =
  | { readonly state: 'pending' }
  | { readonly state: 'replied'; readonly reply: unknown }
  | { readonly state: 'failed'; readonly error: WireError };

export interface MessageStore {
  /** Group commit. Calls of one lane that follow each other keep their order. Rejects with `invalid_input` for a body it cannot store. */
  accept(message: NewDurableMessage): Promise<AcceptOutcome>;
  /** One statement for the reads that are asked for at once. A message whose acceptance was still on its way may come with a later read, before others. */
  read(read: InboxRead): Promise<readonly InboxMessage[]>;
  /**
   * Group commit: takes the messages out of the inbox, saves the snapshot, accepts what was sent and keeps the replies, all or nothing.
   * `fenced`: the receiver belongs to another node or epoch by now, and nothing was done. Saying it again is harmless.
   * Messages to agents that are not there become dead letters. One acknowledgement of a receiver at a time.
   */
  acknowledge(done: Acknowledgement): Promise<
    | {
        readonly outcome: 'committed';
        readonly accepted: readonly { readonly to: AgentId; readonly owner: NodeId | null }[];
      }
    | { readonly outcome: 'fenced' }
  >;
  /** Group commit, guarded by the epoch. Giving up makes a dead letter, and the error the reply of a request. */
  fail(failed: FailedMessage): Promise<'committed' | 'fenced'>;
  /**
   * Before messages that may have taken their node down are tried again: counts a crash, taken back by `fail` and moot once acknowledged.
   * What dies nevertheless waits before it comes again, longer each time.
   */
  suspect(to: AgentId, epoch: number, seqs: readonly number[]): Promise<'committed' | 'fenced'>;
  /**
   * Agents of this node that have mail, and whether mail waits for agents that are gone; at most `limit` inboxes are looked at. `after`
   * goes on where the last look ended: `next`, null at the end.
   */
  waiting(
    after: string | null,
    limit: number,
  ): Promise<{ readonly inboxes: readonly WaitingInbox[]; readonly orphaned: boolean; readonly next: string | null }>;
  /** Mail of agents that are removed becomes dead letters (`actor_stopped`), a bounded number at a time. Answers how many. */
  bury(): Promise<number>;
  /** Replies to durable requests, as far as they are known. Kept for ten minutes after they were given. */
  replies(tenant: string, correlationIds: readonly string[]): Promise<ReadonlyMap<string, ReplyState>>;
  /** Drops replies that are no longer kept. */
  forgetReplies(): Promise<number>;
  /** Messages in all inboxes and the wait of the oldest, for the status. */
  backlog(): Promise<{ readonly messages: number; readonly oldestMs: number }>;
}
