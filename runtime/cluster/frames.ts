// What two nodes say to each other: the shape of a frame and of what it carries, and the check of what came in. A frame is
// [sequence, base, taken, answers, parcels, names]; sequence 0 carries no parcels and is never sent again. Ids and message types, which most
// parcels of a frame share, stand in it once: a parcel has their places among the names.

import { deserialize, serialize } from 'node:v8';
import { z } from 'zod';
import { DEAD_LETTER_REASONS, type DeadLetterReason, PROTOCOLS, type Protocol } from '../contracts/envelope.ts';
import { isPlain } from '../transport/plain.ts';

/** to, from, type, body, protocol, extras */
export const TELL = 1;
/** to, from, type, body, protocol, extras, ask, timeoutMs */
export const ASK = 2;
/** ask, body */
export const REPLY = 3;
/** ask, error */
export const FAIL = 4;
/** topic, body */
export const CAST = 5;
/** topic, body, ask, timeoutMs */
export const CALL = 6;

/** Fields of a tell or an ask that are kept as names: to, from, type. */
const TO = 1;
const TYPE = 3;

/** Added to an operation whose body is a structured clone as bytes. */
const CLONED = 8;
/** Where the body of each operation is. */
const BODY_AT: readonly number[] = [0, 4, 4, 2, 2, 2, 2];

/** What became of a parcel that was not taken: why, and more for people. `gone`: its addressee does not live there. */
export type Refusal = readonly [index: number, reason: DeadLetterReason | 'gone', detail?: string];
/** Of one batch: its sequence and what was refused of it. The others were taken. */
export type BatchAnswer = readonly [sequence: number, refused: readonly Refusal[]];
/** Made anew whenever it is packed: who packs it may change it. */
export type Parcel = unknown[];
export type Frame = readonly [
  sequence: number,
  /** The oldest batch that its sender still waits for: older ones are over. */
  base: number,
  /** The newest batch of the other side that was taken, none before it is missing. */
  taken: number,
  answers: readonly BatchAnswer[],
  parcels: readonly Parcel[],
  names: readonly string[],
];

const count = z.number().int().min(0);
const refusalSchema = z
  .tuple([count, z.enum([...DEAD_LETTER_REASONS, 'gone'])])
  .or(z.tuple([count, z.enum([...DEAD_LETTER_REASONS, 'gone']), z.string().max(1_000)]));
const headSchema = z.tuple([count, count, count, z.array(z.tuple([count, z.array(refusalSchema)]))]);

/** The frame, or undefined when it is none. Bodies are given back as they were. Never throws. */
export function readFrame(value: unknown): Frame | undefined {
  if (!Array.isArray(value) || value.length !== 6 || !Array.isArray(value[4])) return undefined;
  if (!headSchema.safeParse(value.slice(0, 4)).success) return undefined;
  const names = value[5] as unknown;
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) return undefined;
  const parcels = value[4] as unknown[];
  for (let at = 0; at < parcels.length; at++) {
    const parcel = readParcel(parcels[at], names);
    if (!parcel) return undefined;
    parcels[at] = parcel;
  }
  return value as unknown as Frame;
}

/** Written out: it runs for every message. */
function readParcel(value: unknown, names: readonly string[]): Parcel | undefined {
  if (!Array.isArray(value) || typeof value[0] !== 'number') return undefined;
  const cloned = value[0] >= CLONED;
  const op = cloned ? value[0] - CLONED : value[0];
  if (op === TELL || op === ASK) {
    for (let at = TO; at <= TYPE; at++) if (typeof value[at] === 'number') value[at] = names[value[at]];
  }
  if (!isParcel(op, value)) return undefined;
  if (!cloned) return value;
  try {
    const at = BODY_AT[op] ?? 0;
    const parcel = [...value];
    parcel[0] = op;
    parcel[at] = deserialize(value[at] as Uint8Array);
    return parcel;
  } catch {
    return undefined;
  }
}

function isParcel(op: number, value: readonly unknown[]): boolean {
  switch (op) {
    case TELL:
      return isMail(value);
    case ASK:
      return isMail(value) && isAsk(value[7]) && isDuration(value[8]);
    case REPLY:
      return isAsk(value[1]);
    case FAIL:
      return isAsk(value[1]) && typeof value[2] === 'object' && value[2] !== null;
    case CAST:
      return typeof value[1] === 'string';
    case CALL:
      return typeof value[1] === 'string' && isAsk(value[3]) && isDuration(value[4]);
    default:
      return false;
  }
}

function isMail(value: readonly unknown[]): boolean {
  return (
    typeof value[1] === 'string' &&
    (value[2] === null || typeof value[2] === 'string') &&
    typeof value[3] === 'string' &&
    (value[5] === null || PROTOCOLS.includes(value[5] as Protocol)) &&
    (value[6] === null || areExtras(value[6]))
  );
}

/** What few messages carry. */
export interface Extras {
  readonly traceparent?: string;
  readonly topic?: string;
  readonly channel?: string;
  readonly hops?: number;
}

function areExtras(value: unknown): value is Extras {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).every(([name, field]) =>
    name === 'hops' ? isAsk(field) : ['traceparent', 'topic', 'channel'].includes(name) && typeof field === 'string',
  );
}

const isAsk = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) > 0;
const isDuration = (value: unknown): boolean => Number.isFinite(value) && (value as number) > 0;

/** The names of one frame, each once. */
export class Names {
  readonly all: string[] = [];
  readonly #places = new Map<string, number>();

  /** Puts places among the names into a tell or an ask; the parcel is changed. */
  shorten(parcel: unknown[]): void {
    const op = parcel[0] as number;
    if ((op & ~CLONED) !== TELL && (op & ~CLONED) !== ASK) return;
    for (let at = TO; at <= TYPE; at++)
      if (typeof parcel[at] === 'string') parcel[at] = this.#place(parcel[at] as string);
  }

  #place(name: string): number {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = this.all.length;
      this.all.push(name);
      this.#places.set(name, place);
    }
    return place;
  }
}

/** The parcel as the codec can carry it. Throws a DataCloneError when nothing can carry its body. */
export function portableParcel(parcel: unknown[]): unknown[] {
  const op = parcel[0] as number;
  const at = BODY_AT[op] ?? 0;
  if (isPlain(parcel[at])) return parcel;
  const carried = [...parcel];
  carried[0] = op + CLONED;
  carried[at] = serialize(parcel[at]);
  return carried;
}
