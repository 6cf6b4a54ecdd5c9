// Agents as seen from outside: the seven states, what they can do, their metrics, the shapes the API shows.

import { z } from 'zod';
import { type AgentId, agentIdSchema } from './ids.ts';

/** The lifecycle. `running` = at least one task in a handler. `error` = crashed, waiting for its supervisor. */
export const AGENT_STATES = ['created', 'initializing', 'idle', 'running', 'paused', 'error', 'terminated'] as const;
export const agentStateSchema = z.enum(AGENT_STATES);
export type AgentState = z.infer<typeof agentStateSchema>;

/** Events of the lifecycle machine, with the states each is legal in. Anything else is `illegal_transition`. */
export const LIFECYCLE_EVENTS = {
  initialize: ['created'],
  ready: ['initializing'],
  taskStarted: ['idle', 'running'],
  taskEnded: ['running'],
  pause: ['idle', 'running'],
  resume: ['paused', 'running'],
  crash: ['created', 'initializing', 'idle', 'running', 'paused'],
  restart: ['error'],
  terminate: ['created', 'initializing', 'idle', 'running', 'paused', 'error'],
} as const satisfies Record<string, readonly AgentState[]>;
export type LifecycleEvent = keyof typeof LIFECYCLE_EVENTS;

/** `dedicated`: a thread of its own, so that killing it has no collateral. */
export const isolationSchema = z.enum(['shared', 'dedicated']);
export type Isolation = z.infer<typeof isolationSchema>;

/** `domain.verb` in lower case, e.g. `document.search`. */
export const CAPABILITY_NAME = /^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/;
export const capabilityNameSchema = z.string().max(100).regex(CAPABILITY_NAME, 'expected a name like document.search');
/** A capability, optionally with its major version: `document.search` or `document.search@2`. */
export const capabilityRefSchema = z
  .string()
  .max(110)
  .regex(
    /^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+(@[1-9][0-9]{0,4})?$/,
    'expected a name like document.search or document.search@2',
  );

export const capabilityInfoSchema = z.object({
  name: capabilityNameSchema,
  version: z.number().int().min(1).max(99_999),
  description: z.string().optional(),
  /** JSON schemas (2020-12), made from the zod schemas of the module. */
  input: z.record(z.string(), z.unknown()).optional(),
  output: z.record(z.string(), z.unknown()).optional(),
});
export type CapabilityInfo = z.infer<typeof capabilityInfoSchema>;

/** The queue that holds the tasks of one capability and major version, or of one agent. */
export type Queue = string;
export const capabilityQueue = (name: string, version: number): Queue => `${name}@${version}`;
export const agentQueue = (id: AgentId): Queue => `agent:${id}`;

