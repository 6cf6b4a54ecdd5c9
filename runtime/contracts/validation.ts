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
  const issues = placesOf(parsed.error).map(({ path, message }) => ({
    path: [...(field ? [field] : []), ...path].map(String).join('.'),
    message,
  }));
  throw invalidInputs(issues);
}

/** One place of a failed parse. */
export interface Place {
  readonly path: readonly PropertyKey[];
  readonly message: string;
}

/**
 * Where a failed parse went wrong, said so that it can be mended: of keys that are not known the key and not the object around it; of
 * alternatives what is wrong with the one that was meant, or all that would do.
 */
export const placesOf = ({ issues }: { readonly issues: readonly z.core.$ZodIssue[] }): Place[] =>
  issues.flatMap((issue) => placesOfIssue(issue, []));

function placesOfIssue(issue: z.core.$ZodIssue, above: readonly PropertyKey[]): Place[] {
  const path = [...above, ...issue.path];
  const { message } = issue;
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ path: [...path, key], message }));
  if (issue.code !== 'invalid_union' || issue.errors.length === 0) return [{ path, message }];
  const meant = issue.errors.filter((issues) => !issues.some((one) => one.path.length === 0));
  const [best, ...others] = meant.length > 0 ? meant : issue.errors.filter((issues) => !issues.some(isOfAnotherType));
  if (best && others.length === 0) return best.flatMap((one) => placesOfIssue(one, path));
  const messages = new Set(issue.errors.flatMap((issues) => issues.map((one) => whereOf(one) + one.message)));
  return [{ path, message: [...messages].slice(0, MOST_ALTERNATIVES).join(', or ') }];
}

const MOST_ALTERNATIVES = 10;

const isOfAnotherType = ({ code, path }: z.core.$ZodIssue): boolean => path.length === 0 && code === 'invalid_type';

const whereOf = ({ path }: z.core.$ZodIssue): string => (path.length === 0 ? '' : `${path.map(String).join('.')}: `);

/** The error for one bad field. */
export function invalidInput(path: string, message: string): RuntimeError {
  return invalidInputs([{ path, message }]);
}

function invalidInputs(issues: readonly InputIssue[]): RuntimeError {
  const first = issues[0];
  const where = first?.path ? `${first.path}: ` : '';
  return new RuntimeError('invalid_input', `${where}${first?.message ?? 'not valid'}`, { details: { issues } });
}
