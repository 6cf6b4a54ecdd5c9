// Input from outside against a schema: the first words of every refusal.

import type { z } from 'zod';
import { RuntimeError } from './errors.ts';

/** One thing wrong with an input; `path` is dotted, empty for the whole. */
export interface InputIssue {
  readonly path: string;
  readonly message: string;
}

/**
 * The parsed input.
 * @throws RuntimeError `invalid_input` with `details.issues` ({@link InputIssue}); its message names the first field.
 */
export function parseInput<Schema extends z.ZodType>(schema: Schema, input: unknown, field = ''): z.output<Schema> {
  const parsed = schema.safeParse(input);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map((issue) => ({
    path: [...(field ? [field] : []), ...issue.path].map(String).join('.'),
    message: issue.message,
  }));
  throw invalidInputs(issues);
}

/** The error for one bad field. */
export function invalidInput(path: string, message: string): RuntimeError {
  return invalidInputs([{ path, message }]);
}

function invalidInputs(issues: readonly InputIssue[]): RuntimeError {
  const first = issues[0];
  const where = first?.path ? `${first.path}: ` : '';
  return new RuntimeError('invalid_input', `${where}${first?.message ?? 'not valid'}`, { details: { issues } });
}
