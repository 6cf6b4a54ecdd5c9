// Messages by the five protocols as the doors see them: what is sent, what comes of it, channels, topics, filters, who offers what.

import { z } from 'zod';
import { agentNameSchema, capabilityRefSchema } from './agent.ts';
import type { CallContext } from './call.ts';
import type { TellResult } from './envelope.ts';
import { agentIdSchema, channelIdSchema } from './ids.ts';
import type { Dispose } from './ports.ts';
import type { DeadLetterRow } from './store-letters.ts';
import type { Page } from './store-page.ts';
import { conditionSchema } from './workflow.ts';

// ---- names -----------------------------------------------------------------------------------------------------------------

/** Texts between dots; neither spaces nor `*`. */
const SEGMENT = '[^\\s.*\\p{Cc}]+';
export const topicSchema = z
  .string()
  .max(200)
  .regex(
    new RegExp(`^${SEGMENT}(?:\\.${SEGMENT})*$`, 'u'),
    'expected a topic like orders.created, without spaces and *',
  );
/** `*` stands for one segment, `**` at the end for one or more: `orders.*`, `orders.**`, `**`. */
export const topicPatternSchema = z
  .string()
  .max(200)
  .regex(
    new RegExp(`^(?:(?:${SEGMENT}|\\*)(?:\\.(?:${SEGMENT}|\\*))*(?:\\.\\*\\*)?|\\*\\*)$`, 'u'),
    'expected a topic like orders.created, orders.* or orders.** (** only at the end)',
  );
export const messageTypeSchema = z.string().min(1).max(200);
export const channelNameSchema = z
  .string()
  .max(120)
  .regex(/^[A-Za-z0-9][\w.:-]*$/, 'expected letters, digits, and . : _ - after the first')
  .refine((name) => name !== 'create' && name !== 'list', 'this word is reserved');

// ---- filters ---------------------------------------------------------------------------------------------------------------

/** A condition over a message: paths begin with `type`, `topic`, `channel`, `from` or `body`, like `body.total`. */
export const messageConditionSchema = conditionSchema.meta({
  id: 'MessageCondition',
  description: 'A comparison, or all, any, not of them. Paths are like `body.total`, `type`, `topic`, `from`.',
});

/** What a channel lets through. A message that does not fit is refused to its sender with `filtered`, and counted. */
export const messageFilterSchema = z
  .strictObject({
    /** JSON Schema (2020-12) of the body. */
    schema: z.record(z.string(), z.unknown()).optional(),
    where: messageConditionSchema.optional(),
  })
  .refine(({ schema, where }) => schema !== undefined || where !== undefined, {
    message: 'give schema, where or both',
  })
  .meta({ id: 'MessageFilter' });
export type MessageFilter = z.infer<typeof messageFilterSchema>;

// ---- channels and groups ---------------------------------------------------------------------------------------------------

/** A channel takes broadcasts; a group is a named set for multicast. Both have members, views and filters. */
export const CHANNEL_KINDS = ['channel', 'group'] as const;
export const channelKindSchema = z.enum(CHANNEL_KINDS);
export type ChannelKind = z.infer<typeof channelKindSchema>;

/** At most this many members at once in one call, and in all. */
export const MAX_JOIN = 1_000;
export const MAX_MEMBERS = 100_000;

const agentRefSchema = z.union([agentIdSchema, agentNameSchema], { error: 'expected the id or the name of an agent' });
const agentRefsSchema = z.array(agentRefSchema).min(1).max(MAX_JOIN);

export const createChannelSchema = z
  .strictObject({
    name: channelNameSchema.meta({ example: 'findings' }),
    kind: channelKindSchema.default('channel'),
    filter: messageFilterSchema.optional(),
    /** Agents that are in it from the start, by id or name. */
    members: agentRefsSchema.optional(),
  })
  .meta({ id: 'CreateChannel' });
