// What the demo works on, checked before anything starts: folder of documents, data files, question, place of the report.

import { access, constants, readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_QUESTION, DEFAULT_REPORT, type DemoOptions } from './args.ts';

/** Thrown when the demo cannot do what it was asked to; the message is one line for the person who asked. */
export class DemoError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DemoError';
  }
}

export interface DemoInputs {
  readonly question: string;
  /** Absolute; what the research agents may read. */
  readonly docs: string;
  /** As shown to people. */
  readonly docsShown: string;
  /** Only files of these names, and how deep; undefined = all. */
  readonly named: readonly string[] | undefined;
  readonly maxDepth: number | undefined;
  /** Absolute; what the analysis agents may read: the folder that holds all data files. */
  readonly dataRoot: string;
  /** Relative to `dataRoot`. */
  readonly data: readonly string[];
  /** Source and licence by file name. */
  readonly notes: Readonly<Record<string, string>>;
  readonly out: string;
}

const DOCUMENT = /\.(md|markdown|txt|html?|json|csv)$/i;
const SHIPPED: Readonly<Record<string, string>> = {
  'seattle-weather.csv':
    'NOAA National Climatic Data Center, U.S. government work (public domain); temperatures in °C, precipitation in mm',
  'co2-concentration.csv':
    'Scripps CO2 Program, Scripps Institution of Oceanography at UC San Diego, CC BY 4.0; parts per million at Mauna Loa',
  'global-temperature.csv': 'NASA Goddard Institute for Space Studies (GISTEMP), U.S. government work; anomaly in °C',
};
const MAX_QUESTION_CHARS = 1_000;
const MAX_ENTRIES = 50_000;
const MAX_DEPTH = 12;

/** @throws DemoError with one line that names what is wrong and what to do. */
export async function resolveInputs(options: DemoOptions, cwd: string): Promise<DemoInputs> {
  const home = await packageHome();
  const out = resolve(cwd, options.report ?? DEFAULT_REPORT);
  await checkWritable(out);
  const documents = options.docs === undefined ? await installedReadmes(home, cwd) : await folder(options.docs, cwd);
  const data = options.data ?? Object.keys(SHIPPED).map((name) => join(home, 'data', name));
  const files = await Promise.all(data.map((file) => dataFile(file, cwd)));
  const dataRoot = commonFolder(files);
  return {
    question: questionOf(options),
    ...documents,
    dataRoot,
    data: files.map((file) => slashed(relative(dataRoot, file))),
    notes: options.data === undefined ? SHIPPED : {},
    out,
  };
}

function questionOf(options: DemoOptions): string {
  const question = (options.ask ?? DEFAULT_QUESTION).replace(/\s+/g, ' ').trim();
  if (question.length < 2)
    throw new DemoError('--ask is empty: give a question, e.g. --ask "How are connections pooled?"');
  if (question.length > MAX_QUESTION_CHARS)
    throw new DemoError(`--ask has ${question.length} characters; at most ${MAX_QUESTION_CHARS} are taken`);
  return question;
}

type Documents = Pick<DemoInputs, 'docs' | 'docsShown' | 'named' | 'maxDepth'>;

/** Packages, and packages of a scope, with their README. */
async function installedReadmes(home: string, cwd: string): Promise<Documents> {
  const places = [join(home, 'node_modules'), dirname(home), join(cwd, 'node_modules')];
  for (const place of places) {
    if (!/[\\/]node_modules$/.test(place) || !(await isFolder(place))) continue;
    const docs = await realpath(place);
    return { docs, docsShown: shown(docs, cwd), named: ['readme.md', 'readme.markdown', 'readme.txt'], maxDepth: 2 };
  }
  throw new DemoError('there are no installed packages whose READMEs could be read: give a folder with --docs DIR');
}

async function folder(path: string, cwd: string): Promise<Documents> {
  const docs = await realpath(resolve(cwd, path)).catch((error: NodeJS.ErrnoException) => {
    throw new DemoError(
      error.code === 'EACCES' ? `--docs ${path}: not allowed to read it` : `--docs ${path}: there is no such folder`,
    );
  });
  if (!(await isFolder(docs))) throw new DemoError(`--docs ${path}: this is a file, not a folder`);
  if (!(await holdsDocument(docs, path)))
    throw new DemoError(`--docs ${path}: it holds no .md, .txt, .html, .json or .csv file`);
  return { docs, docsShown: shown(docs, cwd), named: undefined, maxDepth: undefined };
}

/** Looks no further than the first document. */
async function holdsDocument(docs: string, shownAs: string): Promise<boolean> {
  const pending = [{ path: docs, depth: 0 }];
  let entries = 0;
  for (let next = pending.shift(); next && entries < MAX_ENTRIES; next = pending.shift()) {
    const { path, depth } = next;
    const found = await readdir(path, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
      if (depth === 0) throw new DemoError(`--docs ${shownAs}: cannot be read (${error.code})`);
      return [];
    });
    entries += found.length;
    if (found.some((entry) => !entry.isDirectory() && !entry.name.startsWith('.') && DOCUMENT.test(entry.name)))
      return true;
    if (depth >= MAX_DEPTH) continue;
    for (const entry of found) {
      if (entry.isDirectory() && !entry.name.startsWith('.'))
        pending.push({ path: join(path, entry.name), depth: depth + 1 });
    }
  }
  return false;
}

async function dataFile(path: string, cwd: string): Promise<string> {
  const file = await realpath(resolve(cwd, path)).catch(() => {
    throw new DemoError(`--data ${path}: there is no such file`);
  });
  if (!(await stat(file)).isFile()) throw new DemoError(`--data ${path}: this is not a file`);
  await access(file, constants.R_OK).catch(() => {
    throw new DemoError(`--data ${path}: not allowed to read it`);
  });
  return file;
}

async function checkWritable(out: string): Promise<void> {
  const found = await stat(out).catch(() => undefined);
  if (found?.isDirectory()) throw new DemoError(`--out ${out}: this is a folder, not a file`);
  await access(found ? out : dirname(out), constants.W_OK).catch(() => {
    throw new DemoError(`--out ${out}: cannot be written; name another file`);
  });
}

function commonFolder(files: readonly string[]): string {
  const [first, ...rest] = files.map((file) => dirname(file));
  if (first === undefined) return process.cwd();
  return rest.reduce((common, next) => {
    let folder = common;
    while (!inside(folder, next) && folder !== dirname(folder)) folder = dirname(folder);
    return folder;
  }, first);
}

function inside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
}

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true;
const slashed = (path: string): string => path.split(sep).join('/');
const shown = (path: string, cwd: string): string => (inside(cwd, path) ? slashed(relative(cwd, path)) || '.' : path);

/** The folder of this package, from its sources and from `dist/` alike. */
async function packageHome(): Promise<string> {
  let at = dirname(fileURLToPath(import.meta.url));
  while (at !== dirname(at)) {
    const text = await readFile(join(at, 'package.json'), 'utf8').catch(() => '{}');
    if ((JSON.parse(text) as { name?: unknown }).name === 'troupe') return at;
    at = dirname(at);
  }
  throw new DemoError('the package of Troupe cannot be found around this file');
}
