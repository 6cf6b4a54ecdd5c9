// Whether a value survives being stored as jsonb and read again, unchanged: found before it is accepted, not in a failing commit.

import type { InputIssue } from '../contracts/validation.ts';

/** Deeper values overflow the stack of serialisers further down the line. */
const MAX_DEPTH = 64;
// biome-ignore lint/suspicious/noControlCharactersInRegex: U+0000 is what PostgreSQL cannot hold in jsonb
const UNSTORABLE_TEXT = /\u0000|[\uD800-\uDBFF](?![\uDC00-\uDFFF])|(?<![\uD800-\uDBFF])[\uDC00-\uDFFF]/;

interface Step {
  readonly value: unknown;
  readonly path: string;
  readonly depth: number;
}

/** The first thing in `root` that JSON or the database would refuse or silently change; undefined when there is none. */
export function findUnstorable(root: unknown, path: string): InputIssue | undefined {
  const open: Step[] = [{ value: root, path, depth: 0 }];
  for (let step = open.pop(); step; step = open.pop()) {
    const message = problemOf(step);
    if (message) return { path: step.path, message };
    if (typeof step.value !== 'object' || step.value === null) continue;
    for (const [key, value] of Object.entries(step.value)) {
      const below = `${step.path}.${key}`;
      if (UNSTORABLE_TEXT.test(key)) return { path: step.path, message: 'a key holds U+0000 or half a surrogate pair' };
      open.push({ value, path: below, depth: step.depth + 1 });
    }
  }
  return undefined;
}

function problemOf({ value, depth }: Step): string | undefined {
  switch (typeof value) {
    case 'string':
      return UNSTORABLE_TEXT.test(value) ? 'holds U+0000 or half a surrogate pair' : undefined;
    case 'number':
      return Number.isFinite(value) ? undefined : 'must be a finite number';
    case 'bigint':
    case 'function':
    case 'symbol':
      return `a ${typeof value} is no JSON value`;
    case 'object':
      if (value === null) return undefined;
      if (depth >= MAX_DEPTH) return `is nested deeper than ${MAX_DEPTH} levels or refers to itself`;
      return isPlain(value) ? undefined : 'must be a plain object or an array';
    default:
      return undefined;
  }
}

function isPlain(value: object): boolean {
  if (Array.isArray(value)) return true;
  if ('toJSON' in value && typeof value.toJSON === 'function') return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  // a plain object of another realm has a prototype without a prototype
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}
