// Questions that handlers of tasks ask people: what is asked, what comes back, and what the API shows of it.

import { z } from 'zod';
import { RuntimeError } from './errors.ts';
import { taskIdSchema, type WorkflowId, workflowIdSchema } from './ids.ts';

/** What `ctx.askHuman` takes. */
export const humanQuestionSchema = z.strictObject({
  prompt: z.string().min(1).max(10_000),
  /** JSON Schema (2020-12) of the answer. Default: anything. */
  schema: z.record(z.string(), z.unknown()).optional(),
  /** Default 7 days. */
  expiresMs: z
    .number()
    .int()
    .min(1)
    .max(365 * 86_400_000)
    .default(7 * 86_400_000),
});
export type AskHuman = z.input<typeof humanQuestionSchema>;
export type HumanQuestion = z.output<typeof humanQuestionSchema>;

/** What became of a question: an answer that fits its schema, or nobody answered in time. */
export type HumanAnswer = { readonly value: unknown } | { readonly expired: true };

/** The open question of a task that waits for its answer. */
export const taskInputSchema = z
  .object({
    taskId: taskIdSchema,
    /** Its number among the questions of this task, from 0. */
    question: z.number().int(),
    kind: z.literal('input'),
    prompt: z.string(),
    schema: z.record(z.string(), z.unknown()).optional(),
    state: z.literal('open'),
    askedAt: z.string(),
    expiresAt: z.string(),
    /** Where to post the answer. */
    answerAt: z.string(),
    /** The step of a run that the task is; absent: of none. */
    workflow: z
      .object({ id: workflowIdSchema, rootId: workflowIdSchema, step: z.string(), round: z.number().int() })
      .optional(),
  })
  .meta({ id: 'TaskInput' });
export type TaskInput = z.infer<typeof taskInputSchema>;

export interface TaskInputFilter {
  /** Of a run, with everything below it. */
  readonly workflowId?: WorkflowId;
  /** Only of tasks that are steps of runs, or only of those that are not. */
  readonly ofSteps?: boolean;
  /** Of that run itself. */
  readonly step?: string;
  readonly limit: number;
}

/** What `POST .../tasks/{id}/input` takes. `question` guards against answering a later question by mistake; default: the open one. */
export const taskAnswerSchema = z
  .strictObject({ value: z.unknown().optional(), question: z.number().int().min(0).optional() })
  .meta({ id: 'TaskAnswer' });
export type TaskAnswer = z.input<typeof taskAnswerSchema>;

/** Throws `invalid_input` for what is no JSON Schema. */
export function answerSchemaOf(schema: Readonly<Record<string, unknown>>): z.ZodType {
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  } catch (cause) {
    const message = 'schema: what the answer has to fit is no JSON Schema that can be checked';
    throw new RuntimeError('invalid_input', message, { cause });
  }
}
