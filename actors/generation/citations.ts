// The sources of a report: each passage gets one number, whichever search found it, and is quoted once.

import { bestSlice } from '../research/sentences.ts';
import { terms } from '../research/terms.ts';
import type { ReportInput, ReportPassage } from './report-input.ts';

export interface Citation {
  readonly number: number;
  readonly file: string;
  readonly line: number;
  readonly section: string;
  readonly kind: string;
  /** Verbatim in the file. */
  readonly quote: string;
}

export interface CitedSearch {
  readonly question: string;
  readonly searched: number;
  readonly files: number;
  /** Quoted here. */
  readonly quoted: readonly Citation[];
  /** Found here too, but quoted above already. */
  readonly also: readonly Citation[];
}

export interface Citations {
  readonly searches: readonly CitedSearch[];
  readonly all: readonly Citation[];
}

const MAX_QUOTE_CHARS = 420;
/** A passage that is worth less than this share of the best one of its search is not quoted. */
const WORTH_QUOTING = 0.12;

export function cite(input: Pick<ReportInput, 'searches' | 'quotes'>): Citations {
  const known = new Map<string, Citation>();
  const searches = input.searches.map((search): CitedSearch => {
    const quoted: Citation[] = [];
    const also: Citation[] = [];
    const best = search.passages[0]?.score ?? 0;
    const worth = search.passages.filter((passage) => passage.score >= best * WORTH_QUOTING).slice(0, input.quotes);
    for (const passage of worth) {
      const key = `${passage.file}:${passage.line}`;
      const before = known.get(key);
      if (before) also.push(before);
      else {
        const citation = citationOf(passage, search.question, known.size + 1);
        known.set(key, citation);
        quoted.push(citation);
      }
    }
    return { question: search.question, searched: search.searched, files: search.files, quoted, also };
  });
  return { searches, all: [...known.values()] };
}

function citationOf(passage: ReportPassage, question: string, number: number): Citation {
  const wanted = passage.terms.length > 0 ? passage.terms : terms(question);
  const quote = bestSlice(passage.quote, wanted, MAX_QUOTE_CHARS, passage.kind);
  const skipped = passage.quote.slice(0, Math.max(0, passage.quote.indexOf(quote)));
  const line = passage.line + skipped.split('\n').length - 1;
  return { number, file: passage.file, line, section: passage.section, kind: passage.kind, quote };
}
