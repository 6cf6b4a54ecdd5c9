// The dependency rule, read from the imports themselves (type imports count).

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const SOURCES = ['runtime', 'actors', 'patterns', 'http'];

interface Import {
  readonly file: string;
  /** Path from the root for our own modules, the package name for others. */
  readonly target: string;
  readonly own: boolean;
}

const imports = SOURCES.flatMap((folder) => files(join(root, folder))).flatMap(importsOf);

function files(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return files(path);
    return /\.tsx?$/.test(name) ? [path] : [];
  });
}

function importsOf(path: string): Import[] {
  const text = readFileSync(path, 'utf8');
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s[^;]*?from\s+'([^']+)'|import\(\s*'([^']+)'\s*\)|(?:^|\n)import\s+'([^']+)'/g;
  return [...text.matchAll(pattern)].map((match) => {
    const specifier = match[1] ?? match[2] ?? match[3] ?? '';
    const own = specifier.startsWith('.');
    const target = own ? relative(root, resolve(dirname(path), specifier)) : packageOf(specifier);
    return { file: relative(root, path), target, own };
  });
}

function packageOf(specifier: string): string {
  return specifier.startsWith('node:')
    ? specifier
    : specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
}

function room(file: string): string {
  const [top = '', second = ''] = file.split('/');
  if (file.startsWith('http/inspector/')) return 'http/inspector';
  return top === 'runtime' && !second.endsWith('.ts') ? `runtime/${second}` : top;
}

/** What the ends of a wire share, between threads and between nodes: codec, plain data, queues, questions that wait. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  'runtime/cluster': ['runtime/transport'],
  'runtime/pool': ['runtime/transport'],
  'runtime/thread': ['runtime/transport'],
};

/** Files that may join rooms: composition roots and doors. */
const JOINERS =
  /^(runtime\/(system|index)\.ts|runtime\/system\/|runtime\/testing\/|http\/(main|cli)\.ts|http\/commands\/)/;

const allowed = (from: string, target: string): boolean => {
  if (target.startsWith('runtime/contracts/')) return true;
  if (JOINERS.test(from)) return true;
  const [here, there] = [room(from), room(target)];
  if (here === there && here !== 'runtime') return true;
  if (SHARED[here]?.includes(there)) return true;
  if (here === 'http') return target === 'runtime/system.ts' || target === 'runtime/config.ts';
  return from === 'runtime/config.ts' && there === 'runtime';
};

const OWNERS: readonly (readonly [name: string, where: RegExp])[] = [
  ['ioredis', /^runtime\/bus\/redis-bus/],
  ['pg', /^runtime\/store\/pg\.ts$/],
  ['@electric-sql/pglite', /^runtime\/store\/(pglite|prepare)/],
  ['piscina', /^runtime\/pool\//],
  ['hono', /^http\//],
  ['@hono/node-server', /^http\//],
  ['@hono/zod-openapi', /^http\//],
  ['ollama', /^actors\/model\//],
  ['@opentelemetry/api', /^runtime\/contracts\/tracing\.ts$/],
  ...['preact', '@preact/signals', 'd3-hierarchy', 'elkjs', 'uplot'].map(
    (name) => [name, /^http\/inspector\//] as const,
  ),
  ['node:worker_threads', /^runtime\/(pool|thread)\/|^runtime\/store\/pglite|^actors\/probe\//],
];

/** Packages that are borders themselves. */
const BORDERS = ['zod', '@opentelemetry/api'];

describe('the dependency rule', () => {
  test('sees the imports', () => {
    expect(imports.length).toBeGreaterThan(50);
  });

  test('rooms meet only in the composition roots', () => {
    const broken = imports
      .filter(({ file, target, own }) => own && !allowed(file, target))
      .map(({ file, target }) => `${file} -> ${target}`);
    expect(broken).toEqual([]);
  });

  test('contracts import only zod, the API of OpenTelemetry (interfaces as well) and themselves', () => {
    const broken = imports
      .filter(({ file, target, own }) => file.startsWith('runtime/contracts/') && !own && !BORDERS.includes(target))
      .map(({ file, target }) => `${file} -> ${target}`);
    expect(broken).toEqual([]);
  });

  test.each(OWNERS)('%s is named only where it belongs', (name, where) => {
    const broken = imports.filter(({ file, target }) => target === name && !where.test(file)).map(({ file }) => file);
    expect(broken).toEqual([]);
  });

  test('the inspector page knows of the runtime only the types of its contracts', () => {
    const page = imports.filter(({ file }) => file.startsWith('http/inspector/'));
    expect(page.length).toBeGreaterThan(10);
    const inPage = /^(preact|preact\/hooks|@preact\/signals|d3-hierarchy|elkjs|uplot)$/;
    expect(page.filter(({ target, own }) => !own && !inPage.test(target))).toEqual([]);
    const values = page
      .filter(({ target }) => target.startsWith('runtime/'))
      .filter(({ file, target }) => {
        const text = readFileSync(join(root, file), 'utf8');
        return !new RegExp(`import type \\{[^}]*\\} from '[./]*${target}'`).test(text);
      });
    expect(values).toEqual([]);
  });

  test('no view of the page imports another', () => {
    const viewOf = (path: string) => /^http\/inspector\/views\/([^/]+)\//.exec(path)?.[1];
    const broken = imports
      .filter(({ file, target, own }) => own && viewOf(file) && viewOf(target) && viewOf(file) !== viewOf(target))
      .map(({ file, target }) => `${file} -> ${target}`);
    expect(broken).toEqual([]);
  });

  test('no import cycle, types included', () => {
    const edges = new Map<string, string[]>();
    for (const { file, target, own } of imports) if (own) edges.set(file, [...(edges.get(file) ?? []), target]);
    expect(findCycle(edges)).toBeNull();
  });
});

function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] | null {
  const done = new Set<string>();
  const visit = (node: string, path: readonly string[]): string[] | null => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return null;
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next, [...path, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return null;
  };
  for (const node of edges.keys()) {
    const cycle = visit(node, []);
    if (cycle) return cycle;
  }
  return null;
}
