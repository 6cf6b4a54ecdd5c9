// Workflows: several tasks under a pattern. The schemas of the API; the meaning is in patterns/.

import { z } from 'zod';
import { capabilityRefSchema } from './agent.ts';
import { wireErrorSchema } from './errors.ts';
import { workflowIdSchema } from './ids.ts';
import { retrySchema } from './task.ts';
import { usageSchema } from './usage.ts';

export { type Usage, usageSchema } from './usage.ts';

export const PATTERNS = [
  'sequential',
  'parallel',
  'pipeline',
  'hierarchical',
  'consensus',
  'auction',
  'swarm',
] as const;
export type Pattern = (typeof PATTERNS)[number];

export const WORKFLOW_STATES = ['created', 'running', 'paused', 'completed', 'partial', 'failed', 'cancelled'] as const;
export const workflowStateSchema = z.enum(WORKFLOW_STATES);
export type WorkflowState = z.infer<typeof workflowStateSchema>;
export const TERMINAL_WORKFLOW_STATES = ['completed', 'partial', 'failed', 'cancelled'] as const;
export const isTerminalWorkflow = (state: WorkflowState): boolean =>
  (TERMINAL_WORKFLOW_STATES as readonly string[]).includes(state);

const stepIdSchema = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/, 'letters, digits, _ and - only');

/** A comparison over an earlier result, or a combination of comparisons. `path` is `step.field.field`. */
export type Condition =
  | {
      path: string;
      equals?: unknown;
      notEquals?: unknown;
      greaterThan?: number;
      lessThan?: number;
      exists?: boolean;
      in?: unknown[];
    }
  | { all: Condition[] }
  | { any: Condition[] }
  | { not: Condition };

export const conditionSchema: z.ZodType<Condition> = z.lazy(() =>
  z.union([
    z.strictObject({
      path: z.string().min(1).max(500),
      equals: z.unknown().optional(),
      notEquals: z.unknown().optional(),
      greaterThan: z.number().optional(),
      lessThan: z.number().optional(),
      exists: z.boolean().optional(),
      in: z.array(z.unknown()).max(100).optional(),
    }),
    z.strictObject({ all: z.array(conditionSchema).min(1).max(20) }),
    z.strictObject({ any: z.array(conditionSchema).min(1).max(20) }),
    z.strictObject({ not: conditionSchema }),
  ]),
) as z.ZodType<Condition>;

/** Limits of a run and everything below it. What a step may use is reserved before it starts; what it used is settled when it ends. */
export const budgetSchema = z
  .strictObject({
    tokens: z.number().int().min(0).max(1e12).optional(),
    cost: z.number().min(0).max(1e12).optional(),
    calls: z.number().int().min(0).max(1e9).optional(),
    messages: z.number().int().min(0).max(1e9).optional(),
    /** From the start of the run, pauses included. */
    wallMs: z
      .number()
      .int()
      .min(1)
      .max(30 * 86_400_000)
      .optional(),
    /** Runs inside runs below this one. */
    depth: z.number().int().min(0).max(10).optional(),
    /** Reserved for each step that names no `reserve` of its own. Default: one call. */
    perStep: usageSchema.optional(),
    /** `stop`: end with `budget`; `degrade`: start nothing new, keep what is done, end `partial`; `ask`: pause and ask a person for more. */
    onBreach: z.enum(['stop', 'degrade', 'ask']).default('stop'),
  })
  .meta({ id: 'Budget' });
export type Budget = z.infer<typeof budgetSchema>;

const expiresMsSchema = z
  .number()
  .int()
  .min(1)
  .max(365 * 86_400_000);
const promptSchema = z.string().min(1).max(10_000);

