// Sentences of a passage as slices of it, so that each can be quoted; and the slice of a long passage that answers best.

import { term, words } from './terms.ts';

export interface Sentence {
  readonly text: string;
  /** Position in the passage. */
  readonly from: number;
}

const segmenter = new Intl.Segmenter('en', { granularity: 'sentence' });

/** A line break inside a paragraph ends no sentence (UAX 29 would have it so), hence the blanks in its place while cutting. */
export function sentencesOf(passage: string): Sentence[] {
  const flat = passage.replace(/[\r\n]/g, ' ');
  return [...segmenter.segment(flat)].flatMap(({ segment, index }) => {
    const lead = segment.length - segment.trimStart().length;
    const from = index + lead;
    const text = passage.slice(from, from + segment.trim().length);
    return text === '' ? [] : [{ text, from }];
  });
}

/** How many of `wanted` (terms) a text holds. */
export function coverage(text: string, wanted: ReadonlySet<string>): number {
  const held = new Set(words(text).flatMap((word) => term(word) ?? []));
  let count = 0;
  for (const one of wanted) if (held.has(one)) count++;
  return count;
}

/**
 * The run of whole sentences of at most `maxChars` that holds most of `wanted`; the passage itself when it is short enough.
 * Code has no sentences: its first whole lines.
 */
export function bestSlice(passage: string, wanted: readonly string[], maxChars: number, kind = 'prose'): string {
  if (passage.length <= maxChars) return passage;
  if (kind === 'code') return passage.slice(0, Math.max(passage.lastIndexOf('\n', maxChars), 0) || maxChars);
  const sentences = sentencesOf(passage);
  const terms = new Set(wanted);
  let best = { text: '', count: -1 };
  for (const [at, first] of sentences.entries()) {
    for (const last of sentences.slice(at)) {
      const text = passage.slice(first.from, last.from + last.text.length);
      if (text.length > maxChars) break;
      const count = coverage(text, terms);
      if (count > best.count || (count === best.count && text.length > best.text.length)) best = { text, count };
    }
  }
  if (best.text !== '') return best.text;
  const end = passage.lastIndexOf(' ', maxChars);
  return passage.slice(0, end > 0 ? end : maxChars);
}
