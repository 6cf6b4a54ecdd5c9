// One passage of a document, and how it is kept: what every way of splitting shares.

export interface Passage {
  readonly file: string;
  /** Line on which it starts, from 1. */
  readonly line: number;
  /** The nearest heading above it, empty without one. */
  readonly section: string;
  readonly kind: 'prose' | 'code' | 'data';
  /** Verbatim. */
  readonly text: string;
}

export const MAX_PASSAGE_CHARS = 700;
const MIN_PASSAGE_CHARS = 25;

/** Leaves out what says nothing: badges, rules, lone links, pictures. */
export function add(passages: Passage[], passage: Passage): void {
  if (passage.text.length < (passage.kind === 'data' ? 3 : MIN_PASSAGE_CHARS)) return;
  if (passage.kind === 'prose' && isDecoration(passage.text)) return;
  passages.push(passage);
}

function isDecoration(text: string): boolean {
  const words = plain(text.replace(/!\[[^\]]*\]\([^)]*\)/g, ' ').replace(/https?:\S+/g, ' '));
  const letters = words.replace(/[^\p{L}]/gu, '').length;
  return letters < MIN_PASSAGE_CHARS * 0.6 || letters < text.length * 0.25;
}

/** Markup taken out, for headings and for ranking; never for quoting. */
export function plain(text: string): string {
  return text
    .replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/<[^>]{0,500}>/g, ' ')
    .replace(/[`*_~|]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}
