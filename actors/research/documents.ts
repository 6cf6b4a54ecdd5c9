// The documents of a folder: which files are read, which are left out and why. Never outside of the folder, never without a limit.

import { readdir } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { TaskError } from '../../runtime/contracts/errors.ts';
import { fileError, readTextFile, resolveBelow } from '../files.ts';
import { breathe, type Work } from '../work.ts';

export const DOCUMENT_KINDS = {
  '.md': 'markdown',
  '.markdown': 'markdown',
  '.txt': 'text',
  '.html': 'html',
  '.htm': 'html',
  '.json': 'json',
  '.csv': 'csv',
} as const;
export type DocumentKind = (typeof DOCUMENT_KINDS)[keyof typeof DOCUMENT_KINDS];

export interface Document {
  /** Path relative to the folder, with `/`. */
  readonly file: string;
  readonly kind: DocumentKind;
  readonly text: string;
}

export interface Skipped {
  readonly file: string;
  readonly reason: string;
}

export interface Corpus {
  readonly documents: readonly Document[];
  readonly skipped: readonly Skipped[];
  readonly bytes: number;
}

export interface CorpusOptions {
  /** Only files called like this (name without folder, case ignored), e.g. `readme.md`. Default: every file of a known kind. */
  readonly named?: readonly string[];
  /** Folders deep. Default 12. */
  readonly maxDepth?: number;
  /** Default 2,000. */
  readonly maxFiles?: number;
  /** One file; larger ones are left out. Default 2 MB. */
  readonly maxFileBytes?: number;
  /** All together. Default 64 MB. */
  readonly maxBytes?: number;
}

const DEFAULTS = { maxDepth: 12, maxFiles: 2_000, maxFileBytes: 2_000_000, maxBytes: 64_000_000 };
const MAX_ENTRIES = 200_000;
const FILES_PER_BREATH = 16;
/** Never searched: version control and hidden folders. */
const HIDDEN = /^\./;

/**
 * Reads a folder (or one file) below `root`. Links that lead out of the folder are left out.
 * @throws TaskError `file_not_found`, `path_outside_root`, `corpus_empty`, `file_unreadable`
 */
export async function readCorpus(root: string, folder: string, options: CorpusOptions, work: Work): Promise<Corpus> {
  const limits = { ...DEFAULTS, ...definedOnly(options) };
  const base = await resolveBelow(root, folder);
  const listing = await listFiles(base, limits, work);
  const documents: Document[] = [];
  const skipped: Skipped[] = [...listing.skipped];
  let bytes = 0;
  for (const [at, file] of listing.files.entries()) {
    if (at % FILES_PER_BREATH === 0) {
      work.progress(at / listing.files.length, `reading ${at}/${listing.files.length} files`);
      await breathe(work);
    }
    if (documents.length >= limits.maxFiles || bytes > limits.maxBytes) {
      skipped.push({ file, reason: `more than ${limits.maxFiles} files or ${limits.maxBytes} bytes` });
      continue;
    }
    const read = await readDocument(base, file, limits.maxFileBytes);
    if ('reason' in read) skipped.push(read);
    else {
      documents.push(read);
      bytes += read.text.length;
    }
  }
  if (documents.length === 0) throw emptyCorpus(folder, skipped);
  return { documents, skipped, bytes };
}

function emptyCorpus(folder: string, skipped: readonly Skipped[]): TaskError {
  const kinds = Object.keys(DOCUMENT_KINDS).join(' ');
  const first = skipped[0] ? `; left out ${skipped.length}, e.g. ${skipped[0].file}: ${skipped[0].reason}` : '';
  return new TaskError('corpus_empty', `${folder} holds no readable documents (${kinds})${first}`, {
    retryable: false,
    details: { folder },
  });
}

async function readDocument(base: string, file: string, maxBytes: number): Promise<Document | Skipped> {
  try {
    // Followed again at the time of reading: a link may have changed since the listing.
    const path = file === '' ? base : await resolveBelow(base, file);
    const shownAs = file === '' ? (base.split(sep).at(-1) ?? base) : file;
    const text = await readTextFile(path, { shownAs, maxBytes });
    return { file: shownAs, kind: kindOf(shownAs) ?? 'text', text };
  } catch (error) {
    if (error instanceof TaskError) return { file, reason: error.message };
    throw error;
  }
}

interface Listing {
  readonly files: string[];
  readonly skipped: Skipped[];
}

/** Files of a known kind, sorted; `['']` when `base` is a file itself. */
async function listFiles(base: string, limits: typeof DEFAULTS & CorpusOptions, work: Work): Promise<Listing> {
  const files: string[] = [];
  const skipped: Skipped[] = [];
  const named = limits.named?.map((name) => name.toLowerCase());
  const pending = [{ folder: base, depth: 0 }];
  let entries = 0;
  for (let next = pending.shift(); next; next = pending.shift()) {
    const { folder, depth } = next;
    work.signal.throwIfAborted();
    const found = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR' && depth === 0) return undefined;
      if (depth === 0) throw fileError('file_unreadable', `cannot read the folder ${base}: ${error.code}`, base);
      skipped.push({ file: inside(base, folder), reason: `cannot be read: ${error.code}` });
      return [];
    });
    if (!found) return { files: [''], skipped };
    entries += found.length;
    if (entries > MAX_ENTRIES)
      throw fileError('file_unreadable', `${base} holds more than ${MAX_ENTRIES} entries: name a smaller folder`, base);
    for (const entry of found) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        if (!HIDDEN.test(entry.name) && depth < limits.maxDepth) pending.push({ folder: path, depth: depth + 1 });
      } else if (wanted(entry.name, named)) files.push(inside(base, path));
    }
  }
  files.sort();
  return { files, skipped };
}

function wanted(name: string, named: readonly string[] | undefined): boolean {
  return (
    kindOf(name) !== undefined && !HIDDEN.test(name) && (named === undefined || named.includes(name.toLowerCase()))
  );
}

export function kindOf(file: string): DocumentKind | undefined {
  return DOCUMENT_KINDS[extname(file).toLowerCase() as keyof typeof DOCUMENT_KINDS];
}

const inside = (base: string, path: string): string => relative(base, path).split(sep).join('/');

function definedOnly<T extends object>(value: T): Partial<T> {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as Partial<T>;
}
