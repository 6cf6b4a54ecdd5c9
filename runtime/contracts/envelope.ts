// Messages between actors: what a user sends, what the runtime adds, what happens to what nobody took.

import { z } from 'zod';
import type { AgentId } from './ids.ts';

/** The five message protocols. */
export const PROTOCOLS = ['direct', 'broadcast', 'multicast', 'publish-subscribe', 'request-response'] as const;
export const protocolSchema = z.enum(PROTOCOLS);
export type Protocol = z.infer<typeof protocolSchema>;

/** The way a message went. */
export type Via = 'same-thread' | 'message-port' | 'in-process-bus' | 'redis';

/** A message as its handler gets it. `body` must be plain data: it is cloned or encoded on its way. */
export interface Message {
  /** Unique in the cluster; made lazily from sender and sequence. */
  readonly messageId: string;
  readonly type: string;
  readonly body: unknown;
  /** The sending actor as the runtime stamped it; absent for messages from outside the actor world. */
  readonly from?: AgentId;
  readonly protocol: Protocol;
  /** Set when the sender waits for a reply: answer with `ctx.reply`. */
  readonly correlationId?: string;
  /** Of durable messages only: this try, from 1. */
  readonly attempt?: number;
  readonly traceparent?: string;
  /** The topic it was published to. */
  readonly topic?: string;
  /** The channel or group it came through. */
  readonly channel?: string;
  /** How many messages to many led to this one: what a handler sends to many because of it goes one further, up to a limit. */
  readonly hops?: number;
}

/** Why nobody took a message. */
export const DEAD_LETTER_REASONS = [
  'actor_not_found',
  'actor_stopped',
  'mailbox_full',
  'dropped_oldest',
  'dropped_new',
  'backpressure',
  'target_lost',
  'late_reply',
  'not_cloneable',
  'no_handler',
  'filtered',
  'payload_too_large',
  'hop_limit',
  /** Of durable messages: every attempt failed. */
  'attempts_exhausted',
  /** Of durable messages: its node or thread died under it again and again. */
  'poison',
  'unreachable',
] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

export interface DeadLetter {
  readonly reason: DeadLetterReason;
  readonly to: string;
  readonly from?: string;
  readonly type: string;
  /** The body when it could be kept; a text that describes it when it could not be cloned. */
  readonly body: unknown;
  readonly messageId: string;
  readonly atMs: number;
}

/**
 * What became of a `tell`: `delivered` = it is in the mailbox; `refused` = it surely is not, and why;
 * `unknown` = the target's thread or node was lost before it acknowledged. `detail` says more to people, e.g. what to configure.
 */
export type TellResult =
  | { readonly outcome: 'delivered'; readonly via: Via }
  | { readonly outcome: 'refused'; readonly reason: DeadLetterReason; readonly detail?: string }
  | { readonly outcome: 'unknown'; readonly reason: 'target_lost' };

/** The way of a message to many: as {@link Message} tells it to its handler. */
export type MessageWay = Pick<Message, 'topic' | 'channel' | 'hops'>;

/** Handlers of a durable message that may fail before it becomes a dead letter, default 5. */
export const maxAttemptsSchema = z.number().int().min(1).max(100);

/** A message that is kept until it is handled. */
export const durableTellSchema = z.strictObject({
  durable: z.literal(true),
  maxAttempts: maxAttemptsSchema.optional(),
});
export type DurableTell = z.input<typeof durableTellSchema>;

/** What became of a durable message: it is stored, and will be handled or become a dead letter. */
export interface StoredTell {
  readonly outcome: 'stored';
  readonly messageId: string;
  /** Its idempotency key was used before: `messageId` is the message of that time. */
  readonly duplicate: boolean;
}

/** When a mailbox is full: refuse the new message, drop the oldest, drop the new one silently to its sender, or hold senders back. */
export const overflowSchema = z.enum(['reject', 'drop-oldest', 'drop-new', 'backpressure']);
export type Overflow = z.infer<typeof overflowSchema>;

export const mailboxOptionsSchema = z.strictObject({
  /** Messages, not bytes. */
  capacity: z.number().int().min(1).max(1_000_000).default(1_000),
  overflow: overflowSchema.default('reject'),
});
export type MailboxOptions = z.input<typeof mailboxOptionsSchema>;
export type ResolvedMailbox = z.infer<typeof mailboxOptionsSchema>;
