// How large a body is, near enough to refuse what is too large, without making text of it.

import { RuntimeError } from '../contracts/errors.ts';

/** Of one message's body: what is larger belongs into a store, and its address into the message. */
export const MAX_PAYLOAD_BYTES = 262_144;
const MAX_DEPTH = 256;

/**
 * Bytes of the body as JSON, roughly: text counts by character, binary data by byte. Stops as soon as it is beyond `limit`. What is
 * nested too deep to be carried counts as too large.
 */
export function payloadBytes(body: unknown, limit = Number.POSITIVE_INFINITY): number {
  let bytes = 0;
  const add = (value: unknown, depth: number): void => {
    if (bytes > limit) return;
    if (depth > MAX_DEPTH) {
      bytes = Number.POSITIVE_INFINITY;
      return;
    }
    switch (typeof value) {
      case 'string':
        bytes += value.length + 2;
        return;
      case 'object':
        if (value === null) bytes += 4;
        else if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) bytes += value.byteLength;
        else if (value instanceof Map || value instanceof Set) for (const item of value) add(item, depth + 1);
        else if (Array.isArray(value)) for (const item of value) add(item, depth + 1);
        else for (const key of Object.keys(value)) addField(key, (value as Record<string, unknown>)[key], depth);
        return;
      default:
        bytes += 8;
    }
  };
  const addField = (key: string, value: unknown, depth: number): void => {
    bytes += key.length + 4;
    add(value, depth + 1);
  };
  add(body, 0);
  return bytes;
}

/** @throws RuntimeError `payload_too_large` with details.limit. */
export function checkPayload(body: unknown, limit = MAX_PAYLOAD_BYTES): void {
  if (payloadBytes(body, limit) <= limit) return;
  throw new RuntimeError('payload_too_large', `body: expected at most ${limit} bytes; send a reference instead`, {
    details: { limit, issues: [{ path: 'body', message: `expected at most ${limit} bytes` }] },
  });
}
