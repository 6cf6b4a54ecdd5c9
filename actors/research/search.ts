// Ranks passages against a question by BM25 over text and heading, then spreads the answer over files.

import { z } from 'zod';
import { breathe, type Work } from '../work.ts';
import { type Passage, plain } from './passages.ts';
import { term, terms } from './terms.ts';

export const foundPassageSchema = z
  .object({
    file: z.string(),
    line: z.number().int().meta({ description: 'Where the passage starts, from 1.' }),
    section: z.string(),
    kind: z.enum(['prose', 'code', 'data']),
    quote: z.string().meta({ description: 'Verbatim in the file.' }),
    score: z.number(),
    terms: z.array(z.string()).meta({ description: 'Terms of the question that it holds.' }),
  })
  .meta({ id: 'FoundPassage' });
export type FoundPassage = z.infer<typeof foundPassageSchema>;

export interface SearchOptions {
  /** Default 8. */
  readonly limit?: number;
  /** Most passages of one file. Default 2. */
  readonly perFile?: number;
}

const PASSAGES_PER_BREATH = 500;
/** Code answers a question less often than prose does; a heading that names the subject is worth more than a word of text. */
const CODE_WEIGHT = 0.6;
const DATA_WEIGHT = 0.8;
const SECTION_BOOST = 1.6;
const FILE_BOOST = 0.8;

/** The best passages for a question. Equal texts are given once. */
export async function searchPassages(
  passages: readonly Passage[],
  question: string,
  options: SearchOptions,
  work: Work,
): Promise<FoundPassage[]> {
  const wanted = terms(question);
  if (wanted.length === 0) return [];
  const { default: MiniSearch } = await import('minisearch');
  const index = new MiniSearch<{ id: number; text: string; section: string; file: string }>({
    fields: ['text', 'section', 'file'],
    processTerm: (word) => term(word) ?? null,
    searchOptions: {
      boost: { section: SECTION_BOOST, file: FILE_BOOST },
      combineWith: 'OR',
      bm25: { k: 1.2, b: 0.6, d: 0.5 },
    },
  });
  for (const [id, passage] of passages.entries()) {
    if (id % PASSAGES_PER_BREATH === 0) {
      work.progress(id / passages.length, `indexing ${id}/${passages.length} passages`);
      await breathe(work);
    }
    index.add({ id, text: plain(passage.text), section: passage.section, file: passage.file });
  }
  const ranked = index
    .search(question)
    .flatMap((hit) => {
      const passage = passages[hit.id as number];
      return passage
        ? [
            {
              passage,
              terms: hit.queryTerms,
              score: hit.score * weight(passage, hit.queryTerms.length / wanted.length),
            },
          ]
        : [];
    })
    .sort((a, b) => b.score - a.score);
  work.progress(1, `${ranked.length} passages match`);
  return spread(ranked, options);
}

/** One frequent word repeated must not beat a passage that speaks of all of the question: coverage counts. */
function weight(passage: Passage, coverage: number): number {
  const kind = passage.kind === 'code' ? CODE_WEIGHT : passage.kind === 'data' ? DATA_WEIGHT : 1;
  return kind * (0.3 + 0.7 * coverage);
}

interface Ranked {
  readonly passage: Passage;
  readonly terms: readonly string[];
  readonly score: number;
}

function spread(ranked: readonly Ranked[], options: SearchOptions): FoundPassage[] {
  const limit = options.limit ?? 8;
  const perFile = options.perFile ?? 2;
  const taken = new Map<string, number>();
  const seen = new Set<string>();
  const found: FoundPassage[] = [];
  for (const { passage, terms: matched, score } of ranked) {
    if (found.length >= limit) break;
    const sameText = plain(passage.text).toLowerCase();
    const ofFile = taken.get(passage.file) ?? 0;
    if (seen.has(sameText) || ofFile >= perFile) continue;
    seen.add(sameText);
    taken.set(passage.file, ofFile + 1);
    const { file, line, section, kind, text } = passage;
    found.push({
      file,
      line,
      section,
      kind,
      quote: text,
      score: Math.round(score * 1_000) / 1_000,
      terms: [...matched],
    });
  }
  return found;
}