export type CreateChannel = z.input<typeof createChannelSchema>;

export const channelViewSchema = z
  .object({
    id: channelIdSchema,
    name: z.string(),
    kind: channelKindSchema,
    /** Names the members as they are: every join and leave makes another one. */
    viewId: z.string(),
    members: z.number().int(),
    filter: messageFilterSchema.optional(),
    createdAt: z.string(),
  })
  .meta({ id: 'Channel' });
export type ChannelView = z.infer<typeof channelViewSchema>;

export const channelMemberSchema = z
  .object({
    agentId: agentIdSchema,
    name: z.string(),
    where: messageConditionSchema.optional(),
    joinedAt: z.string(),
  })
  .meta({ id: 'ChannelMember' });
export type ChannelMember = z.infer<typeof channelMemberSchema>;

export const joinChannelSchema = z
  .strictObject({
    /** By id or name. */
    agents: agentRefsSchema,
    /** Only messages for which it holds reach these members; the others are dropped for them and counted. */
    where: messageConditionSchema.optional(),
  })
  .meta({ id: 'JoinChannel' });
export type JoinChannel = z.input<typeof joinChannelSchema>;
export const leaveChannelSchema = z.strictObject({ agents: agentRefsSchema }).meta({ id: 'LeaveChannel' });
export type LeaveChannel = z.input<typeof leaveChannelSchema>;

/** Each member of a channel that is deleted gets this message from the runtime: `{ id, name, viewId }`. */
export const CHANNEL_DELETED = 'channel.deleted';

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
  /** Deletes it and tells each member ({@link CHANNEL_DELETED}). Throws `channel_not_found`. */
  remove(idOrName: string, call?: CallContext): Promise<FanOut>;
}

// ---- topics ----------------------------------------------------------------------------------------------------------------

/** A subscription of an agent: by topic, by type of message, or both. It is kept until it is ended or the agent is removed. */
export const subscribeSchema = z
  .strictObject({
    agent: agentRefSchema,
    topic: topicPatternSchema.optional().meta({ example: 'orders.*' }),
    /** Type of the messages. */
    type: messageTypeSchema.optional(),
    where: messageConditionSchema.optional(),
  })
  .refine(({ topic, type }) => topic !== undefined || type !== undefined, {
    path: ['topic'],
    message: 'give topic (like orders.*), type or both',
  })
  .meta({ id: 'Subscribe' });
export type Subscribe = z.input<typeof subscribeSchema>;
export const unsubscribeSchema = z
  .strictObject({
    agent: agentRefSchema,
    topic: topicPatternSchema.optional(),
    type: messageTypeSchema.optional(),
  })
  .refine(({ topic, type }) => topic !== undefined || type !== undefined, {
    path: ['topic'],
    message: 'give what the subscription was made with: topic, type or both',
  })
  .meta({ id: 'Unsubscribe' });
export type Unsubscribe = z.input<typeof unsubscribeSchema>;

export const subscriptionSchema = z
  .object({
    agentId: agentIdSchema,
    topic: z.string().nullable(),
    type: z.string().nullable(),
    where: messageConditionSchema.optional(),
    since: z.string(),
  })
  .meta({ id: 'Subscription' });
export type Subscription = z.infer<typeof subscriptionSchema>;

// ---- sending ---------------------------------------------------------------------------------------------------------------

/** Whom a multicast reaches: the agents for which everything named holds. */
export const selectorSchema = z
  .strictObject({
    ids: z.array(agentIdSchema).min(1).max(MAX_JOIN).optional(),
    type: z.string().min(1).max(100).optional(),
    capability: capabilityRefSchema.optional(),
    /** Labels the agent has, with these values. */
    label: z
      .record(z.string().min(1).max(63), z.string().max(200))
      .refine((label) => Object.keys(label).length > 0, 'name at least one label')
      .optional(),
    /** A group, by id or name. */
    group: z.string().min(1).max(120).optional(),
  })
  .refine((selector) => Object.keys(selector).length > 0, {
    message: 'name at least one of ids, type, capability, label, group',
  })
  .meta({ id: 'Selector' });
