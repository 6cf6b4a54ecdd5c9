// Makes anything loggable: plain data, bounded in depth and size, without secrets. Used by the logger for every field.

import { HIDDEN, withoutCredentials } from '../contracts/redaction.ts';

const SECRET_KEY = /pass(word|wd|phrase)?$|secret|token|authorization|cookie|api[-_]?key|credential|private[-_]?key/i;
const MAX_DEPTH = 6;
const MAX_ITEMS = 100;
const MAX_CHARS = 8_000;

/** A text with the credentials of URLs, bearer tokens and JWTs taken out, and cut to 8,000 characters. */
export function redactText(text: string): string {
  const cut = text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}...` : text;
  return withoutCredentials(cut);
}

/** Plain data of any value. Fields named like a secret are hidden whatever they hold; depth, items and texts are bounded. */
export function redact(value: unknown, depth = 0): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'bigint':
      return value.toString();
    case 'function':
    case 'symbol':
      return `(${typeof value})`;
    case 'object':
      break;
    default:
      return value;
  }
  if (value === null) return null;
  if (depth >= MAX_DEPTH) return '(deeper)';
  if (value instanceof Error) return redactError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '(invalid date)' : value.toISOString();
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => redact(item, depth + 1));
  if (ArrayBuffer.isView(value)) return `(${value.byteLength} bytes)`;
  return redactRecord(value as Record<string, unknown>, depth);
}

function redactRecord(record: Record<string, unknown>, depth: number): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  for (const key of Object.keys(record).slice(0, MAX_ITEMS)) {
    const value = record[key];
    if (value === undefined) continue;
    plain[key] =
      SECRET_KEY.test(key) && typeof value !== 'number' && typeof value !== 'boolean'
        ? HIDDEN
        : redact(value, depth + 1);
  }
  return plain;
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const own = error as Error & { code?: unknown; details?: unknown };
  return {
    name: error.name,
    message: redactText(error.message),
    ...(own.code === undefined ? {} : { code: redact(own.code, depth + 1) }),
    ...(own.details === undefined ? {} : { details: redact(own.details, depth + 1) }),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
  };
}
