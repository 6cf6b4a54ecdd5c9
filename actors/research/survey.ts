// A survey of a corpus: what is in it, what it speaks of, and which passages are (nearly) the same in several places.
// Every pair of passages is compared, which is work: it breathes, reports how far it is, and can be stopped.

import { z } from 'zod';
import { breathe, type Work } from '../work.ts';
import type { Corpus } from './documents.ts';
import { type Passage, plain } from './passages.ts';
import { term, words } from './terms.ts';

export const surveySchema = z
  .object({
    files: z.number().int(),
    skipped: z.array(z.object({ file: z.string(), reason: z.string() })),
    chars: z.number().int(),
    passages: z.number().int(),
    words: z.number().int(),
    byKind: z.record(z.string(), z.number().int()),
    /** What sets files apart: terms by frequency, weighted by how few files have them. */
    themes: z.array(z.object({ term: z.string(), count: z.number().int(), files: z.number().int() })),
    /** Groups of passages whose wording overlaps by four fifths or more, largest first. */
    repeats: z.array(
      z.object({
        text: z.string(),
        count: z.number().int(),
        places: z.array(z.object({ file: z.string(), line: z.number().int() })),
      }),
    ),
    repeatedPassages: z.number().int(),
    pairsCompared: z.number().int(),
  })
  .meta({ id: 'Survey' });
export type Survey = z.infer<typeof surveySchema>;

/** Jaccard similarity of two passages' shingles from which they count as the same. */
const SAME = 0.8;
const SHINGLE_WORDS = 3;
const MIN_WORDS = 8;
const MAX_THEMES = 15;
const MAX_REPEATS = 10;
const MAX_PLACES = 5;
const MAX_SKIPPED = 20;
const PAIRS_PER_BREATH = 200_000;
/** More passages than this are thinned: pairs grow with the square. */
const MAX_COMPARED = 6_000;

export async function surveyCorpus(corpus: Corpus, passages: readonly Passage[], work: Work): Promise<Survey> {
  const counted = countTerms(passages);
  const compared = await findRepeats(passages, work);
  work.progress(1, 'surveyed');
  const byKind: Record<string, number> = {};
  for (const document of corpus.documents) byKind[document.kind] = (byKind[document.kind] ?? 0) + 1;
  return {
    files: corpus.documents.length,
    skipped: corpus.skipped.slice(0, MAX_SKIPPED).map((one) => ({ ...one })),
    chars: corpus.bytes,
    passages: passages.length,
    words: counted.words,
    byKind,
    themes: counted.themes,
    ...compared,
  };
}

function countTerms(passages: readonly Passage[]): Pick<Survey, 'words' | 'themes'> {
  const found = new Map<string, { count: number; files: Set<string>; forms: Map<string, number> }>();
  let total = 0;
  for (const passage of passages) {
    if (passage.kind === 'code') continue;
    for (const word of words(plain(passage.text))) {
      total++;
      const stemmed = term(word);
      if (stemmed === undefined || /\d/.test(stemmed) || stemmed.length < 3) continue;
      const entry = found.get(stemmed) ?? { count: 0, files: new Set<string>(), forms: new Map<string, number>() };
      entry.count++;
      entry.files.add(passage.file);
      entry.forms.set(word, (entry.forms.get(word) ?? 0) + 1);
      found.set(stemmed, entry);
    }
  }
  const files = new Set(passages.map((passage) => passage.file)).size;
  const weight = (entry: { count: number; files: Set<string> }) => entry.count * Math.log(1 + files / entry.files.size);
  const themes = [...found.values()]
    .filter((entry) => entry.files.size > 1 || files === 1)
    .sort((a, b) => weight(b) - weight(a))
    .slice(0, MAX_THEMES)
    .map((entry) => ({ term: commonest(entry.forms), count: entry.count, files: entry.files.size }));
  return { words: total, themes };
}

const commonest = (forms: ReadonlyMap<string, number>): string => [...forms].sort((a, b) => b[1] - a[1])[0]?.[0] ?? '';

interface Shingled {
  readonly passage: Passage;
  /** Sorted ids of its shingles. */
  readonly ids: Uint32Array;
}

async function findRepeats(
  passages: readonly Passage[],
  work: Work,
): Promise<Pick<Survey, 'repeats' | 'repeatedPassages' | 'pairsCompared'>> {
  const shingled = shingle(passages)
    .slice(0, MAX_COMPARED)
    .sort((a, b) => a.ids.length - b.ids.length);
  const groups = new Map<number, number>();
  const rootOf = (at: number): number => {
    const up = groups.get(at);
    return up === undefined ? at : rootOf(up);
  };
  let compared = 0;
  let next = 0;
  for (const [at, one] of shingled.entries()) {
    for (let other = at + 1; other < shingled.length; other++) {
      const longer = shingled[other];
      // Sorted by length: beyond this the longer one is too long to be the same.
      if (!longer || one.ids.length < SAME * longer.ids.length) break;
      compared++;
      if (jaccard(one.ids, longer.ids) >= SAME && rootOf(at) !== rootOf(other)) groups.set(rootOf(other), rootOf(at));
    }
    if (compared >= next) {
      next = compared + PAIRS_PER_BREATH;
      work.progress(at / shingled.length, `comparing ${at}/${shingled.length} passages`);
      await breathe(work);
    }
  }
  const members = new Map<number, Passage[]>();
  for (const [at, { passage }] of shingled.entries()) {
    const root = rootOf(at);
    members.set(root, [...(members.get(root) ?? []), passage]);
  }
  const repeated = [...members.values()].filter((group) => group.length > 1).sort((a, b) => b.length - a.length);
  return {
    repeats: repeated.slice(0, MAX_REPEATS).map((group) => ({
      text: group[0]?.text ?? '',
      count: group.length,
      places: group.slice(0, MAX_PLACES).map(({ file, line }) => ({ file, line })),
    })),
    repeatedPassages: repeated.reduce((sum, group) => sum + group.length, 0),
    pairsCompared: compared,
  };
}

function shingle(passages: readonly Passage[]): Shingled[] {
  const known = new Map<string, number>();
  return passages.flatMap((passage) => {
    const all = words(passage.text);
    if (all.length < MIN_WORDS) return [];
    const ids = new Set<number>();
    for (let at = 0; at + SHINGLE_WORDS <= all.length; at++) {
      const text = all.slice(at, at + SHINGLE_WORDS).join(' ');
      const id = known.get(text) ?? known.size;
      known.set(text, id);
      ids.add(id);
    }
    return [{ passage, ids: Uint32Array.from(ids).sort() }];
  });
}

function jaccard(a: Uint32Array, b: Uint32Array): number {
  let both = 0;
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const left = a[i] ?? 0;
    const right = b[j] ?? 0;
    if (left === right) {
      both++;
      i++;
      j++;
    } else if (left < right) i++;
    else j++;
  }
  return both / (a.length + b.length - both);
}
