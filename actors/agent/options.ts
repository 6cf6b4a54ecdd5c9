// What a module says about its agent type, and the checks that refuse a bad definition when it is made, naming the field.

import { z } from 'zod';
import { CAPABILITY_NAME, isolationSchema, labelsSchema, passivateAfterSchema } from '../../runtime/contracts/agent.ts';
import { type Bid, CALL_FOR_BIDS, type CallForBids } from '../../runtime/contracts/coordination.ts';
import { type MailboxOptions, type Message, mailboxOptionsSchema } from '../../runtime/contracts/envelope.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { type SupervisionOptions, supervisionOptionsSchema } from '../../runtime/contracts/supervision.ts';
import type { Capability, CapabilityOptions } from './capability.ts';
import type { AgentContext, MessageContext, TaskContext } from './context.ts';
import { AGENT_EVENTS, type EventHandlers } from './events.ts';
import { pathText } from './validation.ts';

/** What a bidding agent knows of itself. */
export interface BidderSelf<Config = unknown> {
  readonly id: AgentId;
  readonly name: string;
  readonly type: string;
  readonly config: Config;
  /** Tasks in a handler, of at most `concurrency`. */
  readonly running: number;
  readonly concurrency: number;
  /** `running / concurrency`, 0 to 1. */
  readonly load: number;
  /** Names of the capabilities it offers now. */
  readonly capabilities: readonly string[];
  /** Median duration of the capability in question so far, 0 without any. */
  readonly p50Ms: number;
}

/** Answers with a bid, or null to refuse. */
export type BidFunction<Config = unknown> = (
  call: CallForBids,
  self: BidderSelf<Config>,
) => Bid | null | Promise<Bid | null>;

/** A handler of one message type: plain, or with a schema of the body. A value it returns answers an ask. */
export type OnEntry<Body, State, Config> =
  | ((message: Message, ctx: MessageContext<State, Config>) => unknown)
  | {
      /** A body that does not match is refused as `invalid_input` to an ask, dead-lettered as `filtered` otherwise. */
      readonly input: z.ZodType<Body>;
      handle(body: Body, ctx: MessageContext<State, Config>): unknown;
    };

export type ConfigSchema = z.ZodObject;
export type NoConfig = z.ZodObject<Record<never, never>>;

export interface AgentOptions<
  State,
  Schema extends ConfigSchema = NoConfig,
  Bodies extends Record<string, unknown> = Record<never, never>,
> {
  /** Unique among the modules of a node: letters, digits, `-`, `_`, `.`, starting with a letter. */
  readonly type: string;
  readonly description?: string;
  /** Schema of `config`, with its defaults. An agent whose config does not match is not initialised. Default: any object. */
  readonly config?: Schema;
  readonly mailbox?: MailboxOptions;
  readonly supervision?: SupervisionOptions;
  /** Default `shared`. */
  readonly isolation?: 'shared' | 'dedicated';
  /** Labels that a node must have to host its agents (`TROUPE_LABELS` there), like `{ gpu: 'true' }`. Default none. */
  readonly requires?: Readonly<Record<string, string>>;
  /**
   * Idle for this long an agent is put to sleep: its state is saved and it leaves memory until a message, a task or a timer is there for it.
   * 0 or absent: never. What it keeps outside of `state` is lost.
   */
  readonly passivateAfterMs?: number;
  /** Tasks at once, default 1. */
  readonly concurrency?: number;
  /** Keep messages in the mailbox while a task runs, instead of handling them between its awaits. Needs `concurrency: 1`. */
  readonly deferWhileRunning?: boolean;
  readonly bid?: BidFunction<z.output<NoInfer<Schema>>>;
  /** By name, e.g. `document.search`. */
  readonly capabilities?: Readonly<Record<string, Capability>>;
  readonly on?: { readonly [Type in keyof Bodies]: OnEntry<Bodies[Type], NoInfer<State>, z.output<NoInfer<Schema>>> };
  readonly events?: EventHandlers<NoInfer<State>, z.output<NoInfer<Schema>>>;
  /**
   * Says of every told message whether it may enter the mailbox; false, or an exception, refuses it to its sender as `filtered`. Runs in the
   * agent's thread, before the message waits, and sees nothing of the agent's state. Questions are not asked about.
   */
  readonly filter?: (message: Message) => boolean;
  /** Durable state of an agent that has never been saved: plain data, or a function that makes it. */
  readonly state?: State | (() => State);
  /** Runs before the first message and task; a rejection is `init_failed`, and the supervisor decides. */
  init?(ctx: AgentContext<NoInfer<State>, z.output<NoInfer<Schema>>>): unknown;
  /** Runs when the incarnation ends: at a stop, and after a crash that its thread survives. Not after a failed `init`. */
  terminate?(ctx: AgentContext<NoInfer<State>, z.output<NoInfer<Schema>>>): unknown;
}

/**
 * An agent with one capability, without the map around it. `description` tells of the capability too.
 * `{ capability: 'text.upper', input, output, handle }` is `{ capabilities: { 'text.upper': capability({ version: 1, input, output, handle }) } }`.
 */
export interface OneCapabilityOptions<
  Input extends z.ZodType,
  Output extends z.ZodType,
  State,
  Schema extends ConfigSchema = NoConfig,
  Bodies extends Record<string, unknown> = Record<never, never>,
