// What a node tells an inspector: the supervision tree as a flat list, one live feed of frames, one agent in full, threads, nodes, configuration.
// Everything here has passed redaction: bodies and contexts are bounded, and what looks like a secret is hidden.

import { z } from 'zod';
import { agentStateSchema, agentViewSchema } from './agent.ts';
import type { CallContext } from './call.ts';
import { PROTOCOLS } from './envelope.ts';
import { runtimeEventSchema } from './event.ts';

const count = z.number().int().min(0);
const counts = z.record(z.string(), count);

// ---- the tree ------------------------------------------------------------------------------------------------------------------

/** What a node of the tree is. `child` is a fixed part of a group, like the dispatcher. */
export const INSPECT_KINDS = [
  'root',
  'threads',
  'thread',
  'cluster',
  'agents',
  'agent',
  'workflows',
  'workflow',
  'step',
  'work',
  'edge',
  'child',
] as const;
export const inspectKindSchema = z.enum(INSPECT_KINDS);
export type InspectKind = z.infer<typeof inspectKindSchema>;

/**
 * One node of the supervision tree. Ids are paths that begin with the node: `NODE/root`, `NODE/threads`, `NODE/threads/2`, `NODE/agents`,
 * `NODE/agents/agt_...`, `NODE/workflows/wfl_.../STEP`. They stay the same over restarts: `incarnation`, `restarts` and `session` tell those.
 */
export const inspectNodeSchema = z
  .object({
    id: z.string(),
    /** Null for the root of each node. */
    parent: z.string().nullable(),
    kind: inspectKindSchema,
    /** For people: the name of an agent, the name of a group, `thread 2`. */
    name: z.string(),
    /** Of agents: their type. */
    type: z.string().optional(),
    /** Of agents one of the seven states; of threads idle, busy, stuck, dead; of others running, restarting, down ... */
    state: z.string(),
    node: z.string(),
    /** Where it lives; null while nowhere, and for what lives on the main thread. */
    thread: z.number().int().nullable(),
    incarnation: count.optional(),
    /** Prefix of the XState session ids of this incarnation: `NODE/THREAD/INCARNATION/ID`. */
    session: z.string().optional(),
    /** Restarts of every kind since it is in the tree; of `threads`: threads that died. */
    restarts: count,
    /** Failed incarnations. */
    errors: count.optional(),
    /** Messages that wait; of a thread: in all its mailboxes. Null where there is no mailbox. */
    mailbox: count.nullable(),
    /** How many nodes are directly below. */
    children: count,
    /** Id of the agent or workflow, or the number of the thread. */
    subject: z.string().optional(),
    /** Why it is in `error`, or has ended. */
    reason: z.string().optional(),
    /** Since when this incarnation is up (RFC 3339). */
    startedAt: z.string().optional(),
  })
  .meta({ id: 'InspectNode' });
export type InspectNode = z.infer<typeof inspectNodeSchema>;

/** Agents of the viewer's tenant on one node. */
export const inspectCountsSchema = z.object({
  total: count,
  byType: counts,
  byState: counts,
  /** `TYPE STATE` to how many: what a tree that is collapsed by type shows. */
  byTypeAndState: counts,
  restarts: count,
  workflows: count,
  threads: count,
});
export type InspectCounts = z.infer<typeof inspectCountsSchema>;

export interface InspectTreeQuery {
  /** Only this node. Default: all that can be reached. */
  readonly node?: string;
  /** Only what is directly below this node of the tree. */
  readonly parent?: string;
  readonly kind?: InspectKind;
  /** Of agents. */
  readonly type?: string;
  readonly state?: string;
  /** Only what lives in this thread. */
  readonly thread?: number;
  /** Text in its id, name or type, without regard to case. */
  readonly q?: string;
  /** 1 to 1,000, default 200. */
  readonly limit?: number;
  readonly cursor?: string;
}

export const inspectTreeSchema = z
  .object({
    /** The node that answers. */
    node: z.string(),
    /** Of each node in `items` or `counts`: grows with every change. Patches with a revision not above it are in this answer already. */
    revisions: z.record(z.string(), count),
    items: z.array(inspectNodeSchema),
    nextCursor: z.string().nullable(),
    /** How many fit the query, on all pages. */
    total: count,
    /** By node; whatever the query. */
    counts: z.record(z.string(), inspectCountsSchema),
    /** Nodes that did not answer in time, or cannot be reached (no Redis between them). */
    unreachable: z.array(z.string()),
  })
  .meta({ id: 'InspectTree' });
