// Messages by the five protocols as the doors see them: what is sent, what comes of it, channels, topics, filters, who offers what.
// The doors themselves are in messages-api.ts.

import { z } from 'zod';
import { agentNameSchema, capabilityRefSchema } from './agent.ts';
import type { StoredTell, TellResult } from './envelope.ts';
import { agentIdSchema, channelIdSchema } from './ids.ts';
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
  | ({ readonly protocol: 'direct' } & (TellResult | StoredTell))
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

/** A letter is sent again this often at most, so that poison cannot go round for ever. */
export const MAX_REPLAYS = 3;
