// HTML cut into passages. A quote must be a slice of the file, so text runs are taken as they stand: a block with markup inside
// gives one passage per run that is long enough, with entities left as they are.

import type { Parser as HtmlParser } from 'htmlparser2';
import type { Document } from './documents.ts';
import { add, MAX_PASSAGE_CHARS, type Passage } from './passage.ts';

const SILENT = new Set(['script', 'style', 'noscript', 'template', 'svg', 'head']);
const HEADINGS = new Set(['h1', 'h2', 'h3', 'h4', 'h5', 'h6']);

export async function splitHtml(document: Document): Promise<Passage[]> {
  const { Parser } = await import('htmlparser2');
  const passages: Passage[] = [];
  const lineAt = lineIndex(document.text);
  let silent = 0;
  let heading: string | undefined;
  let section = '';
  const parser: HtmlParser = new Parser(
    {
      onopentagname(name) {
        if (SILENT.has(name)) silent++;
        if (HEADINGS.has(name)) heading = '';
      },
      onclosetag(name) {
        if (SILENT.has(name)) silent = Math.max(0, silent - 1);
        if (HEADINGS.has(name) && heading !== undefined) {
          section = heading.replace(/\s+/g, ' ').trim();
          heading = undefined;
        }
      },
      ontext(run) {
        if (silent > 0) return;
        if (heading !== undefined) heading += run;
        else {
          const from = parser.startIndex;
          const lead = run.length - run.trimStart().length;
          const text = run.trim().slice(0, MAX_PASSAGE_CHARS);
          add(passages, { file: document.file, line: lineAt(from + lead), section, kind: 'prose', text });
        }
      },
    },
    { decodeEntities: false, lowerCaseTags: true },
  );
  parser.write(document.text);
  parser.end();
  return passages;
}

/** Line of a position, by binary search over the starts of the lines. */
function lineIndex(text: string): (position: number) => number {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (position) => {
    let low = 0;
    let high = starts.length;
    while (low + 1 < high) {
      const middle = (low + high) >> 1;
      if ((starts[middle] ?? 0) <= position) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
