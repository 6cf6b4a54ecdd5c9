// From an answer to a ballot: the value at the path, brought into one form, so that equal votes are equal. Pure.

import { canonicalJson } from '../../runtime/contracts/canonical-json.ts';
import { descend, splitPath } from '../common/references.ts';
import type { ConsensusOptions } from './options.ts';

/** What a voter wants. `key` is the same for ballots that mean the same; of a ranking, `keys` are those of its options, best first. */
export interface Vote {
  readonly value: unknown;
  readonly key: string;
  readonly keys?: readonly string[];
}

export type Read = { readonly ok: true; readonly vote: Vote } | { readonly ok: false; readonly reason: Spoilt };
/** Why an answer is no valid ballot. */
export type Spoilt = 'no_ballot' | 'not_a_number' | 'not_a_ranking' | 'not_a_choice';

const spoilt = (reason: Spoilt): Read => ({ ok: false, reason });

/**
 * Text is trimmed, case-folded, its spaces collapsed; everything else is compared as canonical JSON.
 * A median takes numbers and texts that are one; a ranking takes an array that names each option once.
 */
export function readBallot({ rule, ballot, choices }: ConsensusOptions, answer: unknown): Read {
  const looked = descend(answer ?? null, ballot === undefined ? [] : splitPath(ballot));
  if (looked.type === 'absent' || looked.value === null) return spoilt('no_ballot');
  const { value } = looked;
  if (typeof rule === 'object' && 'median' in rule) return readNumber(value);
  const allowed = choices?.map(keyOf);
  if (typeof rule === 'object' && 'ranked' in rule) return readRanking(value, allowed);
  const key = keyOf(value);
  if (key === keyOf('')) return spoilt('no_ballot');
  return allowed && !allowed.includes(key) ? spoilt('not_a_choice') : { ok: true, vote: { value: tidy(value), key } };
}

/** The same for values that mean the same. */
export function keyOf(value: unknown): string {
  return canonicalJson(typeof value === 'string' ? squeeze(value).toLowerCase() : (value ?? null));
}

const squeeze = (text: string): string => text.normalize('NFC').trim().replace(/\s+/gu, ' ');
const tidy = (value: unknown): unknown => (typeof value === 'string' ? squeeze(value) : value);

function readNumber(value: unknown): Read {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) return spoilt('not_a_number');
  return { ok: true, vote: { value: number, key: canonicalJson(number) } };
}

const MAX_RANKED = 100;

function readRanking(value: unknown, allowed: readonly string[] | undefined): Read {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_RANKED) return spoilt('not_a_ranking');
  const keys = value.map(keyOf);
  if (new Set(keys).size < keys.length) return spoilt('not_a_ranking');
  if (allowed && keys.some((key) => !allowed.includes(key))) return spoilt('not_a_choice');
  return { ok: true, vote: { value: value.map(tidy), key: canonicalJson(keys), keys } };
}