export type InspectTree = z.infer<typeof inspectTreeSchema>;

// ---- figures -------------------------------------------------------------------------------------------------------------------

export const threadFiguresSchema = z
  .object({
    node: z.string(),
    /** Its number; never used again. 0 is the main thread. */
    thread: z.number().int(),
    liveness: z.enum(['idle', 'busy', 'stuck', 'dead']),
    /** Of its event loop, 0 to 1, since its last beat. */
    utilization: z.number(),
    heapBytes: count,
    /** The most its heap may take; null where it is not known. */
    heapLimitBytes: count.nullable(),
    agents: count,
    /** Messages that wait in its mailboxes. */
    mailbox: count,
    lastBeatAgoMs: z.number(),
    /** Since it started. */
    messagesIn: count,
    messagesOut: count,
    /** Per second, since the last figures; 0 in the first. */
    inPerSecond: z.number(),
    outPerSecond: z.number(),
    dedicatedTo: z.string().optional(),
  })
  .meta({ id: 'ThreadFigures' });
export type ThreadFigures = z.infer<typeof threadFiguresSchema>;

export const threadDeathSchema = z.object({
  node: z.string(),
  thread: z.number().int(),
  at: z.string(),
  reason: z.string(),
  error: z.string().optional(),
  agents: count,
  detectedAfterMs: z.number(),
});
export type ThreadDeath = z.infer<typeof threadDeathSchema>;

export const inspectThreadsSchema = z
  .object({
    items: z.array(threadFiguresSchema),
    /** Threads that died (not drained), newest first, the last 50 of each node. */
    deaths: z.array(threadDeathSchema),
    /** Threads that died since the start of each node. */
    restarts: counts,
    unreachable: z.array(z.string()),
  })
  .meta({ id: 'InspectThreads' });
export type InspectThreads = z.infer<typeof inspectThreadsSchema>;

export const nodeFiguresSchema = z
  .object({
    node: z.string(),
    status: z.enum(['starting', 'running', 'draining', 'stopped']),
    uptimeMs: z.number(),
    rssBytes: count,
    heapBytes: count,
    /** Of the event loop of the main thread, 0 to 1, since the last figures. */
    utilization: z.number(),
    counts: inspectCountsSchema,
    tasks: z.object({
      /** Of the viewer's tenant in the database, as of at most two seconds ago; null where it is not known. */
      queued: count.nullable(),
      running: count.nullable(),
      oldestQueuedMs: z.number().nullable(),
      /** On this node, per second, since the last figures. */
      startedPerSecond: z.number(),
      completedPerSecond: z.number(),
      failedPerSecond: z.number(),
      /** From acceptance to start, over the last 30 s; null when nothing started. */
      queueWaitP95Ms: z.number().nullable(),
    }),
    messages: z.object({ inPerSecond: z.number(), outPerSecond: z.number(), deadLettersPerSecond: z.number() }),
  })
  .meta({ id: 'NodeFigures' });
export type NodeFigures = z.infer<typeof nodeFiguresSchema>;

export const inspectNodesSchema = z
  .object({
    items: z.array(
      z.object({
        id: z.string(),
        host: z.string(),
        pid: z.number().int(),
        state: z.enum(['active', 'draining', 'suspect']),
        self: z.boolean(),
        agents: count,
        heartbeatAgeMs: z.number(),
        startedAt: z.string(),
        /** Null when it cannot be reached: see `unreachable`. */
        figures: nodeFiguresSchema.nullable(),
      }),
    ),
    links: z.record(z.string(), z.number()),
    unreachable: z.array(z.string()),
  })
  .meta({ id: 'InspectNodes' });
export type InspectNodes = z.infer<typeof inspectNodesSchema>;

// ---- messages and XState inspection ---------------------------------------------------------------------------------------------

