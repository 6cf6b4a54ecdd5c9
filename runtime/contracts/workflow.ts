// Workflows: several tasks under a pattern. The schemas of the API; the meaning is in patterns/.

import { z } from 'zod';
import { capabilityRefSchema } from './agent.ts';
import { wireErrorSchema } from './errors.ts';
import { workflowIdSchema } from './ids.ts';
import { retrySchema } from './task.ts';

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

/**
 * One task of a workflow. Anywhere inside `input`, `{ "$from": "step.field" }` stands for an earlier result;
 * under `forEach`, `{ "$item": "field" }` for the element and `{ "$index": true }` for its position.
 */
export const workflowTaskSchema = z
  .strictObject({
    id: stepIdSchema,
    capability: capabilityRefSchema,
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
  })
  .meta({ id: 'WorkflowTask' });
export type WorkflowTask = z.infer<typeof workflowTaskSchema>;

/** What `POST /api/agents/workflows/create` takes. `options` are validated by the pattern. */
export const createWorkflowSchema = z
  .strictObject({
    name: z.string().min(1).max(200).default('workflow'),
    pattern: z.string().min(1).max(50).default('sequential'),
    tasks: z.array(workflowTaskSchema).max(10_000).default([]),
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
export type WorkflowSpec = Omit<z.infer<typeof createWorkflowSchema>, 'idempotencyKey'>;

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
    tasks: z.array(stepViewSchema),
    output: z.unknown().optional(),
    error: wireErrorSchema.optional(),
    decisions: z.string().meta({ description: 'Where the decision log is.' }),
    metrics: workflowMetricsSchema.optional(),
    version: z.number().int(),
    createdAt: z.string(),
    startedAt: z.string().nullable(),
    endedAt: z.string().nullable(),
  })
  .meta({ id: 'Workflow' });
export type WorkflowView = z.infer<typeof workflowViewSchema>;

export const workflowSummarySchema = workflowViewSchema
  .omit({ tasks: true, output: true, metrics: true })
  .meta({ id: 'WorkflowSummary' });
export type WorkflowSummary = z.infer<typeof workflowSummarySchema>;
