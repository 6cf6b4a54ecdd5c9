// Checks a claim against sentences by rules, without a model: the same words with another number, another name, a negation or an
// opposite refute it; the same words alone support it; everything else is unknown. Meant to be cautious, not clever.

import { z } from 'zod';
import { plain } from './passages.ts';
import { stem, term, words } from './terms.ts';

export const verdictSchema = z.enum(['supported', 'refuted', 'unknown']);
export type Verdict = z.infer<typeof verdictSchema>;

export interface Evidence {
  readonly file: string;
  readonly line: number;
  /** Verbatim. */
  readonly text: string;
}

/** A sentence with the one before it: "It ends in the sea" speaks of what that one spoke of. */
export interface Statement extends Evidence {
  readonly before?: string;
}

export interface Finding {
  readonly verdict: Verdict;
  /** 0 to 1: the share of the claim's words that the sentence holds. */
  readonly confidence: number;
  readonly reason: string;
  readonly sources: readonly Evidence[];
}

/** Share of the claim's words that a sentence must hold to speak of the same thing. */
const SAME_SUBJECT = 0.7;
const MAX_SOURCES = 3;

/** Judges every sentence and keeps the best verdict; a sentence that says the claim outweighs one that only looks like a denial. */
export function verifyByRules(claim: string, sentences: readonly Statement[]): Finding {
  const wanted = read(claim);
  if (wanted.terms.size === 0)
    return { verdict: 'unknown', confidence: 0, reason: 'the claim has no words to look for', sources: [] };
  const judged = sentences
    .map((sentence) => ({ sentence, ...judge(wanted, readStatement(sentence)) }))
    .filter((one) => one.verdict !== 'unknown')
    .sort((a, b) => b.confidence - a.confidence || rank(a.verdict) - rank(b.verdict));
  const best = judged[0];
  if (!best) return { verdict: 'unknown', confidence: 0, reason: 'no sentence speaks of all of it', sources: [] };
  const sources = judged.filter((one) => one.verdict === best.verdict).slice(0, MAX_SOURCES);
  return {
    verdict: best.verdict,
    confidence: Math.round(best.confidence * 1_000) / 1_000,
    reason: best.reason,
    sources: sources.map(({ sentence: { file, line, text } }) => ({ file, line, text })),
  };
}

const rank = (verdict: Verdict): number => (verdict === 'supported' ? 0 : 1);

interface Reading {
  readonly terms: ReadonlySet<string>;
  readonly numbers: ReadonlySet<number>;
  readonly negated: boolean;
  /** Stems of words that are written like names. */
  readonly names: ReadonlySet<string>;
}

const NEGATIONS = new Set(['not', 'no', 'never', 'none', 'cannot', 'without', 'neither', 'nor', 'nothing', 'nobody']);
const NUMBER_WORDS = [
  'zero',
  'one',
  'two',
  'three',
  'four',
  'five',
  'six',
  'seven',
  'eight',
  'nine',
  'ten',
  'eleven',
  'twelve',
];
const NUMBER = /\d[\d,]*(?:\.\d+)?/g;