/** One message as the sequence diagram draws it. Told once, by the thread that handled it, or, where only its sender is watched, that sent it. */
export const messageRecordSchema = z
  .object({
    /** Grows per thread; with `node` and `thread` the record's own name. */
    seq: count,
    /** Milliseconds since 1970, with fractions, on one clock per node: when it reached its handler, or was sent (`seen: 'sent'`). */
    atMs: z.number(),
    /** When its frame was posted by the sender, where that is known. */
    sentAtMs: z.number().nullable(),
    node: z.string(),
    thread: z.number().int(),
    seen: z.enum(['handled', 'sent']),
    /** Agents; null: from outside the actor world. */
    from: z.string().nullable(),
    to: z.string().nullable(),
    kind: z.enum(['tell', 'ask', 'reply', 'error', 'durable']),
    protocol: z.enum(PROTOCOLS),
    type: z.string(),
    messageId: z.string().nullable(),
    /** Of an ask and its reply: the same text. */
    correlation: z.string().nullable(),
    /** Trace id of its `traceparent`: follows work across threads and nodes. */
    trace: z.string().nullable(),
    topic: z.string().nullable(),
    channel: z.string().nullable(),
    via: z.enum(['same-thread', 'message-port', 'redis', 'outside']),
    /** About how large its body is as JSON. */
    bytes: count,
    /** Redacted and bounded; absent when bodies were not asked for. */
    body: z.unknown().optional(),
  })
  .meta({ id: 'MessageRecord' });
export type MessageRecord = z.infer<typeof messageRecordSchema>;

const actorPlace = {
  /** `NODE/THREAD/INCARNATION/ID/x:n`; thread 0 is the main thread. */
  sessionId: z.string(),
  /** Milliseconds since 1970, as text: the form of Stately's inspector. */
  createdAt: z.string(),
  _version: z.string(),
  node: z.string(),
  thread: z.number().int(),
  /** The agent whose actor it is; null for the supervision tree of a node. */
  agent: z.string().nullable(),
};
const snapshot = z
  .object({ status: z.string(), value: z.unknown().optional(), context: z.unknown().optional() })
  .loose();
const xstateEvent = z.object({ type: z.string() }).loose();

/** The wire protocol of Stately's inspector, with where it comes from. */
export const xstateInspectionSchema = z
  .discriminatedUnion('type', [
    z.object({
      type: z.literal('@xstate.actor'),
      ...actorPlace,
      rootId: z.string(),
      parentId: z.string().optional(),
      name: z.string(),
      /** JSON text of the machine's configuration. */
      definition: z.string().optional(),
      snapshot,
    }),
    z.object({
      type: z.literal('@xstate.event'),
      ...actorPlace,
      rootId: z.string(),
      sourceId: z.string().optional(),
      event: xstateEvent,
    }),
    z.object({ type: z.literal('@xstate.snapshot'), ...actorPlace, rootId: z.string(), event: xstateEvent, snapshot }),
  ])
  .meta({ id: 'XStateInspection' });
export type XStateInspection = z.infer<typeof xstateInspectionSchema>;

// ---- focus and frames -----------------------------------------------------------------------------------------------------------

const agentRef = z.string().min(1).max(200);

/** What a viewer wants to hear beyond tree, figures and events. Replaces the focus it had. */
export const inspectFocusSchema = z
  .strictObject({
    /** Agents (id or name) whose `@xstate.*` events are wanted; `main` or `NODE/main` for the supervision tree itself. */
    actors: z.array(agentRef).max(50).default([]),
    /** Messages for the sequence diagram; null: none. Filters are combined with and, the entries of one with or. */
    messages: z
      .strictObject({
        /** Messages from or to these agents; empty: of all agents of the tenant, sampled. */
        agents: z.array(agentRef).max(50).default([]),
        /** Types; a trailing `*` stands for anything. */
        types: z.array(z.string().min(1).max(200)).max(20).default([]),
        /** A correlation, message id or trace id. */
        correlation: z.string().min(1).max(200).optional(),
        /** Most records a second of each thread; the rest is counted as dropped. */
        perSecond: z.number().int().min(1).max(1_000).default(200),
        bodies: z.boolean().default(true),
      })
      .nullable()
      .default(null),
    /** Ids of tree nodes on the screen: only their changes between idle and running, and their mailboxes, are told. Absent: all, up to 500 a frame. */
    rows: z.array(z.string().min(1).max(300)).max(500).optional(),
    /** Whether the event feed is wanted. */
    events: z.boolean().default(true),
  })
  .meta({ id: 'InspectFocus' });
export type InspectFocus = z.infer<typeof inspectFocusSchema>;
export type InspectFocusInput = z.input<typeof inspectFocusSchema>;

