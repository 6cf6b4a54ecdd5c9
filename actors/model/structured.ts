// Structured output: an answer that fits a schema, one repair turn, then a typed failure.

import { z } from 'zod';
import { RuntimeError, TaskError } from '../../runtime/contracts/errors.ts';
import type { Model } from './model.ts';
import type { ChatMessage, ChatRequest } from './model-client.ts';

const MAX_SHOWN_CHARS = 500;

export interface StructuredRequest<Output> {
  readonly schema: z.ZodType<Output>;
  readonly messages: readonly ChatMessage[];
  readonly options?: Omit<ChatRequest, 'model' | 'messages' | 'format'>;
}

/**
 * Asks for JSON of a schema. An answer that does not fit is shown to the model once with what is wrong.
 * @throws RuntimeError `invalid_output` (details.issues, details.answer) when the second answer does not fit either.
 */
export async function askStructured<Output>(model: Model, request: StructuredRequest<Output>): Promise<Output> {
  const format = z.toJSONSchema(request.schema, { io: 'input' }) as Record<string, unknown>;
  const first = await model.chat({ ...request.options, messages: request.messages, format });
  const tried = read(first.text, request.schema);
  if (tried.ok) return tried.value;
  const repair: ChatMessage[] = [
    ...request.messages,
    { role: 'assistant', content: first.text },
    {
      role: 'user',
      content: `That does not fit the schema: ${tried.issues}. Answer again with the corrected JSON only.`,
    },
  ];
  const second = await model.chat({ ...request.options, messages: repair, format });
  const mended = read(second.text, request.schema);
  if (mended.ok) return mended.value;
  throw new RuntimeError('invalid_output', `${model.name} gave no valid answer after one repair: ${mended.issues}`, {
    details: { issues: mended.issues, answer: second.text.slice(0, MAX_SHOWN_CHARS) },
  });
}

type Read<Output> = { readonly ok: true; readonly value: Output } | { readonly ok: false; readonly issues: string };

function read<Output>(text: string, schema: z.ZodType<Output>): Read<Output> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { ok: false, issues: `not JSON (${error instanceof Error ? error.message : String(error)})` };
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return { ok: true, value: parsed.data };
  return {
    ok: false,
    issues: parsed.error.issues.map((issue) => `${issue.path.join('.') || '(root)'}: ${issue.message}`).join('; '),
  };
}

/**
 * The schema that a caller gave as JSON schema.
 * @throws TaskError `invalid_schema`
 */
export function schemaFromJson(schema: Record<string, unknown>): z.ZodType<unknown> {
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new TaskError('invalid_schema', `schema: ${why}`, { retryable: false });
  }
}
