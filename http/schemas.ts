// Response shapes that the contracts know only as interfaces, for the OpenAPI page. Loose: a field more is no breach.

import { z } from 'zod';
import { agentViewSchema } from '../runtime/contracts/agent.ts';
import { wireErrorSchema } from '../runtime/contracts/errors.ts';
import { fanOutSchema } from '../runtime/contracts/messages.ts';
import { taskViewSchema } from '../runtime/contracts/task.ts';
import { workflowSummarySchema } from '../runtime/contracts/workflow.ts';

export const page = <Item extends z.ZodType>(id: string, item: Item) =>
  z.object({ items: z.array(item), nextCursor: z.string().nullable() }).meta({ id });
const counts = z.record(z.string(), z.number());

export const agentPageSchema = page('AgentPage', agentViewSchema);
export const taskPageSchema = page('TaskPage', taskViewSchema);
export const workflowPageSchema = page('WorkflowPage', workflowSummarySchema);

export const stuckSchema = z.object({ items: z.array(workflowSummarySchema) }).meta({ id: 'StuckWorkflows' });
const spread = z.object({ p50: z.number(), p95: z.number(), mean: z.number() });
export const statisticsSchema = z
  .object({
    withinMs: z.number(),
    patterns: z.array(
      z.object({
        pattern: z.string(),
        runs: z.number().int(),
        byStatus: counts,
        byStopReason: counts,
        wallMs: spread.nullable().meta({ description: 'Over completed and partial runs, from start to end.' }),
        speedup: spread.omit({ p95: true }).nullable().meta({ description: 'Work by wall time.' }),
        failures: counts.meta({ description: 'Error codes of failed runs.' }),
      }),
    ),
  })
  .meta({ id: 'WorkflowStatistics' });

export const batchSchema = z
  .object({
    items: z.array(
      z.union([
        z.object({ ok: z.literal(true), task: taskViewSchema }),
        z.object({ ok: z.literal(false), error: wireErrorSchema }),
      ]),
    ),
  })
  .meta({ id: 'TaskBatch', description: 'An answer per task, in the order of the request.' });

export const agentTypeSchema = z
  .looseObject({
    type: z.string(),
    kind: z.enum(['agent', 'actor']),
    capabilities: z.array(z.looseObject({ name: z.string(), version: z.number().int() })),
    active: z.boolean().meta({ description: 'Whether agents of this type can be created now.' }),
    defHash: z.string(),
  })
  .meta({ id: 'AgentType' });
export const agentTypesSchema = z.object({ items: z.array(agentTypeSchema) }).meta({ id: 'AgentTypes' });

export const removalSchema = z
  .object({
    id: z.string(),
    mode: z.enum(['drain', 'force']),
    tasksReassigned: z.array(z.string()),
    messagesDeadLettered: z.number().int(),
    afterMs: z.number(),
  })
  .meta({ id: 'RemovalReport' });

export const tellResultSchema = z
  .object({ outcome: z.literal('delivered'), via: z.string() })
  .meta({ id: 'TellResult', description: 'The message is in the mailbox.' });
export const storedTellSchema = z
  .object({ outcome: z.literal('stored'), messageId: z.string(), duplicate: z.boolean() })
  .meta({ id: 'StoredTell', description: 'The message is stored and will be handled, or become a dead letter.' });
export const tellAnswerSchema = z.union([tellResultSchema, storedTellSchema]);
export const replySchema = z.object({ reply: z.unknown() }).meta({ id: 'Reply' });

export const decisionsSchema = z
  .object({
    items: z.array(
      z.looseObject({
        seq: z.number().int(),
        at: z.string(),
        kind: z.string(),
        rule: z.string(),
        chosen: z.string(),
      }),
    ),
  })
  .meta({ id: 'Decisions' });