export type Selector = z.infer<typeof selectorSchema>;

const content = {
  type: messageTypeSchema.meta({ example: 'summary.wanted' }),
  body: z.unknown().optional(),
  /** Stored until each receiver has handled it: at least once, with duplicates removed. Default: at most once. */
  durable: z.boolean().optional(),
};

const DEFAULT_ASK_MS = 5_000;

/** One message to be sent: the envelope of all five protocols. */
export const sendSchema = z
  .discriminatedUnion('protocol', [
    z.strictObject({ protocol: z.literal('direct'), to: agentRefSchema, ...content }),
    z.strictObject({ protocol: z.literal('broadcast'), channel: z.string().min(1).max(120), ...content }),
    z.strictObject({ protocol: z.literal('multicast'), select: selectorSchema, ...content }),
    z.strictObject({ protocol: z.literal('publish-subscribe'), topic: topicSchema, ...content }),
    z.strictObject({
      protocol: z.literal('request-response'),
      to: agentRefSchema,
      ...content,
      timeoutMs: z.number().min(1).max(600_000).default(DEFAULT_ASK_MS),
      /** The same id again within 10 minutes gives the first reply and does not ask again. */
      correlationId: z.string().min(1).max(200).optional(),
    }),
  ])
  .meta({ id: 'Send' });
export type SendMessage = z.input<typeof sendSchema>;

/** What became of a message to many. No claim of receipt: refusals are dead letters. */
export const fanOutSchema = z
  .object({
    /** The members it was sent to, as they were: the same id is the same set. */
    viewId: z.string(),
    /** To how many it was sent. */
    attempted: z.number().int(),
    /** How many were left out because their own `where` did not hold. */
    filtered: z.number().int(),
  })
  .meta({ id: 'FanOut' });
export type FanOut = z.infer<typeof fanOutSchema>;

export type SendResult =
  | ({ readonly protocol: 'direct' } & TellResult)
  | ({ readonly protocol: 'broadcast' | 'multicast' | 'publish-subscribe' } & FanOut)
  | {
      readonly protocol: 'request-response';
      readonly reply: unknown;
      /** The reply of an earlier question with the same id. */
      readonly replayed: boolean;
    };

/** Counted since this node began. */
export interface MessageStatistics {
  /** Messages sent through this node's doors and by its agents to many, by protocol; messages between two agents are counted by their metrics. */
  readonly sent: Readonly<Record<string, number>>;
  /** Single deliveries attempted for messages to many. */
  readonly attempted: number;
  /** Messages refused by a filter, and deliveries left out by the `where` of a member or subscription. */
  readonly filtered: { readonly refused: number; readonly leftOut: number };
  /** Replies that came after their question was over. */
  readonly lateReplies: number;
  /** Questions answered with the reply of an earlier one. */
  readonly replayedReplies: number;
  readonly deadLetters: Readonly<Record<string, number>>;
}

// ---- who offers what -------------------------------------------------------------------------------------------------------

export const offersSchema = z
  .object({
    capability: z.string(),
    /** Agents that offer it and take work now, on any node; in the order of their ids. */
    agents: z.array(agentIdSchema),
  })
  .meta({ id: 'Offers' });
export type Offers = z.infer<typeof offersSchema>;

/** A letter sent again. */
export interface Replay {
  readonly id: string;
  /** How often it has been sent again, this time included. */
  readonly replays: number;
  readonly result: TellResult;
}

/** A letter is sent again this often at most, so that poison cannot go round for ever. */
export const MAX_REPLAYS = 3;

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
   * Sends a letter again to its addressee, directly. Throws `dead_letter_not_found`, `replay_limit` after {@link MAX_REPLAYS} times,
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
