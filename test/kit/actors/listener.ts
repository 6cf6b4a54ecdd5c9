// An agent that remembers what it heard and how, and speaks to many when it is told to.

import type { AgentContext } from '../../../actors/agent/context.ts';
import { defineAgent, z } from '../../../actors/index.ts';

interface Heard {
  readonly type: string;
  readonly body: unknown;
  readonly protocol: string;
  readonly topic?: string;
  readonly channel?: string;
  readonly from?: string;
  readonly hops?: number;
}

interface Memory {
  readonly heard: readonly Heard[];
  readonly deleted: readonly { name: string; viewId: string }[];
  readonly offers: readonly (readonly string[])[];
  readonly undelivered: readonly { reason: string; type: string }[];
}

const NOTHING: Memory = { heard: [], deleted: [], offers: [], undelivered: [] };
type Context = AgentContext<Memory>;

export const listener = defineAgent({
  type: 'listener',
  state: NOTHING,
  filter: ({ type, body }) => type !== 'news' || (body as { secret?: boolean } | undefined)?.secret !== true,
  on: {
    news: (message, ctx) => {
      const { type, body, protocol, topic, channel, from, hops } = message;
      const entry = { type, body, protocol, ...without({ topic, channel, from, hops }) } as Heard;
      ctx.state = { ...ctx.state, heard: [...ctx.state.heard, entry] };
    },
    order: {
      input: z.object({ total: z.number() }),
      handle: (body, ctx) => {
        const entry = { type: 'order', body, protocol: ctx.message.protocol };
        ctx.state = { ...ctx.state, heard: [...ctx.state.heard, entry] };
      },
    },
    /** Sends it on to the channel it came through. */
    echo: async (message, ctx) => {
      const entry = { type: 'echo', body: null, protocol: message.protocol, hops: message.hops ?? 0 };
      ctx.state = { ...ctx.state, heard: [...ctx.state.heard, entry] };
      if (message.channel) await ctx.broadcast(message.channel, 'echo').catch(() => undefined);
    },
    memory: (_message, ctx) => ctx.state,
    forget: (_message, ctx) => {
      ctx.state = NOTHING;
      return true;
    },
    do: {
      input: z.object({ what: z.string(), args: z.array(z.unknown()) }),
      handle: async ({ what, args }, ctx) => (await act(ctx as Context, what, args)) ?? null,
    },
  },
  events: {
    'channel.deleted': ({ name, viewId }, ctx) => {
      ctx.state = { ...ctx.state, deleted: [...ctx.state.deleted, { name, viewId }] };
    },
    offers: ({ agents }, ctx) => {
      ctx.state = { ...ctx.state, offers: [...ctx.state.offers, agents] };
    },
    undelivered: ({ letter }, ctx) => {
      const { reason, type } = letter;
      ctx.state = { ...ctx.state, undelivered: [...ctx.state.undelivered, { reason, type }] };
    },
  },
});

const MAY = [
  'broadcast',
  'multicast',
  'publish',
  'subscribe',
  'unsubscribe',
  'join',
  'leave',
  'tellConfirmed',
] as const;

async function act(ctx: Context, what: string, args: readonly unknown[]): Promise<unknown> {
  if (what === 'follow') return ctx.agents.follow(String(args[0]));
  if (what === 'tell') return ctx.tell(args[0] as Context['id'], String(args[1]), args[2]);
  const name = MAY.find((one) => one === what);
  if (!name) throw new Error(`cannot ${what}`);
  return (ctx[name] as (...given: readonly unknown[]) => Promise<unknown>).call(ctx, ...args);
}

const without = (fields: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
