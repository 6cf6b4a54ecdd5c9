// Documents cut into passages. The text of a passage is a slice of its file, character for character, so that it can be quoted.

import type { Document } from './documents.ts';
import { add, MAX_PASSAGE_CHARS, type Passage, plain } from './passage.ts';

export { type Passage, plain } from './passage.ts';

export async function splitDocument(document: Document): Promise<Passage[]> {
  switch (document.kind) {
    case 'html':
      return (await import('./html-passages.ts')).splitHtml(document);
    case 'csv':
    case 'json':
      return splitLines(document);
    default:
      return splitMarkup(document);
  }
}

interface Block {
  readonly from: number;
  readonly to: number;
  readonly line: number;
  readonly kind: Passage['kind'];
}

/** Paragraphs, list items, tables and code blocks of Markdown and plain text. */
function splitMarkup(document: Document): Passage[] {
  const passages: Passage[] = [];
  let section = '';
  for (const block of blocksOf(document.text)) {
    const text = document.text.slice(block.from, block.to);
    const heading = headingOf(text);
    if (heading !== undefined) section = heading;
    else for (const part of cut(document.text, block)) add(passages, { ...part, file: document.file, section });
  }
  return passages;
}

const FENCE = /^\s{0,3}(```|~~~)/;
const LIST_ITEM = /^\s{0,5}([-*+]|\d{1,3}[.)])\s/;

/** Blocks end at empty lines, at headings, at fences, and before each item of a list. */
function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let open: { from: number; line: number; kind: Passage['kind'] } | undefined;
  let fence: string | undefined;
  let at = 0;
  let end = 0;
  const close = () => {
    if (open && end > open.from) blocks.push({ ...open, to: end });
    open = undefined;
  };
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    const mark = FENCE.exec(line)?.[1];
    if (fence !== undefined) {
      if (mark === fence) {
        close();
        fence = undefined;
      } else open ??= { from: at, line: index + 1, kind: 'code' };
    } else if (mark !== undefined) {
      close();
      fence = mark;
    } else if (line.trim() === '') close();
    else {
      const isHeading = /^\s{0,3}#{1,6}\s/.test(line);
      if (isHeading || LIST_ITEM.test(line)) close();
      open ??= { from: at + (line.length - line.trimStart().length), line: index + 1, kind: 'prose' };
      end = at + line.trimEnd().length;
      if (isHeading) close();
    }
    if (fence !== undefined && mark === undefined) end = at + line.length;
    at += raw.length + 1;
  }
  close();
  return blocks;
}

function headingOf(text: string): string | undefined {
  const hashes = /^#{1,6}\s+(.*?)\s*#*$/.exec(text);
  if (hashes && !text.includes('\n')) return plain(hashes[1] ?? '');
  const underlined = /^(.+)\n(=+|-+)$/.exec(text);
  return underlined ? plain(underlined[1] ?? '') : undefined;
}

/** A block longer than a passage is cut at the end of a line or of a sentence. */
function cut(text: string, block: Block): Pick<Passage, 'line' | 'kind' | 'text'>[] {
  const parts: Pick<Passage, 'line' | 'kind' | 'text'>[] = [];
  let from = block.from;
  let line = block.line;
  while (from < block.to) {
    const to =
      block.to - from <= MAX_PASSAGE_CHARS ? block.to : from + breakAt(text.slice(from, from + MAX_PASSAGE_CHARS));
    const piece = text.slice(from, to);
    const trimmed = block.kind === 'code' ? piece.trimEnd() : piece.trim();
    const lead = piece.indexOf(trimmed);
    parts.push({ line: line + countLines(piece.slice(0, Math.max(0, lead))), kind: block.kind, text: trimmed });
    line += countLines(piece);
    from = to;
  }
  return parts;
}

function breakAt(text: string): number {
  const ends = [text.lastIndexOf('\n'), text.lastIndexOf('. ') + 1, text.lastIndexOf(' ')];
  return ends.find((end) => end > text.length / 3) ?? text.length;
}

const countLines = (text: string): number => text.split('\n').length - 1;

/** Rows of a table, members of a JSON text: each line for itself, under the first line as its section for CSV. */
function splitLines(document: Document): Passage[] {
  const passages: Passage[] = [];
  const lines = document.text.split('\n');
  const section = document.kind === 'csv' ? (lines[0] ?? '').trim() : '';
  for (const [index, raw] of lines.entries()) {
    const text = raw.trim().slice(0, MAX_PASSAGE_CHARS);
    add(passages, { file: document.file, line: index + 1, section, kind: 'data', text });
  }
  return passages;
}