export const statusSchema = z
  .looseObject({
    status: z.enum(['starting', 'running', 'draining', 'stopped']),
    version: z.string(),
    node: z.string(),
    uptimeMs: z.number(),
    nodes: z.array(z.looseObject({ id: z.string(), alive: z.boolean(), draining: z.boolean() })),
    threads: z.array(z.looseObject({ thread: z.number().int(), liveness: z.string() })),
    agents: z.object({ total: z.number().int(), byState: counts, byType: counts }),
    tasks: z.object({
      byState: counts,
      queues: z.array(z.object({ queue: z.string(), queued: z.number(), oldestMs: z.number() })),
    }),
    dependencies: z.record(
      z.string(),
      z.object({ status: z.enum(['up', 'down', 'off']), detail: z.string().optional() }),
    ),
    tables: z.array(z.object({ table: z.string(), rows: z.number(), bytes: z.number() })),
  })
  .meta({ id: 'SystemStatus' });

export const nodesSchema = z
  .object({
    items: z.array(
      z.looseObject({
        id: z.string(),
        host: z.string(),
        pid: z.number().int(),
        state: z.enum(['active', 'draining', 'suspect']).meta({
          description: 'suspect: its lease has expired, and its work is about to be given to others.',
        }),
        self: z.boolean().meta({ description: 'The node that answers.' }),
        labels: z.record(z.string(), z.string()).meta({ description: 'What agents may require of it.' }),
        agents: z.number().int(),
        heartbeatAgeMs: z.number(),
        startedAt: z.string(),
      }),
    ),
    links: counts.meta({ description: 'What the links of the answering node to the others have carried.' }),
  })
  .meta({ id: 'Nodes' });

export const metricsSchema = z
  .object({
    agents: z.record(z.string(), z.unknown()),
    orchestration: z.record(z.string(), z.unknown()),
    workflows: z.record(z.string(), z.unknown()),
    process: counts,
  })
  .meta({ id: 'Metrics' });

export const stateSchema = z
  .object({ status: z.enum(['starting', 'running', 'draining', 'stopped']) })
  .meta({ id: 'NodeState' });

export const treeSchema = z
  .object({
    id: z.string(),
    kind: z.string(),
    state: z.string(),
    get children() {
      return z.array(treeSchema);
    },
  })
  .meta({ id: 'SupervisionTree' });

export const deadLetterSchema = z
  .looseObject({
    id: z.string(),
    reason: z.string(),
    to: z.string(),
    from: z.string().optional(),
    type: z.string(),
    messageId: z.string(),
    atMs: z.number(),
    replays: z.number().int(),
  })
  .meta({ id: 'DeadLetter' });
export const deadLettersSchema = page('DeadLetters', deadLetterSchema);
const tellOutcome = {
  outcome: z.enum(['delivered', 'refused', 'unknown']),
  via: z.string().optional(),
  reason: z.string().optional(),
};
export const replaySchema = z
  .object({ id: z.string(), replays: z.number().int(), result: z.object(tellOutcome) })
  .meta({ id: 'Replay' });

const toMany = (protocol: string) => fanOutSchema.extend({ protocol: z.literal(protocol) });
export const sentSchema = z
  .union([
    z.object({ protocol: z.literal('direct'), outcome: z.literal('delivered'), via: z.string() }),
    z.object({
      protocol: z.literal('direct'),
      outcome: z.literal('stored'),
      messageId: z.string(),
      duplicate: z.boolean(),
    }),
    z.object({ protocol: z.literal('request-response'), reply: z.unknown(), replayed: z.boolean() }),
    toMany('broadcast'),
    toMany('multicast'),
    toMany('publish-subscribe'),
  ])
  .meta({ id: 'Sent' });
export const messageStatisticsSchema = z
  .object({
    sent: counts,
    attempted: z.number().int(),
    filtered: z.object({ refused: z.number().int(), leftOut: z.number().int() }),
    lateReplies: z.number().int(),
    replayedReplies: z.number().int(),
    deadLetters: counts,
  })
  .meta({ id: 'MessageStatistics' });

export const readySchema = z.object({ ready: z.boolean(), reasons: z.array(z.string()) }).meta({ id: 'Readiness' });
export const liveSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Liveness' });