/** One frame of the live feed; over SSE its `type` is the event and itself the data. */
export const inspectFrameSchema = z
  .discriminatedUnion('type', [
    /** The first one. */
    z.object({
      type: z.literal('hello'),
      /** Name it to change the focus. */
      stream: z.string(),
      node: z.string(),
      /** All nodes of the cluster that are told of, the answering one first. */
      nodes: z.array(z.string()),
      unreachable: z.array(z.string()),
      revisions: z.record(z.string(), count),
      focus: inspectFocusSchema,
    }),
    /** What changed below one node since its frame before. Nodes of the tree come whole; `more`: not all fitted, the rest follows. */
    z.object({
      type: z.literal('tree'),
      node: z.string(),
      revision: count,
      set: z.array(inspectNodeSchema),
      removed: z.array(z.string()),
      counts: inspectCountsSchema,
      more: z.boolean(),
    }),
    /** Once a second. */
    z.object({
      type: z.literal('figures'),
      at: z.string(),
      nodes: z.array(nodeFiguresSchema),
      threads: z.array(threadFiguresSchema),
      /** The deepest mailboxes of each node, and those of the `rows`. */
      mailboxes: z.array(z.object({ node: z.string(), agent: z.string(), waiting: count })),
      unreachable: z.array(z.string()),
    }),
    z.object({
      type: z.literal('events'),
      items: z.array(runtimeEventSchema.extend({ node: z.string() })),
      /** Left out because there were too many, since the frame before. */
      dropped: count,
    }),
    z.object({ type: z.literal('actors'), items: z.array(xstateInspectionSchema), dropped: count }),
    z.object({ type: z.literal('messages'), items: z.array(messageRecordSchema), dropped: count }),
    /** The focus is now this; ids in the place of names, and who is not there. */
    z.object({ type: z.literal('focus'), focus: inspectFocusSchema, missing: z.array(z.string()) }),
    /** Nodes came or went. */
    z.object({ type: z.literal('nodes'), nodes: z.array(z.string()), unreachable: z.array(z.string()) }),
    /** Frames were lost (the viewer was too slow, or a node came back): read the tree again. With `end` the stream is over. */
    z.object({ type: z.literal('reset'), why: z.string(), end: z.boolean() }),
  ])
  .meta({ id: 'InspectFrame' });
export type InspectFrame = z.infer<typeof inspectFrameSchema>;

// ---- one agent ------------------------------------------------------------------------------------------------------------------

/** A statechart as JSON: the configuration of an XState machine with names in the place of functions. */
export const statechartSchema = z
  .object({
    id: z.string(),
    /** XState's own JSON: `initial`, `states`, `on`, `invoke`, nested. */
    definition: z.record(z.string(), z.unknown()),
    /** The current state as XState writes it: a name, or nested objects for nested and parallel states. */
    value: z.unknown(),
    /** Ids of the active state nodes within `definition`, dotted from the root: `active.waiting`. */
    active: z.array(z.string()),
    status: z.string(),
    /** Redacted and bounded. */
    context: z.unknown().optional(),
    /** Events that lead somewhere from here. */
    events: z.array(z.string()),
  })
  .meta({ id: 'Statechart' });
export type Statechart = z.infer<typeof statechartSchema>;

export const inspectedAgentSchema = z
  .object({
    agent: agentViewSchema,
    /** Its place in the tree; null while no node has it. */
    tree: inspectNodeSchema.nullable(),
    /** The seven states every agent has. */
    lifecycle: statechartSchema,
    /** Of actors made from a machine of the user: that machine. */
    machine: statechartSchema.nullable(),
    /** The agent's state (what `ctx.state` holds) or the machine's context; redacted and bounded. Null when it cannot be had. */
    context: z.unknown(),
    mailbox: z.object({
      waiting: count,
      capacity: count,
      overflow: z.string(),
      /** The first 20 that wait, oldest first. */
      first: z.array(
        z.object({
          type: z.string(),
          from: z.string().nullable(),
          protocol: z.enum(PROTOCOLS),
          messageId: z.string(),
          correlation: z.string().nullable(),
        }),
      ),
    }),
    /** Tasks in a handler now. */
    running: z.array(
      z.object({ taskId: z.string(), capability: z.string(), attempt: z.number().int(), runningMs: z.number() }),
    ),
    /** The last 100 messages from and to it that were recorded, oldest first. */
    messages: z.array(messageRecordSchema),
    /** Since when its messages are recorded: begins with the first look or focus, ends a minute after the last. */
    recordedSince: z.string().nullable(),
    /** The last 50 transitions this node saw, oldest first. */
    transitions: z.array(
      z.object({
        at: z.string(),
        from: agentStateSchema,
        to: agentStateSchema,
        cause: z.string(),
        incarnation: count,
        thread: z.number().int().nullable(),
        error: z.string().optional(),
      }),
    ),
    /** Its last 100 log lines on this node, oldest first. */
    log: z.array(
      z.object({
        at: z.string(),
        level: z.enum(['debug', 'info', 'warn', 'error']),
        message: z.string(),
        fields: z.record(z.string(), z.unknown()).optional(),
      }),
    ),
    /** Why the live part (context, mailbox, machine) is missing, e.g. its thread is stuck. */
    problem: z.string().nullable(),
  })
  .meta({ id: 'InspectedAgent' });
