// Identifiers: TypeIDs (a prefix and a UUIDv7 in Crockford base32) outside, plain uuids in the database.
// The only file that makes ids; time and randomness are arguments so that tests and replays are exact.

import { z } from 'zod';

/** The kinds of things that carry an id, by the prefix of their TypeID. */
export const ID_PREFIX = {
  agent: 'agt',
  task: 'tsk',
  workflow: 'wfl',
  message: 'msg',
  node: 'nod',
  event: 'evt',
  deadLetter: 'dlt',
  channel: 'chn',
} as const;

export type IdKind = keyof typeof ID_PREFIX;

/** A text that was checked to be an id of this kind. The field exists for the compiler only. */
export type Branded<Kind extends IdKind> = string & { readonly __id: Kind };

export type AgentId = Branded<'agent'>;
export type TaskId = Branded<'task'>;
export type WorkflowId = Branded<'workflow'>;
export type MessageId = Branded<'message'>;
export type NodeId = Branded<'node'>;
export type EventId = Branded<'event'>;
export type DeadLetterId = Branded<'deadLetter'>;
export type ChannelId = Branded<'channel'>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const ALPHABET_CODES = Uint8Array.from(ALPHABET, (digit) => digit.charCodeAt(0));
const HEX = '0123456789abcdef';
const HEX_CODES = Uint8Array.from(HEX, (digit) => digit.charCodeAt(0));
/** Value of a base32 digit by its character code. */
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => Math.max(0, ALPHABET.indexOf(String.fromCharCode(code))));
const DASH = 45;
const UUID_LENGTH = 36;
/** A byte as two hex digits. */
const BYTE_HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const UNDERSCORE = 95;
const DIGIT_0 = 48;
const LETTER_A = 97;
const SUFFIX = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Where new ids take their time (milliseconds since 1970) and their 10 random bytes from. */
export interface IdSource {
  readonly nowMs: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
}

export type NewId = <Kind extends IdKind>(kind: Kind) => Branded<Kind>;

/** A factory of ids that sort by creation time (RFC 9562, UUID version 7). */
export function createIdFactory({ nowMs, randomBytes }: IdSource): NewId {
  return (kind) => fromUuid(kind, uuidV7(nowMs(), randomBytes(10)));
}

/** A UUIDv7 in its canonical text form (RFC 9562, section 5.7). */
export function uuidV7(nowMs: number, random: Uint8Array): string {
  const time = Math.max(0, Math.floor(nowMs)).toString(16).padStart(12, '0').slice(-12);
  const version = ((random[0] ?? 0) & 0x0f) | 0x70;
  const variant = ((random[2] ?? 0) & 0x3f) | 0x80;
  return `${time.slice(0, 8)}-${time.slice(8)}-${BYTE_HEX[version]}${hexOf(random, 1, 2)}-${BYTE_HEX[variant]}${hexOf(random, 3, 4)}-${hexOf(random, 4, 10)}`;
}

function hexOf(bytes: Uint8Array, from: number, to: number): string {
  let hex = '';
  for (let at = from; at < to; at++) hex += BYTE_HEX[bytes[at] ?? 0];
  return hex;
}

/** The TypeID of a canonical (lower-case) uuid, e.g. `agt_01h455vb4pex5vsknk084sn02q`. */
export function fromUuid<Kind extends IdKind>(kind: Kind, uuid: string): Branded<Kind> {
  // 26 digits of 5 bits hold 130: the first digit carries only three. Hex digits are taken from the right, 4 bits each.
  // Made of character codes at once: digits added one by one leave a chain of 26 texts behind each id that is kept.
  const prefix = ID_PREFIX[kind];
  const codes: number[] = new Array(prefix.length + 27);
  let to = codes.length;
  let bits = 0;
  let held = 0;
  for (let at = uuid.length - 1; at >= 0; at--) {
    const code = uuid.charCodeAt(at);
    if (code === DASH) continue;
    bits |= (code < LETTER_A ? code - DIGIT_0 : code - LETTER_A + 10) << held;
    held += 4;
    if (held >= 5) {
      codes[--to] = ALPHABET_CODES[bits & 31] ?? 0;
      bits >>= 5;
      held -= 5;
    }
  }
  codes[--to] = ALPHABET_CODES[bits & 31] ?? 0;
  codes[--to] = UNDERSCORE;
  while (to > 0) codes[--to] = prefix.charCodeAt(to);
  return String.fromCharCode(...codes) as Branded<Kind>;
}

/** The database uuid of a TypeID. The id must be well formed: see {@link isId}. */
export function toUuid(id: string): string {
  const codes: number[] = new Array(UUID_LENGTH);
  let to = UUID_LENGTH;
  let bits = 0;
  let held = 0;
  const start = id.lastIndexOf('_') + 1;
  for (let at = id.length - 1; at >= start; at--) {
    bits |= (DIGITS[id.charCodeAt(at)] ?? 0) << held;
    held += 5;
    while (held >= 4 && to > 0) {
      codes[--to] = HEX_CODES[bits & 15] ?? 0;
      if (to === 24 || to === 19 || to === 14 || to === 9) codes[--to] = DASH;
      bits >>= 4;
      held -= 4;
    }
  }
  return String.fromCharCode(...codes);
}

/** Whether a text is a well-formed id of this kind. Nothing is looked up. */
export function isId<Kind extends IdKind>(kind: Kind, text: string): text is Branded<Kind> {
  const prefix = `${ID_PREFIX[kind]}_`;
  return text.startsWith(prefix) && SUFFIX.test(text.slice(prefix.length));
}

/** Whether a text is a canonical lower-case uuid. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

const idSchema = <Kind extends IdKind>(kind: Kind) =>
  z
    .custom<Branded<Kind>>((value) => typeof value === 'string' && isId(kind, value), {
      message: `expected an id like ${ID_PREFIX[kind]}_01h455vb4pex5vsknk084sn02q`,
    })
    .meta({ type: 'string', pattern: `^${ID_PREFIX[kind]}_[0-7][0-9a-hjkmnp-tv-z]{25}$` });

export const agentIdSchema = idSchema('agent');
export const taskIdSchema = idSchema('task');
export const workflowIdSchema = idSchema('workflow');
export const channelIdSchema = idSchema('channel');
