// What a channel lets through: a schema of the body and a condition over the message, compiled once a view.

import { z } from 'zod';
import { RuntimeError } from '../contracts/errors.ts';
import type { MessageFilter } from '../contracts/messages.ts';
import { invalidInput, placesOf } from '../contracts/validation.ts';
import { compileCondition, type Judged } from './conditions.ts';

/** Undefined: it may pass. Else why not, with the places of the body at fault. */
export type Filter = (message: Judged) => Refusal | undefined;

export interface Refusal {
  readonly why: string;
  readonly issues: readonly { readonly path: string; readonly message: string }[];
}

const MAX_ISSUES = 10;
const MAX_SCHEMA_CHARS = 65_536;

/** @throws RuntimeError `invalid_input` naming `field.schema` or the place in `field.where`. */
export function compileFilter({ schema, where }: MessageFilter, field = 'filter'): Filter {
  const shape = schema === undefined ? undefined : bodySchema(schema, `${field}.schema`);
  const holds = where === undefined ? undefined : compileCondition(where, `${field}.where`);
  return (message) => {
    const parsed = shape?.safeParse(message.body);
    if (parsed && !parsed.success) {
      const issues = placesOf(parsed.error)
        .slice(0, MAX_ISSUES)
        .map(({ path, message: text }) => ({ path: ['body', ...path].map(String).join('.'), message: text }));
      const [first] = issues;
      return { why: first ? `${first.path}: ${first.message}` : 'the body does not fit', issues };
    }
    if (holds && !holds(message)) return { why: 'its condition does not hold', issues: [] };
    return undefined;
  };
}

function bodySchema(schema: Record<string, unknown>, field: string): z.ZodType {
  if (JSON.stringify(schema).length > MAX_SCHEMA_CHARS)
    throw invalidInput(field, `expected at most ${MAX_SCHEMA_CHARS} characters of JSON`);
  try {
    return z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw invalidInput(field, `is no JSON Schema that can be checked: ${why}`);
  }
}

/** What the sender of a refused message is told. */
export function filteredError(where: string, { why, issues }: Refusal): RuntimeError {
  return new RuntimeError('filtered', `${where} does not let the message through: ${why}`, {
    details: { reason: 'filtered', ...(issues.length > 0 ? { issues } : {}) },
  });
}
