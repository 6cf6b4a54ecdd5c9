// What a coordinator of a hierarchical workflow is told, and what it answers. The workflow checks the answer again: it comes from outside.

import { z } from 'zod';

const text = z.string().trim().min(2).max(1_000);

/** What can be worked on: the `input` of the workflow. Other fields are left alone. */
export const sourcesSchema = z.object({
  /** Folder or file of documents, below the folder of the research agent. */
  folder: z.string().min(1).max(4_096).optional(),
  documents: z
    .array(z.object({ name: z.string().min(1).max(1_000), text: z.string().max(2_000_000) }))
    .min(1)
    .max(1_000)
    .optional(),
  /** CSV files, below the folder of the analysis agent. */
  data: z.array(z.string().min(1).max(4_096)).max(20).default([]),
  /** What to search for. Default: the parts of the goal. */
  topics: z.array(text).max(20).optional(),
  /** What to check against the documents. */
  claims: z.array(text).max(100).default([]),
});
export type Sources = z.output<typeof sourcesSchema>;

export const resultSchema = z.object({
  id: z.string(),
  round: z.number().int().default(0),
  status: z.string(),
  result: z.unknown().optional(),
  error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean().default(true) }).optional(),
});
export type SubtaskResult = z.output<typeof resultSchema>;

export const planInputSchema = z.object({
  goal: z.string().min(1).max(20_000),
  round: z.number().int().min(0).default(0),
  depth: z.number().int().min(0).default(0),
  results: z.array(resultSchema).default([]),
  input: sourcesSchema.default({ data: [], claims: [] }),
  /** Why the last plan could not be carried out. */
  error: z.string().optional(),
  /** No further plan is carried out: make the best of what there is. */
  final: z.boolean().default(false),
  /** Which limit was met. */
  reason: z.string().optional(),
});
export type PlanInput = z.output<typeof planInputSchema>;

/** A subtask of a plan, as a workflow takes it. */
export interface PlannedTask {
  readonly id: string;
  readonly capability: string;
  readonly input: Record<string, unknown>;
}

const plannerSchema = z
  .object({ mode: z.enum(['model', 'rules']), reason: z.string() })
  .meta({ description: 'Who planned, and why.' });
export type Planner = z.output<typeof plannerSchema>;

export const planOutputSchema = z.union([
  z.object({ done: z.literal(true), output: z.unknown(), planner: plannerSchema }),
  z.object({
    tasks: z
      .array(z.object({ id: z.string(), capability: z.string(), input: z.record(z.string(), z.unknown()) }))
      .min(1),
    planner: plannerSchema,
  }),
]);
