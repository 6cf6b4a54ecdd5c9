// Hints as text, and text as hints: what comes from outside is checked, so that a stray message on the channel harms nobody.

import { z } from 'zod';
import type { Hint } from '../contracts/ports.ts';

const id = z.string().min(1).max(200);
const hintSchema: z.ZodType<Hint> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('queue'), queue: id }),
  z.strictObject({ type: z.literal('workflow'), workflowId: id }),
  z.strictObject({ type: z.literal('task-cancelled'), taskId: id }),
  z.strictObject({ type: z.literal('task-ended'), taskId: id }),
  z.strictObject({ type: z.literal('agent'), agentId: id }),
  z.strictObject({ type: z.literal('mail'), agentId: id }),
  z.strictObject({ type: z.literal('reply'), tenant: id, correlationId: id }),
]);
const batchSchema = z.array(hintSchema).max(10_000);

/** Hints of one turn as one text. */
export function encodeHints(hints: readonly Hint[]): string {
  return JSON.stringify(hints);
}

/** The hints of a text, or undefined when it is anything else. Never throws. */
export function decodeHints(text: string): readonly Hint[] | undefined {
  try {
    const parsed = batchSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}