> extends Omit<AgentOptions<State, Schema, Bodies>, 'capabilities'> {
  /** Its name, e.g. `text.upper`. */
  readonly capability: string;
  /** Default 1. */
  readonly version?: number;
  /** As {@link CapabilityOptions.input}. */
  readonly input: Input;
  /** As {@link CapabilityOptions.output}. */
  readonly output: Output;
  /** As {@link CapabilityOptions.handle}; state and config are typed. */
  handle(
    input: z.output<NoInfer<Input>>,
    ctx: TaskContext<NoInfer<State>, z.output<NoInfer<Schema>>>,
  ): z.input<NoInfer<Output>> | Promise<z.input<NoInfer<Output>>>;
  readonly capabilities?: never;
}

/** An agent type as the behaviour relies on it: checked, defaults filled in, types erased. */
export interface ResolvedAgent {
  readonly type: string;
  readonly description?: string;
  readonly config: z.ZodType;
  readonly mailbox: z.output<typeof mailboxOptionsSchema>;
  readonly supervision: z.output<typeof supervisionOptionsSchema>;
  readonly isolation: 'shared' | 'dedicated';
  readonly requires?: Readonly<Record<string, string>>;
  readonly passivateAfterMs?: number;
  readonly concurrency: number;
  readonly deferWhileRunning: boolean;
  readonly bid?: BidFunction;
  readonly capabilities: Readonly<Record<string, Capability>>;
  readonly on: Readonly<Record<string, OnEntry<unknown, unknown, unknown>>>;
  readonly events: EventHandlers<unknown, unknown>;
  readonly filter?: (message: Message) => boolean;
  readonly state?: unknown;
  readonly init?: (ctx: AgentContext) => unknown;
  readonly terminate?: (ctx: AgentContext) => unknown;
}

const func = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'expected a function');
const zodSchema = z.custom<z.ZodType>(
  (value) => typeof value === 'object' && value !== null && '_zod' in value,
  'expected a schema of zod 4',
);

export const actorTypeSchema = z
  .string()
  .max(100)
  .regex(/^[a-z][\w.-]*$/i, 'expected letters, digits, "-", "_" or ".", starting with a letter');

const capabilityOptionsSchema = z.strictObject({
  version: z.number().int().min(1).max(99_999),
  description: z.string().optional(),
  input: zodSchema,
  output: zodSchema,
  handle: func,
});

const agentOptionsSchema = z
  .strictObject({
    type: actorTypeSchema,
    description: z.string().optional(),
    config: zodSchema.default(() => z.record(z.string(), z.unknown())),
    mailbox: mailboxOptionsSchema.prefault({}),
    supervision: supervisionOptionsSchema.prefault({}),
    isolation: isolationSchema.default('shared'),
    requires: labelsSchema.optional(),
    passivateAfterMs: passivateAfterSchema.optional(),
    concurrency: z.number().int().min(1).max(10_000).default(1),
    deferWhileRunning: z.boolean().default(false),
    bid: func.optional(),
    capabilities: z
      .record(z.string().regex(CAPABILITY_NAME, 'expected a name like document.search'), capabilityOptionsSchema)
      .default({}),
    on: z
      .record(z.string().min(1).max(200), z.union([func, z.strictObject({ input: zodSchema, handle: func })]))
      .default({}),
    events: z.partialRecord(z.enum(AGENT_EVENTS), func).default({}),
    filter: func.optional(),
    state: z.unknown().optional(),
    init: func.optional(),
    terminate: func.optional(),
  })
  .refine((options) => !(options.deferWhileRunning && options.concurrency > 1), {
    path: ['deferWhileRunning'],
    message: 'needs concurrency 1: with more, the agent might never be without a running task',
  })
  .refine((options) => !(options.bid && CALL_FOR_BIDS in options.on), {
    path: ['on', CALL_FOR_BIDS],
    message: 'give bid or a handler of calls for bids, not both',
  })
  .refine((options) => !(options.bid && Object.keys(options.capabilities).length === 0), {
    path: ['bid'],
    message: 'an agent without capabilities has nothing to bid for',
  });

/**
 * Checks a definition and fills in its defaults.
 * @throws RuntimeError `config_invalid` naming the function, the field and what is allowed there.
 */
export function resolveAgent(options: unknown): ResolvedAgent {
  return checkOptions('defineAgent', agentOptionsSchema, asMap(options)) as unknown as ResolvedAgent;
}

/** The form with one capability as the form with a map of them. */
function asMap(options: unknown): unknown {
  if (typeof options !== 'object' || options === null || !('capability' in options)) return options;
  const { capability: name, version = 1, input, output, handle, ...rest } = options as Record<string, unknown>;
  if (rest.capabilities !== undefined) {
    const message = `defineAgent "${rest.type}": capability: give capability or capabilities, not both`;
    throw new RuntimeError('config_invalid', message, { details: { field: 'capability' } });
  }
  if (typeof name !== 'string' || !CAPABILITY_NAME.test(name)) {
    const message = `defineAgent "${rest.type}": capability: expected a name like document.search`;
    throw new RuntimeError('config_invalid', message, { details: { field: 'capability' } });
  }
  const { description } = rest;
  const bound = typeof handle === 'function' ? handle.bind(options) : handle;
  return {
    ...rest,
    capabilities: {
      [name]: { version, input, output, handle: bound, ...(description === undefined ? {} : { description }) },
    },
  };
}

/** @throws RuntimeError `config_invalid`. */
export function checkOptions<Schema extends z.ZodType>(by: string, schema: Schema, options: unknown): z.output<Schema> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = pathText(issue?.path ?? []);
  const type = typeof options === 'object' && options !== null && 'type' in options ? String(options.type) : '?';
  throw new RuntimeError('config_invalid', `${by} "${type}": ${path || 'options'}: ${issue?.message ?? 'invalid'}`, {
    details: {
      field: path,
      issues: parsed.error.issues.map(({ path: at, message }) => ({ path: pathText(at), message })),
    },
  });
}
