// Sentences, facts and entities by rules. A fact is a sentence that states something of something and can be checked.

import { z } from 'zod';
import { type Passage, plain } from './passages.ts';
import { coverage, sentencesOf } from './sentences.ts';
import { terms as termsOf } from './terms.ts';

const placed = {
  file: z.string(),
  line: z.number().int(),
  text: z.string().meta({ description: 'Verbatim in the file.' }),
};

export const extractionSchema = z
  .object({
    sentences: z.array(z.object(placed)),
    facts: z.array(z.object({ ...placed, section: z.string(), numbers: z.array(z.string()), score: z.number() })),
    entities: z.array(
      z.object({
        text: z.string(),
        kind: z.enum(['name', 'code', 'number', 'date', 'url', 'version']),
        count: z.number().int(),
        files: z.number().int(),
      }),
    ),
  })
  .meta({ id: 'Extraction' });
export type Extraction = z.infer<typeof extractionSchema>;

export interface ExtractOptions {
  readonly kinds: readonly ('sentences' | 'facts' | 'entities')[];
  /** Facts that speak of it come first. */
  readonly about?: string;
  /** Of each kind. */
  readonly limit: number;
}

export function extract(passages: readonly Passage[], options: ExtractOptions): Extraction {
  const prose = passages.filter((passage) => passage.kind !== 'code');
  const sentences = prose.flatMap((passage) =>
    sentencesOf(passage.text).map(({ text, from }) => ({
      file: passage.file,
      line: passage.line + passage.text.slice(0, from).split('\n').length - 1,
      section: passage.section,
      text,
    })),
  );
  const has = (kind: ExtractOptions['kinds'][number]) => options.kinds.includes(kind);
  return {
    sentences: has('sentences')
      ? sentences.slice(0, options.limit).map(({ file, line, text }) => ({ file, line, text }))
      : [],
    facts: has('facts') ? factsOf(sentences, options) : [],
    entities: has('entities') ? entitiesOf(prose, options.limit) : [],
  };
}

const STATES =
  /\b(is|are|was|were|has|have|means|returns?|defaults? to|requires?|supports?|allows?|provides?|must|can(?:not)?|will|does|do|contains?|runs?|uses?|takes?)\b/i;
const HEDGE = /\b(maybe|perhaps|might|could|probably|please|welcome|thanks?|check out|see)\b|[?]\s*$/i;
const NUMBER = /[-+]?\d[\d,]*(?:\.\d+)?(?:\s?(?:%|ms|s|kB|KB|MB|GB|°C|ppm|mm|km|x|times))?/g;

type Located = Extraction['sentences'][number] & { readonly section: string };

function factsOf(sentences: readonly Located[], options: ExtractOptions): Extraction['facts'] {
  const wanted = new Set(termsOf(options.about ?? ''));
  const seen = new Set<string>();
  return sentences
    .filter(({ text }) => isStatement(text) && !seen.has(text) && seen.add(text))
    .map((sentence) => {
      const numbers = plain(sentence.text).match(NUMBER) ?? [];
      const relevance = wanted.size === 0 ? 0 : coverage(sentence.text, wanted) / wanted.size;
      return { ...sentence, numbers: [...numbers], score: round(relevance + Math.min(numbers.length, 2) * 0.05) };
    })
    .filter((fact) => wanted.size === 0 || fact.score > 0.1)
    .sort((a, b) => b.score - a.score)
    .slice(0, options.limit)
    .map(({ file, line, text, section, numbers, score }) => ({ file, line, text, section, numbers, score }));
}

function isStatement(text: string): boolean {
  const bare = plain(text);
  const count = bare.split(' ').length;
  return count >= 5 && count <= 60 && /[.!]$|[a-z0-9)]$/i.test(bare) && STATES.test(bare) && !HEDGE.test(bare);
}

const ENTITY_FORMS: readonly (readonly [Extraction['entities'][number]['kind'], RegExp])[] = [
  ['url', /https?:\/\/[^\s)\]>"'`]+/g],
  ['code', /`([^`\n]{2,60})`/g],
  ['version', /\bv?\d+\.\d+\.\d+(?:-[\w.]+)?\b/g],
  ['date', /\b\d{4}-\d{2}-\d{2}\b/g],
  ['number', /\b\d[\d,]*(?:\.\d+)?\s?(?:%|ms|kB|KB|MB|GB|°C|ppm|mm)(?!\w)/g],
  ['name', /\b[A-Z][a-zA-Z]+(?:\s+(?:of\s+)?[A-Z][a-zA-Z.]+)*\b/g],
];

interface Counted {
  readonly text: string;
  readonly kind: Extraction['entities'][number]['kind'];
  count: number;
  readonly files: Set<string>;
}

function entitiesOf(passages: readonly Passage[], limit: number): Extraction['entities'] {
  const found = new Map<string, Counted>();
  for (const passage of passages) {
    for (const { text, kind } of entitiesIn(passage.text)) {
      const key = `${kind} ${text}`;
      const entry = found.get(key) ?? { text, kind, count: 0, files: new Set<string>() };
      entry.count++;
      entry.files.add(passage.file);
      found.set(key, entry);
    }
  }
  return [...found.values()]
    .sort((a, b) => b.count - a.count || a.text.localeCompare(b.text))
    .slice(0, limit)
    .map(({ text, kind, count, files }) => ({ text, kind, count, files: files.size }));
}

/** What one form found is blanked out for the next, so that a version inside a URL is not an entity of its own. */
function entitiesIn(passage: string): Pick<Counted, 'text' | 'kind'>[] {
  const entities: Pick<Counted, 'text' | 'kind'>[] = [];
  let rest = passage;
  for (const [kind, form] of ENTITY_FORMS) {
    for (const match of rest.matchAll(form)) {
      const [whole, inner] = match;
      if (kind === 'name' && !whole.includes(' ') && startsSentence(rest, match.index)) continue;
      entities.push({ kind, text: inner ?? whole });
      rest = rest.slice(0, match.index) + ' '.repeat(whole.length) + rest.slice(match.index + whole.length);
    }
  }
  return entities;
}

/** A capital at the start of a sentence names nothing. */
const startsSentence = (text: string, at: number): boolean =>
  /(^|[.!?:]\s*|\n\s*([-*+#>]\s*)*)$/.test(text.slice(0, at));

const round = (value: number): number => Math.round(value * 1_000) / 1_000;