/** A piece of work that a pattern hands out itself: like a task, without a place in a graph. */
export const participantSchema = z
  .strictObject({
    capability: capabilityRefSchema,
    input: z.unknown().optional(),
    timeoutMs: z.number().int().min(1).max(86_400_000).optional(),
    retry: retrySchema.optional(),
    priority: z.number().int().min(0).max(9).optional(),
    agentId: z.string().min(1).max(120).optional(),
    reserve: usageSchema.optional(),
  })
  .meta({ id: 'Participant' });
export type Participant = z.infer<typeof participantSchema>;

/** A stage of a pipeline. Inside `input`, `{ "$item": "field" }` is what the stage before gave (the item itself for the first), `{ "$index": true }` its number. */
export const stageSchema = z
  .strictObject({
    id: stepIdSchema,
    capability: capabilityRefSchema,
    /** Default: what the stage before gave. */
    input: z.unknown().optional(),
    /** Items it works on at once. */
    concurrency: z.number().int().min(1).max(1_000).default(1),
    /** Finished items of the stage before that may wait for this one; when it is full the stage before starts nothing. */
    buffer: z.number().int().min(1).max(10_000).default(8),
    timeoutMs: z.number().int().min(1).max(86_400_000).optional(),
    retry: retrySchema.optional(),
    priority: z.number().int().min(0).max(9).optional(),
    agentId: z.string().min(1).max(120).optional(),
    reserve: usageSchema.optional(),
  })
  .meta({ id: 'Stage' });
export type Stage = z.infer<typeof stageSchema>;

const STEP_KINDS = ['capability', 'workflow', 'approval', 'ask', 'signal'] as const;

/**
 * One task of a workflow: a capability, a nested workflow, an approval, a question to a person or a signal to wait for, exactly one of them. Anywhere inside `input`, `{ "$from": "step.field" }` stands for an earlier result;
 * `{ "$input": "field" }` for the workflow's own input;
 * under `forEach`, `{ "$item": "field" }` for the element and `{ "$index": true }` for its position.
 */
export const workflowTaskSchema = z
  .strictObject({
    id: stepIdSchema,
    capability: capabilityRefSchema.optional(),
    /** A whole workflow as this step, same schema as the body of create. Its `input` is this step's `input` unless it has one of its own. */
    workflow: z.record(z.string(), z.unknown()).optional(),
    /** A person says yes or no; no fails the step (`rejected`). */
    approval: z.strictObject({ prompt: promptSchema, expiresMs: expiresMsSchema.optional() }).optional(),
    /** A person gives a value that fits the JSON Schema; it is the step's result. */
    ask: z
      .strictObject({
        prompt: promptSchema,
        schema: z.record(z.string(), z.unknown()).optional(),
        expiresMs: expiresMsSchema.optional(),
      })
      .optional(),
    /**
     * Waits for the signal of this key; its value is the step's result. A signal is taken once and holds for the whole run: a step that
     * starts after it completes at once. Without it by `expiresMs` (default 7 days) the step fails (`input_expired`). Graphs only.
     */
    signal: z.strictObject({ key: z.string().min(1).max(200), expiresMs: expiresMsSchema.optional() }).optional(),
    input: z.unknown().optional(),
    dependsOn: z.array(stepIdSchema).max(10_000).default([]),
    timeoutMs: z.number().int().min(1).max(86_400_000).optional(),
    retry: retrySchema.optional(),
    priority: z.number().int().min(0).max(9).optional(),
    agentId: z.string().min(1).max(120).optional(),
    /** Runs only if it holds; else the step is skipped, and its dependants with it unless they depend on others too. */
    when: conditionSchema.optional(),
    /** Path of an array in an earlier result: one round of the step per element, the output is the array of results. */
    forEach: z.string().min(1).max(500).optional(),
    /** Runs again until the condition over its own result (`path` starts with this step's id) holds, at most `maxRounds` times. */
    loop: z.strictObject({ until: conditionSchema, maxRounds: z.number().int().min(1).max(1_000) }).optional(),
    /** Undo, run in reverse order of completion under `onFailure: "compensate"`; its input may refer to this step's result. */
    compensate: z.strictObject({ capability: capabilityRefSchema, input: z.unknown().optional() }).optional(),
    /** Reserved in the budget before it starts. Default: the budget's `perStep`. */
    reserve: usageSchema.optional(),
  })
  .refine((task) => STEP_KINDS.filter((kind) => task[kind] !== undefined).length === 1, {
    path: ['capability'],
    message: `give exactly one of ${STEP_KINDS.join(', ')}`,
  })
  .meta({ id: 'WorkflowTask' });
