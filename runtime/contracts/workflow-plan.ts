// What can be said of a workflow before it runs: `POST /api/agents/workflows/plan`.

import { z } from 'zod';

const stepPlanSchema = z
  .object({
    id: z.string(),
    capability: z.string().optional(),
    /** Steps of one level could run together if all took equally long. */
    level: z.number().int(),
    /** As written; what its input, `when` and `forEach` refer to comes on top. */
    dependsOn: z.array(z.string()),
    /** All it depends on, without what follows from the rest (transitive reduction). */
    reducedDependsOn: z.array(z.string()),
    predictedMs: z.number(),
    /** `history`: median of recent tasks; `default`: nothing is known; `nested`: the plan of the run inside; `person`: nobody can say, 0. */
    basis: z.enum(['history', 'default', 'nested', 'person']),
    /** Tasks behind `history`. */
    samples: z.number().int().optional(),
  })
  .meta({ id: 'WorkflowPlanStep' });
export type StepPlan = z.infer<typeof stepPlanSchema>;

export const workflowPlanSchema = z
  .object({
    pattern: z.string(),
    selected: z.object({ from: z.string(), rule: z.string() }).optional(),
    steps: z.array(stepPlanSchema),
    levels: z.array(z.array(z.string())),
    /** The order of a sequential run. */
    order: z.array(z.string()),
    /** `step` need not name `dependsOn`: another of its dependencies needs it already. */
    redundantEdges: z.array(z.object({ step: z.string(), dependsOn: z.string() })),
    criticalPath: z.array(z.string()),
    predicted: z.object({
      /** One at a time. */
      sequentialMs: z.number(),
      /** Everything at once that may be: no schedule is shorter. */
      parallelMs: z.number(),
      speedup: z.number(),
      /** Under the pattern's own limit. */
      scheduledMs: z.number(),
      /** That limit; null: none. */
      concurrency: z.number().int().nullable(),
      basis: z.enum(['history', 'default', 'mixed']),
      /** What the figures leave out. */
      notes: z.array(z.string()),
    }),
    /** Most steps at once, when nothing limits them. */
    maxParallelism: z.number().int(),
  })
  .meta({ id: 'WorkflowPlan' });
export type WorkflowPlan = z.infer<typeof workflowPlanSchema>;
