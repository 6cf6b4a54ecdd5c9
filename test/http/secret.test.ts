// The token secret: made once for loopback, private to its user, refused where others could reach the server.

import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { isLoopback, resolveSecret } from '../../http/secret.ts';

const folder = mkdtempSync(join(tmpdir(), 'troupe-secret-'));
afterEach(() => {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
});
afterAll(() => rmSync(folder, { recursive: true }));
const config = (over: Partial<Parameters<typeof resolveSecret>[0]> = {}) => ({
  host: '127.0.0.1',
  dataDir: folder,
  jwtSecret: undefined,
  ...over,
});

test('is made once, for the user alone', () => {
  const secret = resolveSecret(config());
  expect(secret.length).toBeGreaterThanOrEqual(43);
  expect(resolveSecret(config())).toBe(secret);
  expect(statSync(join(folder, 'jwt-secret')).mode & 0o777).toBe(0o600);
});

test('that is configured wins and writes nothing', () => {
  expect(resolveSecret(config({ jwtSecret: 'x'.repeat(32), host: '0.0.0.0' }))).toBe('x'.repeat(32));
  expect(readdirSync(folder)).toEqual([]);
});

test.each(['0.0.0.0', '::', '192.168.1.5', 'example.org', '127.evil.example', '[::]'])(
  'is not made for %s, which others can reach',
  (host) => {
    expect(() => resolveSecret(config({ host }))).toThrow(/TROUPE_JWT_SECRET/);
    expect(readdirSync(folder)).toEqual([]);
  },
);

test('in a folder that cannot be written is one clear line', () => {
  writeFileSync(join(folder, 'file'), '');
  expect(() => resolveSecret(config({ dataDir: join(folder, 'file', 'x') }))).toThrow(/TROUPE_DATA_DIR=.*cannot hold/);
});

describe('loopback', () => {
  test.each([
    ['127.0.0.1', true],
    ['127.8.9.10', true],
    ['::1', true],
    ['[::1]', true],
    ['localhost', true],
    ['0.0.0.0', false],
    ['128.0.0.1', false],
    ['localhost.evil.example', false],
  ])('%s: %s', (host, expected) => {
    expect(isLoopback(host)).toBe(expected);
  });
});

test('is not written into a folder that somebody else made', () => {
  writeFileSync(join(folder, 'letters.txt'), 'dear');
  expect(() => resolveSecret(config())).toThrow(/not empty \(letters\.txt\) and was not made by Troupe/);
  expect(readdirSync(folder)).toEqual(['letters.txt']);
  writeFileSync(join(folder, 'troupe.json'), '{}');
  expect(resolveSecret(config()).length).toBeGreaterThanOrEqual(43);
});