export type WorkflowTask = z.infer<typeof workflowTaskSchema>;

/** What `POST /api/agents/workflows/create` takes. `options` are validated by the pattern. */
export const createWorkflowSchema = z
  .strictObject({
    name: z.string().min(1).max(200).default('workflow'),
    pattern: z.string().min(1).max(50).default('sequential'),
    tasks: z.array(workflowTaskSchema).max(10_000).default([]),
    /** What the whole run works on; `{ "$input": "field" }` refers to it. */
    input: z.unknown().optional(),
    /** pipeline */
    stages: z.array(stageSchema).min(1).max(100).optional(),
    items: z.array(z.unknown()).max(100_000).optional(),
    /** pipeline: more items may be appended while it runs, until the source is closed. Default false. */
    open: z.boolean().optional(),
    /** hierarchical */
    goal: z.string().min(1).max(20_000).optional(),
    coordinator: participantSchema.optional(),
    /** consensus: what every voter is asked; `question` alone is short for the input `{ question }`. */
    task: participantSchema.optional(),
    question: z.string().min(1).max(20_000).optional(),
    voters: z
      .union([
        z.strictObject({ n: z.number().int().min(1).max(1_000) }),
        z.strictObject({ agents: z.array(z.string().min(1).max(120)).min(1).max(1_000) }),
      ])
      .optional(),
    /** swarm: a capability that answers `{ score }` for `{ ...input, x }` (or `path`); the lowest score wins. */
    objective: participantSchema.optional(),
    budget: budgetSchema.optional(),
    /** Outcomes are taken in the order their steps were started, so that the same seed gives the same history. Slower. Default false. */
    synchronous: z.boolean().optional(),
    options: z.record(z.string(), z.unknown()).default({}),
    onFailure: z.enum(['fail_fast', 'continue', 'compensate']).default('fail_fast'),
    deadlineMs: z
      .number()
      .int()
      .min(1)
      .max(30 * 86_400_000)
      .optional(),
    /** Seed of every random choice of the pattern. */
    seed: z
      .number()
      .int()
      .min(0)
      .max(2 ** 31 - 1)
      .default(1),
    idempotencyKey: z.string().min(1).max(255).optional(),
  })
  .meta({ id: 'CreateWorkflow' });
export type CreateWorkflow = z.input<typeof createWorkflowSchema>;
export type WorkflowSpec = Omit<z.infer<typeof createWorkflowSchema>, 'idempotencyKey'> & {
  /** How the pattern was chosen, when the body left it to `auto`. */
  readonly selected?: { readonly from: string; readonly rule: string };
};

export const stepViewSchema = z
  .object({
    id: z.string(),
    state: z.enum(['blocked', 'queued', 'running', 'waiting', 'completed', 'failed', 'skipped', 'cancelled']),
    round: z.number().int(),
    dependsOn: z.array(z.string()),
    capability: z.string().optional(),
    taskId: z.string().optional(),
    attempts: z.number().int().optional(),
    agentId: z.string().nullable().optional(),
    result: z.unknown().optional(),
    error: wireErrorSchema.optional(),
    reason: z.string().optional(),
    startedAt: z.string().nullable().optional(),
    endedAt: z.string().nullable().optional(),
    /** The run inside, of a step that is a workflow. */
    workflowId: z.string().optional(),
    detail: z.unknown().optional(),
  })
  .meta({ id: 'WorkflowStep' });

