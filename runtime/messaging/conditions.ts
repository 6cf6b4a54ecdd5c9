// Whether a condition holds for a message. Pure: no user code runs, and nothing is read but the message itself.

import { sameJson } from '../contracts/canonical-json.ts';
import { invalidInput } from '../contracts/validation.ts';
import type { Condition } from '../contracts/workflow.ts';

/** What conditions see of a message. */
export interface Judged {
  readonly type: string;
  readonly body: unknown;
  readonly from?: string | undefined;
  readonly topic?: string | undefined;
  readonly channel?: string | undefined;
}

export type Predicate = (message: Judged) => boolean;

const ROOTS = ['type', 'body', 'from', 'topic', 'channel'] as const;
const COMPARISONS = ['equals', 'notEquals', 'greaterThan', 'lessThan', 'exists', 'in'] as const;
const MAX_PARTS = 100;

/** @throws RuntimeError `invalid_input` naming the place below `field` and what would do. */
export function compileCondition(condition: Condition, field: string): Predicate {
  let parts = 0;
  const compile = (one: Condition, at: string): Predicate => {
    if (++parts > MAX_PARTS) throw invalidInput(field, `at most ${MAX_PARTS} parts`);
    if ('all' in one) {
      const all = one.all.map((part, index) => compile(part, `${at}.all.${index}`));
      return (message) => all.every((holds) => holds(message));
    }
    if ('any' in one) {
      const any = one.any.map((part, index) => compile(part, `${at}.any.${index}`));
      return (message) => any.some((holds) => holds(message));
    }
    if ('not' in one) {
      const holds = compile(one.not, `${at}.not`);
      return (message) => !holds(message);
    }
    return compileComparison(one, at);
  };
  return compile(condition, field);
}

type Comparison = Extract<Condition, { path: string }>;

function compileComparison(comparison: Comparison, at: string): Predicate {
  const path = comparison.path.split('.');
  const [root = ''] = path;
  if (!(ROOTS as readonly string[]).includes(root) || path.includes('')) {
    throw invalidInput(`${at}.path`, `expected a path like body.total, or one of ${ROOTS.join(', ')}`);
  }
  if (COMPARISONS.every((name) => comparison[name] === undefined))
    throw invalidInput(at, `compares nothing: give one of ${COMPARISONS.join(', ')}`);
  const { equals, notEquals, greaterThan, lessThan, exists, in: among } = comparison;
  return (message) => {
    const value = look(message, path);
    const present = value !== undefined;
    if (equals !== undefined && !(present && sameJson(value, equals))) return false;
    if (notEquals !== undefined && present && sameJson(value, notEquals)) return false;
    if (greaterThan !== undefined && !(typeof value === 'number' && value > greaterThan)) return false;
    if (lessThan !== undefined && !(typeof value === 'number' && value < lessThan)) return false;
    if (exists !== undefined && (present && value !== null) !== exists) return false;
    return among === undefined || (present && among.some((one) => sameJson(value, one)));
  };
}

function look(message: Judged, path: readonly string[]): unknown {
  let value: unknown = message;
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}
