// How the inspector page is served: files of the build and nothing else, under a strict policy, and not at all where it is switched off.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Hono } from 'hono';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createApp } from '../../http/app.ts';
import { serveInspector } from '../../http/inspector-page.ts';
import { resolveConfig } from '../../runtime/config.ts';
import { testAmbient } from '../kit/ambient.ts';
import { fakeRuntime } from '../kit/fake-runtime.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-page-'));
  mkdirSync(join(folder, 'page/assets'), { recursive: true });
  writeFileSync(join(folder, 'page/index.html'), '<!doctype html><title>page</title>');
  writeFileSync(join(folder, 'page/assets/main-1a2b.js'), 'export const one = 1;');
  writeFileSync(join(folder, 'page/.hidden'), 'no');
  writeFileSync(join(folder, 'secret.html'), 'no');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function served(basePath = ''): Hono {
  const app = new Hono();
  serveInspector(app, basePath, [pathToFileURL(join(folder, 'nowhere/')), pathToFileURL(join(folder, 'page/'))]);
  return app;
}

describe('the inspector page', () => {
  test('is sent under a policy without inline scripts, styles, foreign origins and frames', async () => {
    const response = await served().request('/inspect/');
    expect(response.status).toBe(200);
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|data:|https?:/);
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
  });

  test.each([
    ['/inspect/', 'text/html; charset=utf-8', 'no-cache'],
    ['/inspect/assets/main-1a2b.js', 'text/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
  ])('%s may be kept as long as it stays the same', async (path, type, cache) => {
    const { headers } = await served().request(path);
    expect([headers.get('content-type'), headers.get('cache-control')]).toEqual([type, cache]);
  });

  test('is packed for those who can unpack it', async () => {
    const packed = await served().request('/inspect/', { headers: { 'accept-encoding': 'br, gzip' } });
    expect(packed.headers.get('content-encoding')).toBe('gzip');
    expect(new Uint8Array(await packed.arrayBuffer()).slice(0, 2)).toEqual(new Uint8Array([0x1f, 0x8b]));
    const plain = await served().request('/inspect/');
    expect(await plain.text()).toContain('<title>page</title>');
  });

  test.each([
    '/inspect/../secret.html',
    '/inspect/%2e%2e/secret.html',
    '/inspect/..%2fsecret.html',
    '/inspect/.hidden',
    '/inspect/assets/',
    '/inspect/assets/other.js',
  ])('%s is nothing', async (path) => {
    expect((await served().request(path)).status).toBe(404);
  });

  test('is found where the API is mounted', async () => {
    const app = served('/troupe');
    const redirect = await app.request('/troupe/inspect');
    expect([redirect.status, redirect.headers.get('location')]).toEqual([308, '/troupe/inspect/']);
    expect((await app.request('/troupe/inspect/')).status).toBe(200);
  });

  test('says how to build it where it is not built', async () => {
    const app = new Hono();
    serveInspector(app, '', [pathToFileURL(join(folder, 'nowhere/'))]);
    const response = await app.request('/inspect/');
    expect([response.status, await response.text()]).toEqual([503, expect.stringContaining('npm run build')]);
  });

  test('is not there when it is switched off, and the API is', async () => {
    const app = createApp(fakeRuntime(testAmbient()), { inspector: false });
    expect((await app.request('/inspect/')).status).toBe(404);
    expect((await app.request('/inspect')).status).toBe(404);
    expect((await app.request('/livez')).status).toBe(200);
  });

  test.each([
    ['off', false],
    ['0', false],
    ['on', true],
    [undefined, true],
  ])('TROUPE_INSPECTOR=%s', (given, on) => {
    expect(resolveConfig({}, { TROUPE_INSPECTOR: given }).inspector).toBe(on);
  });
});
