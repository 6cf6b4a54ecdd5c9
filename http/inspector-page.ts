// Serves the built inspector page at /inspect: files only, no data. What the page shows it asks of the API, with the token of whoever looks.

import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Context, Env, Hono } from 'hono';

/** No inline script or style, nothing from elsewhere, in no frame. Covers `fetch` and WebSockets to the own origin. */
const POLICY =
  "default-src 'self'; script-src 'self'; style-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** Names of assets carry the hash of their content. */
const FOREVER = 'public, max-age=31536000, immutable';
/** Where the build puts the page: beside this file in dist, in dist when this runs from the sources. */
const PLACES = ['./inspector/page/', '../dist/http/inspector/page/'].map((place) => new URL(place, import.meta.url));
const NOT_BUILT = 'The inspector page is not built here: npm run build\n';

interface PageFile {
  readonly type: string;
  readonly bytes: Buffer;
  /** Made when it is first asked for. */
  packed?: Promise<Buffer>;
}

/** Adds `/inspect` to an app. The files are read when the page is first asked for, from the first of the places that has them. */
export function serveInspector<E extends Env>(app: Hono<E>, basePath: string, places = PLACES): void {
  const home = `${basePath}/inspect/`;
  let files: ReadonlyMap<string, PageFile> | undefined;
  app.get(`${basePath}/inspect`, (c) => c.redirect(home, 308));
  app.get(`${home}*`, async (c) => {
    files ??= readPage(places);
    const name = c.req.path.slice(home.length) || 'index.html';
    const file = files.get(name);
    if (file) return answer(c, name, file);
    return c.text(files.size === 0 ? NOT_BUILT : 'There is nothing at this path.\n', files.size === 0 ? 503 : 404);
  });
}

const pack = promisify(gzip);

async function answer(c: Context, name: string, file: PageFile): Promise<Response> {
  const headers: Record<string, string> = {
    'content-type': file.type,
    'cache-control': name === 'index.html' ? 'no-cache' : FOREVER,
    'content-security-policy': POLICY,
    'cross-origin-opener-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    vary: 'accept-encoding',
  };
  if (!/\bgzip\b/.test(c.req.header('accept-encoding') ?? '')) return c.body(new Uint8Array(file.bytes), 200, headers);
  file.packed ??= pack(file.bytes);
  return c.body(new Uint8Array(await file.packed), 200, { ...headers, 'content-encoding': 'gzip' });
}

/** Empty when the page was not built. Only what is listed here is ever served: a path from a request opens no file. */
function readPage(places: readonly URL[]): ReadonlyMap<string, PageFile> {
  for (const folder of places) {
    const names = listed(folder);
    if (names.includes('index.html'))
      return new Map(
        names
          .filter((name) => TYPES[extname(name)] !== undefined)
          .map((name) => [name, { type: TYPES[extname(name)] ?? '', bytes: readFileSync(new URL(name, folder)) }]),
      );
  }
  return new Map();
}

function listed(folder: URL): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => name.replaceAll('\\', '/'));
  } catch {
    return [];
  }
}
