// The doors to messages by the five protocols, to channels and groups, to topics, and to who offers what. Implemented by runtime/messaging/.

import type { CallContext } from './call.ts';
import type { TellResult } from './envelope.ts';
import type {
  ChannelKind,
  ChannelMember,
  ChannelView,
  CreateChannel,
  FanOut,
  JoinChannel,
  LeaveChannel,
  MessageStatistics,
  Offers,
  Selector,
  SendMessage,
  SendResult,
  Subscribe,
  Subscription,
  Unsubscribe,
} from './messages.ts';
import type { Dispose } from './ports.ts';
import type { DeadLetterRow } from './store-letters.ts';
import type { Page } from './store-page.ts';

export interface ChannelsApi {
  /** Durable when it resolves. Throws `channel_exists`, `actor_not_found` (details.id) for a member nobody knows. */
  create(channel: CreateChannel, call?: CallContext): Promise<ChannelView>;
  /** By id or name. Throws `channel_not_found`. */
  get(idOrName: string, call?: CallContext): Promise<ChannelView>;
  /** `member`: only those an agent (id or name) is in. */
  list(
    filter: { kind?: ChannelKind; member?: string; limit?: number; cursor?: string },
    call?: CallContext,
  ): Promise<Page<ChannelView>>;
  /** By agent id. Throws `channel_not_found`. */
  members(
    idOrName: string,
    page?: { limit?: number; cursor?: string },
    call?: CallContext,
  ): Promise<Page<ChannelMember>>;
  /** Durable when it resolves; who is in it already stays (with the new `where`). Throws `channel_not_found`, `actor_not_found`. */
  join(idOrName: string, join: JoinChannel, call?: CallContext): Promise<ChannelView>;
  /** Who is not in it is left out. Throws `channel_not_found`, `actor_not_found`. */
  leave(idOrName: string, leave: LeaveChannel, call?: CallContext): Promise<ChannelView>;
  /** Deletes it and tells each member (message `channel.deleted`). Throws `channel_not_found`. */
  remove(idOrName: string, call?: CallContext): Promise<FanOut>;
}

/** A letter sent again. */
export interface Replay {
  readonly id: string;
  /** How often it has been sent again, this time included. */
  readonly replays: number;
  readonly result: TellResult;
}

export interface MessagesApi {
  readonly channels: ChannelsApi;
  /**
   * Sends by the protocol it names. Direct: at most once, in order per sender and receiver; a refusal is a result. To many (broadcast,
   * multicast, publish-subscribe): at most once each to the members of the view at send. Request-response: one reply, error or timeout;
   * a timeout leaves the outcome unknown. An idempotency key makes it one effect and one answer for 10 minutes on this node.
   * Throws `invalid_input`, `actor_not_found`, `channel_not_found`, `filtered`, `payload_too_large`, `idempotency_mismatch`, and for a
   * question what an ask throws.
   */
  send(message: SendMessage, call?: CallContext): Promise<SendResult>;
  /** To every member of a channel. */
  broadcast(channel: string, type: string, body?: unknown, call?: CallContext): Promise<FanOut>;
  /** To every agent for which the selector holds. */
  multicast(select: Selector, type: string, body?: unknown, call?: CallContext): Promise<FanOut>;
  /** To every agent with a subscription that fits. */
  publish(topic: string, type: string, body?: unknown, call?: CallContext): Promise<FanOut>;
  /** Durable when it resolves; the same once more only changes `where`. Throws `actor_not_found`. */
  subscribe(subscription: Subscribe, call?: CallContext): Promise<Subscription>;
  /** False when there was no such subscription. */
  unsubscribe(subscription: Unsubscribe, call?: CallContext): Promise<boolean>;
  /** At most 1,000 of the tenant, or of one agent (id or name). */
  subscriptions(filter?: { agent?: string }, call?: CallContext): Promise<readonly Subscription[]>;
  statistics(): MessageStatistics;
  /** Throws `dead_letter_not_found`. */
  deadLetter(id: string, call?: CallContext): Promise<DeadLetterRow>;
  /**
   * Sends a letter again to its addressee, directly. Throws `dead_letter_not_found`, `replay_limit` after three times,
   * `unsupported` for what is no message to an agent (late replies, counts of lost mailboxes, bodies that were not kept).
   */
  replay(id: string, call?: CallContext): Promise<Replay>;
  /** Who offers a capability now. */
  offers(capability: string, call?: CallContext): Promise<Offers>;
  /**
   * Tells who offers it: at once, and after every change. Changes of this node come at once, those of others with the next look
   * (`pollMs`). Changes that come faster than they are taken are told as their last state.
   */
  followOffers(capability: string, listener: (offers: Offers) => void, call?: CallContext): Dispose;
}