export const agentNameSchema = z
  .string()
  .min(1)
  .max(120)
  .regex(
    /^[\p{L}\p{N}\p{M}\p{Emoji}][^\p{Cc}/\\?#%]*$/u,
    'must start with a letter or digit and hold no control characters nor / \\ ? # %',
  );

const durationMs = z.number().min(0);
export const agentMetricsSchema = z
  .object({
    execution: z.object({
      started: z.number().int(),
      completed: z.number().int(),
      failed: z.number().int(),
      timedOut: z.number().int(),
      cancelled: z.number().int(),
      running: z.number().int(),
      p50Ms: durationMs,
      p95Ms: durationMs,
      byCapability: z.record(
        z.string(),
        z.object({ completed: z.number().int(), failed: z.number().int(), p50Ms: durationMs, p95Ms: durationMs }),
      ),
    }),
    communication: z.object({
      received: z.number().int(),
      sent: z.number().int(),
      replied: z.number().int(),
      refused: z.number().int(),
      errors: z.number().int(),
      /** From the sender's post to the handler's start. */
      deliveryP95Ms: durationMs,
    }),
    resources: z.object({
      mailbox: z.number().int(),
      mailboxCapacity: z.number().int(),
      /** Of the whole thread: V8 does not account heap by actor. */
      threadHeapBytes: z.number().int(),
      /** Of the thread's event loop, 0 to 1, since the last reading. */
      threadUtilization: z.number(),
    }),
    availability: z.object({
      uptimeMs: durationMs,
      restarts: z.number().int(),
      errors: z.number().int(),
      /** `busy`: working; `stuck`: no beat and no progress; `dead`: the thread is gone. */
      liveness: z.enum(['idle', 'busy', 'stuck', 'dead']),
      lastBeatAgoMs: durationMs,
    }),
  })
  .meta({ id: 'AgentMetrics' });
export type AgentMetrics = z.infer<typeof agentMetricsSchema>;

/** Names with values that a multicast can select by, like `{ team: 'red' }`. */
export const labelsSchema = z
  .record(
    z
      .string()
      .max(63)
      .regex(/^[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?$/, 'expected letters, digits, and . _ - between them'),
    z.string().max(200),
  )
  .refine((labels) => Object.keys(labels).length <= 64, 'at most 64 labels');
export type Labels = z.infer<typeof labelsSchema>;

/** An agent as the API shows it. */
export const agentViewSchema = z
  .object({
    id: agentIdSchema,
    type: z.string(),
    name: z.string(),
    state: agentStateSchema,
    capabilities: z.array(z.object({ name: z.string(), version: z.number().int() })),
    config: z.record(z.string(), z.unknown()),
    labels: labelsSchema.optional(),
    /** Labels that its node must have. */
    requires: labelsSchema.optional(),
    isolation: isolationSchema,
    /** The node that owns it, or null while none does. */
    node: z.string().nullable(),
    thread: z.number().int().nullable(),
    /** Why no node owns it yet, or that it sleeps until something is there for it. */
    waiting: z.string().optional(),
    /** Grows with every change of its specification; the ETag. */
    version: z.number().int(),
    createdAt: z.string(),
    /** Why it is in `error` or `terminated`. */
    reason: z.string().optional(),
    metrics: agentMetricsSchema.optional(),
  })
  .meta({ id: 'Agent' });
export type AgentView = z.infer<typeof agentViewSchema>;

/** Milliseconds until an idle agent is put to sleep; 0: never. */
export const passivateAfterSchema = z.number().int().min(0).max(2_147_483_647);

/** What `POST /api/agents/create` and `agents.spawn` take. */
export const createAgentSchema = z
  .strictObject({
    type: z.string().min(1).max(100).meta({ example: 'research' }),
    name: agentNameSchema.optional(),
    /** Names of the type's capabilities to offer; default all of them. */
    capabilities: z.array(capabilityNameSchema).min(1).max(100).optional(),
    config: z.record(z.string(), z.unknown()).optional(),
    labels: labelsSchema.optional(),
    /** Labels that its node must have, beside those its type requires: `{ gpu: 'true' }`. It waits until such a node is there. */
    requires: labelsSchema.optional(),
    /** Idle for this long it is put to sleep until something is there for it; 0: never. Default: as its type says. */
    passivateAfterMs: passivateAfterSchema.optional(),
    isolation: isolationSchema.optional(),
  })
  .meta({ id: 'CreateAgent' });
export type CreateAgent = z.infer<typeof createAgentSchema>;

/** What `PATCH /api/agents/{id}` takes: only what is named changes. */
export const updateAgentSchema = z
  .strictObject({
    config: z.record(z.string(), z.unknown()).optional(),
    capabilities: z.array(capabilityNameSchema).max(100).optional(),
    labels: labelsSchema.optional(),
    paused: z.boolean().optional(),
  })
  .refine((value) => Object.keys(value).length > 0, {
    message: 'name at least one of config, capabilities, labels, paused',
  })
  .meta({ id: 'UpdateAgent' });
export type UpdateAgent = z.infer<typeof updateAgentSchema>;