export type InspectedAgent = z.infer<typeof inspectedAgentSchema>;

// ---- profile and configuration ----------------------------------------------------------------------------------------------------

export const profileRequestSchema = z
  .strictObject({
    /** Default 5. */
    seconds: z.number().min(0.1).max(60).default(5),
    /** Between two samples, default 1,000. */
    intervalUs: z.number().int().min(100).max(100_000).default(1_000),
    /** Default: the node that answers. */
    node: z.string().min(1).max(200).optional(),
  })
  .meta({ id: 'ProfileRequest' });
export type ProfileRequest = z.infer<typeof profileRequestSchema>;

/** A `.cpuprofile`, as the DevTools of Chromium and VS Code open it. */
export const cpuProfileSchema = z
  .object({
    nodes: z.array(
      z
        .object({
          id: z.number().int(),
          callFrame: z.object({
            functionName: z.string(),
            scriptId: z.string(),
            url: z.string(),
            lineNumber: z.number().int(),
            columnNumber: z.number().int(),
          }),
          hitCount: z.number().int().optional(),
          children: z.array(z.number().int()).optional(),
        })
        .loose(),
    ),
    /** Microseconds. */
    startTime: z.number(),
    endTime: z.number(),
    samples: z.array(z.number().int()),
    timeDeltas: z.array(z.number()),
  })
  .meta({ id: 'CpuProfile' });
export type CpuProfile = z.infer<typeof cpuProfileSchema>;

export const inspectedConfigSchema = z
  .object({
    node: z.string(),
    version: z.string(),
    items: z.array(
      z.object({
        key: z.string(),
        /** The environment variable. */
        env: z.string(),
        about: z.string(),
        /** `(secret)` in the place of a secret; null when it is not set. */
        value: z.unknown(),
        secret: z.boolean(),
        /** Whether it has been given, or is the default. */
        isDefault: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'InspectedConfig' });
export type InspectedConfig = z.infer<typeof inspectedConfigSchema>;

// ---- the port -------------------------------------------------------------------------------------------------------------------

/** A live feed that somebody reads. */
export interface InspectFeed {
  readonly id: string;
  /** Ends when `signal` aborts, or after a `reset` with `end` when the reader was too slow. Read it once. */
  readonly frames: AsyncIterable<InspectFrame>;
}

/** What an inspector asks of the running system. Agents and workflows of other tenants do not exist for it. */
export interface InspectionApi {
  /** Throws `invalid_input` for a cursor that is none. */
  tree(query: InspectTreeQuery, call?: CallContext): Promise<InspectTree>;
  /** Throws `actor_not_found`. */
  agent(idOrName: string, call?: CallContext): Promise<InspectedAgent>;
  threads(call?: CallContext): Promise<InspectThreads>;
  nodes(call?: CallContext): Promise<InspectNodes>;
  /** Costs nothing to others until the focus names something. Names of agents that are not there are told in a `focus` frame, not thrown. */
  open(options: { focus?: InspectFocusInput; signal: AbortSignal }, call?: CallContext): InspectFeed;
  /** Throws `stream_not_found` when no such feed of this caller is open on this node. */
  focus(stream: string, focus: InspectFocusInput, call?: CallContext): Promise<InspectFocus>;
  /** One at a time per thread. Throws `thread_not_found`, `profile_running`, `thread_stuck`, `unreachable`. */
  profile(thread: number, request: ProfileRequest, call?: CallContext): Promise<CpuProfile>;
  config(): InspectedConfig;
}