export const workflowMetricsSchema = z
  .object({
    wallMs: z.number(),
    workMs: z.number(),
    criticalPathMs: z.number(),
    criticalPath: z.array(z.string()),
    bottleneck: z.string().nullable(),
    speedup: z.number(),
    overheadMs: z.number(),
    amdahl: z
      .object({
        serialFraction: z.number().meta({ description: 'Critical path by work: what cannot be divided.' }),
        maxSpeedup: z.number().meta({ description: 'With any number of agents.' }),
        parallelism: z.number().int().meta({ description: 'Rounds that ran at once, at the busiest moment.' }),
        maxSpeedupAtParallelism: z.number().meta({ description: 'No schedule with that many at once is faster.' }),
        leastSpeedupAtParallelism: z
          .number()
          .meta({ description: 'A schedule that never idles while something is ready is at least as fast.' }),
      })
      .optional()
      .meta({ description: 'How much faster than one at a time the dependencies allow.' }),
    waits: z
      .object({
        queueMs: z.number().meta({ description: 'From the row of a task to its first handler.' }),
        coordinationMs: z.number().meta({ description: 'From the event that starts a task to its row.' }),
        humanMs: z.number().meta({ description: 'Questions to people.' }),
        pausedMs: z.number().meta({ description: 'Due while the run was paused.' }),
        budgetMs: z.number().meta({ description: 'Due while others held the budget.' }),
        retryMs: z
          .number()
          .meta({ description: 'Failed tries and the time until the next, from first start to last.' }),
      })
      .optional()
      .meta({
        description: 'Summed over all rounds, as work is. With one round at a time, waits and work are the wall time.',
      }),
    messages: z
      .object({
        total: z.number().int(),
        events: z.number().int(),
        dispatched: z.number().int(),
        calls: z.number().int(),
      })
      .optional()
      .meta({
        description:
          'What the coordination sent: events it took, rounds it started (tasks, runs inside, questions), calls for bids (one per agent).',
      }),
  })
  .meta({ id: 'WorkflowMetrics' });
export type WorkflowMetrics = z.infer<typeof workflowMetricsSchema>;

export const workflowViewSchema = z
  .object({
    id: workflowIdSchema,
    name: z.string(),
    pattern: z.string(),
    status: workflowStateSchema,
    stopReason: z.string().nullable(),
    progress: z.object({ done: z.number().int(), total: z.number().int() }),
    tasks: z
      .array(stepViewSchema)
      .meta({ description: 'Steps, at most 1,000 at once; `nextStep` leads to the next ones.' }),
    nextStep: z
      .string()
      .nullable()
      .optional()
      .meta({ description: '`stepsCursor` of the next page of steps; null: no more.' }),
    output: z.unknown().optional(),
    error: wireErrorSchema.optional(),
    decisions: z.string().meta({ description: 'Where the decision log is.' }),
    metrics: workflowMetricsSchema.optional(),
    /** The pattern's own picture: bid book, ballots, plan tree, swarm, queues of stages. */
    picture: z.unknown().optional(),
    /** Used and reserved so far, of a run with a budget. */
    budget: z.object({ limits: budgetSchema, used: usageSchema, reserved: usageSchema }).optional(),
    /** The run and step this one is a step of. */
    parent: z.object({ workflowId: workflowIdSchema, step: z.string(), round: z.number().int() }).optional(),
    /** The run this one was forked from, and the step from which it does everything anew. */
    forkOf: z.object({ workflowId: workflowIdSchema, fromStep: z.string().nullable() }).optional(),
    version: z.number().int(),
    createdAt: z.string(),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'Workflow' });
export type WorkflowView = z.infer<typeof workflowViewSchema>;

export const workflowSummarySchema = workflowViewSchema
  .omit({ tasks: true, nextStep: true, output: true, metrics: true, picture: true, budget: true })
  .meta({ id: 'WorkflowSummary' });
export type WorkflowSummary = z.infer<typeof workflowSummarySchema>;