function read(text: string): Reading {
  const bare = plain(text);
  const all = words(bare);
  const numbers = new Set((bare.match(NUMBER) ?? []).map((digits) => Number(digits.replaceAll(',', ''))));
  for (const word of all) if (NUMBER_WORDS.includes(word)) numbers.add(NUMBER_WORDS.indexOf(word));
  const isNumber = (word: string) => /^\d/.test(word) || NUMBER_WORDS.includes(word);
  const negations = all.filter((word) => NEGATIONS.has(word) || /n['’]t$/.test(word)).length;
  return {
    terms: new Set(all.flatMap((word) => (isNumber(word) || NEGATIONS.has(word) ? [] : (termToJudge(word) ?? [])))),
    numbers,
    negated: negations % 2 === 1,
    names: namesOf(bare),
  };
}

/** `before` and `after` say nothing to a search, but all to a claim. */
function termToJudge(word: string): string | undefined {
  const stemmed = stem(word);
  return OPPOSITES.has(stemmed) ? stemmed : term(word);
}

const PRONOUN = /^\W*(it|its|they|their|he|his|she|her|this|these)\b/i;

function readStatement(statement: Statement): Reading {
  const reading = read(statement.text);
  if (statement.before === undefined || !PRONOUN.test(statement.text)) return reading;
  const { names } = read(statement.before);
  return { ...reading, terms: new Set([...reading.terms, ...names]), names: new Set([...reading.names, ...names]) };
}

function namesOf(text: string): ReadonlySet<string> {
  const tokens = text.match(/[\p{L}\p{N}]+/gu) ?? [];
  return new Set(
    tokens
      .slice(1)
      .filter((token) => /^\p{Lu}/u.test(token))
      .map((token) => stem(token.toLowerCase())),
  );
}

interface Judgement {
  readonly verdict: Verdict;
  readonly confidence: number;
  readonly reason: string;
}

const UNKNOWN: Judgement = { verdict: 'unknown', confidence: 0, reason: '' };

function judge(claim: Reading, sentence: Reading): Judgement {
  const missing = [...claim.terms].filter((one) => !sentence.terms.has(one));
  const opposite = missing.find((one) => OPPOSITES.get(one)?.some((other) => sentence.terms.has(other)));
  const same = (claim.terms.size - missing.length + (opposite ? 1 : 0)) / claim.terms.size;
  const otherName = nameInstead(claim, sentence, missing);
  if (otherName) return { verdict: 'refuted', confidence: 0.9 * same, reason: `it names ${otherName} instead` };
  if (same < SAME_SUBJECT) return UNKNOWN;
  if (opposite) return { verdict: 'refuted', confidence: same, reason: `it says the opposite of "${opposite}"` };
  if (claim.negated !== sentence.negated)
    return { verdict: 'refuted', confidence: same, reason: 'one of the two is a negation' };
  const wrong = [...claim.numbers].filter((number) => !sentence.numbers.has(number));
  if (wrong.length > 0) {
    if (sentence.numbers.size === 0) return UNKNOWN;
    return {
      verdict: 'refuted',
      confidence: same,
      reason: `it does not say ${wrong.join(', ')} but ${[...sentence.numbers].join(', ')}`,
    };
  }
  return { verdict: 'supported', confidence: same, reason: 'a sentence says the same' };
}

/** Everything but one name agrees, and the sentence has a name in its place. */
function nameInstead(claim: Reading, sentence: Reading, missing: readonly string[]): string | undefined {
  const [only] = missing;
  if (missing.length !== 1 || only === undefined || !claim.names.has(only) || claim.terms.size < 3) return undefined;
  return [...sentence.names].find((name) => !claim.terms.has(name));
}

const OPPOSITES = new Map<string, string[]>();
for (const pair of [
  'increase decrease',
  'rise fall',
  'rising falling',
  'more less',
  'higher lower',
  'high low',
  'highest lowest',
  'first last',
  'before after',
  'always never',
  'allow forbid',
  'allowed forbidden',
  'enabled disabled',
  'enable disable',
  'synchronous asynchronous',
  'faster slower',
  'fast slow',
  'largest smallest',
  'larger smaller',
  'large small',
  'open closed',
  'start stop',
  'accept reject',
  'required optional',
  'mutable immutable',
  'public private',
  'true false',
  'above below',
  'maximum minimum',
  'warm cold',
  'warmest coldest',
  'wettest driest',
  'safe unsafe',
  'blocking nonblocking',
  'stable unstable',
  'north south',
  'east west',
  'oldest newest',
  'longer shorter',
  'longest shortest',
]) {
  const [one, other] = pair.split(' ').map((word) => stem(word));
  if (one === undefined || other === undefined) continue;
  OPPOSITES.set(one, [...(OPPOSITES.get(one) ?? []), other]);
  OPPOSITES.set(other, [...(OPPOSITES.get(other) ?? []), one]);
}
