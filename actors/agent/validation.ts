// zod at the borders of a handler: what the schema says becomes a typed error that names the path.

import { z } from 'zod';
import { type ErrorCode, RuntimeError } from '../../runtime/contracts/errors.ts';

export type Validated =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: RuntimeError };

/** Issues listed in an error; a body of a thousand wrong fields is told by its first ones. */
const MAX_ISSUES = 10;

/** Synchronous; throws `$ZodAsyncError` for schemas with asynchronous refinements: see {@link validateAsync}. */
export function validate(schema: z.ZodType, value: unknown, code: ErrorCode, what: string): Validated {
  const parsed = schema.safeParse(value);
  return parsed.success ? { ok: true, value: parsed.data } : refusal(parsed.error, code, what);
}

/** Runs synchronously where the schema can, so that the common case costs no turn of the event loop. */
export function validateAsync(
  schema: z.ZodType,
  value: unknown,
  code: ErrorCode,
  what: string,
): Validated | Promise<Validated> {
  try {
    return validate(schema, value, code, what);
  } catch (error) {
    if (!(error instanceof z.core.$ZodAsyncError)) throw error;
    return schema
      .safeParseAsync(value)
      .then((parsed) => (parsed.success ? { ok: true, value: parsed.data } : refusal(parsed.error, code, what)));
  }
}

function refusal(error: z.ZodError, code: ErrorCode, what: string): Validated {
  const issues = error.issues.slice(0, MAX_ISSUES).map(({ path, message }) => ({ path: pathText(path), message }));
  const first = issues[0] ?? { path: '', message: 'invalid' };
  const where = first.path === '' ? what : `${what}.${first.path}`;
  return {
    ok: false,
    error: new RuntimeError(code, `${where}: ${first.message}`, {
      details: { path: first.path, issues },
      retryable: false,
    }),
  };
}

/** `['items', 3, 'name']` as `items[3].name`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === 'number' ? `${text}[${part}]` : text === '' ? String(part) : `${text}.${String(part)}`,
    '',
  );
}
