// JSON as it comes from strangers: what JSON.parse would let pass silently is refused here, before any schema sees it.
// One pass over the text with an explicit stack, so depth costs no call stack.

import { EdgeError } from './problem.ts';

export const JSON_LIMITS = { depth: 32, keysPerObject: 1_000 } as const;

/** Under the `u` flag a pair is one code point, so only halves match. */
const LONE_SURROGATE = /\p{Cs}/u;

interface Frame {
  /** Keys seen so far; null in an array. */
  readonly keys: Set<string> | null;
  /** The key whose value is being read. */
  key: string;
  /** Whether the next string is a key. */
  expectsKey: boolean;
}

/**
 * The value of a JSON text.
 * @throws EdgeError `malformed_request` for what is no JSON, is nested deeper than 32 or repeats a key;
 * `invalid_input` for `__proto__`, `constructor.prototype`, NUL, a lone surrogate, an integer beyond 2^53, an object of over 1,000 keys.
 */
export function parseStrictJson(text: string): unknown {
  scan(text);
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformed('The body is not valid JSON.');
  }
}

function scan(text: string): void {
  const stack: Frame[] = [];
  let at = 0;
  while (at < text.length) {
    const char = text.charCodeAt(at);
    const top = stack.at(-1);
    if (char === 0x22) {
      const end = endOfString(text, at);
      const value = readString(text, at, end);
      if (top?.expectsKey) noteKey(stack, top, value);
      at = end;
    } else if (char === 0x7b || char === 0x5b) {
      if (stack.length >= JSON_LIMITS.depth) throw malformed(`The body is nested deeper than ${JSON_LIMITS.depth}.`);
      stack.push({ keys: char === 0x7b ? new Set() : null, key: '', expectsKey: char === 0x7b });
      at++;
    } else if (char === 0x7d || char === 0x5d) {
      stack.pop();
      at++;
    } else if (char === 0x2c) {
      if (top?.keys) top.expectsKey = true;
      at++;
    } else if (char === 0x2d || (char >= 0x30 && char <= 0x39)) {
      at = checkNumber(text, at);
    } else {
      at++; // white space, colons, literals: JSON.parse judges them
    }
  }
}

/** Index after the closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === 0x5c) at++;
    else if (char === 0x22) return at + 1;
  }
  throw malformed('The body is not valid JSON: a string does not end.');
}

function readString(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1);
  let value = raw;
  if (raw.includes('\\')) {
    try {
      value = JSON.parse(text.slice(start, end)) as string;
    } catch {
      throw malformed('The body is not valid JSON: a string has an unknown escape.');
    }
  }
  if (value.includes('\0')) throw refused('a string contains U+0000');
  if (LONE_SURROGATE.test(value)) throw refused('a string contains half of a surrogate pair');
  return value;
}

function noteKey(stack: readonly Frame[], frame: Frame, key: string): void {
  frame.expectsKey = false;
  if (frame.keys?.has(key)) throw malformed(`The key ${JSON.stringify(key.slice(0, 100))} is given twice.`);
  frame.keys?.add(key);
  frame.key = key;
  if (frame.keys && frame.keys.size > JSON_LIMITS.keysPerObject)
    throw refused(`an object has more than ${JSON_LIMITS.keysPerObject} keys`);
  if (key === '__proto__' || (key === 'prototype' && stack.at(-2)?.key === 'constructor'))
    throw refused(`the key ${key} is not allowed`);
}

const NUMBER = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;

function checkNumber(text: string, start: number): number {
  NUMBER.lastIndex = start;
  const match = NUMBER.exec(text);
  if (!match) return start + 1;
  const value = Number(match[0]);
  if (!Number.isFinite(value)) throw refused('a number is too large');
  const integer = match[1] === undefined && match[2] === undefined;
  if (integer && !Number.isSafeInteger(value))
    throw refused(`the integer ${match[0].slice(0, 40)} is not exact: send it as a string`);
  return NUMBER.lastIndex;
}

function malformed(detail: string): EdgeError {
  return new EdgeError('malformed_request', detail);
}

function refused(what: string): EdgeError {
  return new EdgeError('invalid_input', `The body is not accepted: ${what}.`, {
    errors: [{ path: '', message: what }],
  });
}
