// What is done to a workflow that runs: signals, further items, questions to people and their answers, and running it again from a step.

import { z } from 'zod';
import { taskIdSchema, workflowIdSchema } from './ids.ts';

/** What `POST .../workflows/{id}/signals` takes. */
export const workflowSignalSchema = z
  .strictObject({
    key: z.string().min(1).max(200),
    value: z.unknown().optional(),
    /** Delivered once for each id. */
    id: z.string().min(1).max(200).optional(),
  })
  .meta({ id: 'WorkflowSignal' });
export type WorkflowSignal = z.input<typeof workflowSignalSchema>;

/** What `POST .../workflows/{id}/items` takes. */
export const appendItemsSchema = z
  .strictObject({
    items: z.array(z.unknown()).max(10_000).default([]),
    end: z.boolean().default(false),
    id: z.string().min(1).max(200).optional(),
  })
  .meta({ id: 'AppendItems' });
export type AppendItems = z.input<typeof appendItemsSchema>;

/** What `POST .../workflows/{id}/inputs/{step}` takes: `approved` for an approval, `value` for a question. */
export const inputAnswerSchema = z
  .strictObject({
    value: z.unknown().optional(),
    approved: z.boolean().optional(),
    comment: z.string().max(10_000).optional(),
    /** Of a step that runs more than once. Default: the round that is open. */
    round: z.number().int().min(0).optional(),
  })
  .meta({ id: 'InputAnswer' });
export type InputAnswer = z.input<typeof inputAnswerSchema>;

/** A question to a person. `closed`: the run no longer needs the answer. */
export const inputViewSchema = z
  .object({
    workflowId: workflowIdSchema,
    /** The run at the top, on which the question is listed too. */
    rootId: workflowIdSchema,
    step: z.string(),
    round: z.number().int(),
    kind: z.enum(['approval', 'input']),
    prompt: z.string(),
    schema: z.record(z.string(), z.unknown()).optional(),
    context: z.unknown().optional(),
    state: z.enum(['open', 'answered', 'closed']),
    value: z.unknown().optional(),
    answeredBy: z.string().nullable(),
    askedAt: z.string(),
    expiresAt: z.string(),
    endedAt: z.string().nullable(),
    /** Where to post the answer. */
    answerAt: z.string(),
    /** The handler of this task asks (`ctx.askHuman`), not the step itself. Such a question is listed while it is open. */
    taskId: taskIdSchema.optional(),
  })
  .meta({ id: 'WorkflowInput' });
export type InputView = z.infer<typeof inputViewSchema>;

/** What `POST .../workflows/{id}/fork` takes. */
export const forkWorkflowSchema = z
  .strictObject({
    /** Done anew, with everything that depends on it. Default: what had not completed. */
    fromStep: z.string().min(1).max(200).optional(),
    name: z.string().min(1).max(200).optional(),
    /** Default true. */
    start: z.boolean().optional(),
  })
  .meta({ id: 'ForkWorkflow' });
export type ForkWorkflow = z.input<typeof forkWorkflowSchema>;
