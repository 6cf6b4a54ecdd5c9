// Reading folders: what is read, what is left out, what is refused. Every passage must be found again in its file.

import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { agentRoot, resolveBelow } from '../../../actors/files.ts';
import { readCorpus } from '../../../actors/research/documents.ts';
import { splitDocument } from '../../../actors/research/passages.ts';
import { quietWork } from '../../../actors/work.ts';

const corpus = fileURLToPath(new URL('./corpus/', import.meta.url));
const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});
async function folderOf(files: Record<string, string | Uint8Array>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-docs-'));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

describe('passages', () => {
  test('are slices of their file that start on the line they name', async () => {
    const { documents } = await readCorpus(corpus, '.', {}, quietWork);
    let count = 0;
    for (const document of documents) {
      const raw = await readFile(join(corpus, document.file), 'utf8');
      for (const passage of await splitDocument(document)) {
        count++;
        expect(raw).toContain(passage.text);
        expect(raw.split('\n')[passage.line - 1]).toContain(passage.text.split('\n')[0]);
      }
    }
    expect(count).toBeGreaterThan(35);
  });

  test('know their section and their kind; list items and code stand alone', async () => {
    const text = await readFile(join(corpus, 'rivers.md'), 'utf8');
    const passages = await splitDocument({ file: 'rivers.md', kind: 'markdown', text });
    expect(passages.map(({ line, section, kind }) => [line, section, kind])).toEqual([
      [3, 'Rivers', 'prose'],
      [8, 'Fish', 'prose'],
      [9, 'Fish', 'prose'],
      [12, 'Fish', 'code'],
    ]);
  });

  test('of HTML hold no markup and no script', async () => {
    const text = await readFile(join(corpus, 'page.html'), 'utf8');
    const passages = await splitDocument({ file: 'page.html', kind: 'html', text });
    expect(passages.map((passage) => [passage.text, passage.line])).toEqual([
      ['A colony of honey bees has one queen and up to sixty thousand workers.', 3],
      ['dance in a figure of eight to show the others where the flowers are', 4],
    ]);
    expect(passages[0]?.section).toBe('Bees &amp; hives');
  });

  test('a long paragraph is cut at sentences and nothing of it is lost', async () => {
    const text = Array.from({ length: 60 }, (_, at) => `Sentence number ${at} says something of its own.`).join(' ');
    const passages = await splitDocument({ file: 'long.txt', kind: 'text', text });
    expect(passages.length).toBeGreaterThan(3);
    for (const passage of passages) expect(passage.text).toMatch(/\.$/);
    expect(passages.map((passage) => passage.text).join(' ')).toBe(text);
  });

  test('badges, rules and lone links say nothing', async () => {
    const text =
      '[![build](https://a.b/c.svg)](https://a.b/c)\n\n---\n\nhttps://example.com/a/very/long/link/that/says/nothing\n';
    expect(await splitDocument({ file: 'x.md', kind: 'markdown', text })).toEqual([]);
  });

  test.each(['\r\n', '\n'])('line ends %j do not matter', async (end) => {
    const text = [
      '# Title',
      '',
      'The first paragraph has one line of text.',
      '',
      'The second paragraph has another one.',
    ].join(end);
    const passages = await splitDocument({ file: 'x.md', kind: 'markdown', text });
    expect(passages.map(({ line, text: quote }) => [line, quote])).toEqual([
      [3, 'The first paragraph has one line of text.'],
      [5, 'The second paragraph has another one.'],
    ]);
  });
});

describe('a corpus', () => {
  test('leaves out what is binary or too large, and says so', async () => {
    const folder = await folderOf({
      'good.md': 'A document that can be read by anyone.',
      'binary.txt': new Uint8Array([80, 0, 81, 0, 0]),
      'large.txt': 'x'.repeat(2_000),
      'image.png': 'not a document',
      '.hidden/secret.md': 'A hidden document.',
    });
    const read = await readCorpus(folder, '.', { maxFileBytes: 1_000 }, quietWork);
    expect(read.documents.map(({ file }) => file)).toEqual(['good.md']);
    expect(read.skipped.map(({ reason }) => reason)).toEqual([
      'binary.txt is not a text file',
      'large.txt has 2000 bytes; at most 1000 are read',
    ]);
  });

  test('does not follow a link out of its folder', async () => {
    const outside = await folderOf({ 'secret.txt': 'The secret lies outside of the folder.' });
    const folder = await folderOf({ 'good.md': 'A document that can be read by anyone.' });
    await symlink(join(outside, 'secret.txt'), join(folder, 'link.txt'));
    const read = await readCorpus(folder, '.', {}, quietWork);
    expect(read.documents.map(({ file }) => file)).toEqual(['good.md']);
    expect(read.skipped[0]?.reason).toContain('outside');
  });

  test('takes only files of the given names, in any case', async () => {
    const folder = await folderOf({
      'a/README.md': 'The read-me of the package a.',
      'a/other.md': 'Another document of a.',
    });
    const read = await readCorpus(folder, '.', { named: ['readme.md'] }, quietWork);
    expect(read.documents.map(({ file }) => file)).toEqual(['a/README.md']);
  });

  test.each([
    ['a folder that is not there', 'nowhere', 'file_not_found'],
    ['a folder outside', '..', 'path_outside_root'],
    ['an absolute path outside', '/', 'path_outside_root'],
    ['a null character', 'a\0b', 'file_not_found'],
    ['an empty folder', 'empty', 'corpus_empty'],
  ])('refuses %s', async (_name, path, code) => {
    const folder = await folderOf({ 'empty/x.png': '' });
    await expect(readCorpus(folder, path, {}, quietWork)).rejects.toMatchObject({ code, retryable: false });
  });

  test('ends when it is cancelled', async () => {
    const signal = AbortSignal.abort(new Error('no longer wanted'));
    await expect(readCorpus(corpus, '.', {}, { signal, progress: () => {} })).rejects.toThrow('no longer wanted');
  });
});

describe('the folder of an agent', () => {
  test('is the working directory of the node unless the config names one', async () => {
    const folder = await folderOf({ 'sub/a.md': '' });
    expect(await agentRoot({}, { cwd: folder, env: {} })).toBe(await resolveBelow(folder, '.'));
    expect(await agentRoot({ root: 'sub' }, { cwd: folder, env: {} })).toBe(await resolveBelow(folder, 'sub'));
  });

  test('must lie in TROUPE_FILE_ROOTS when that is set', async () => {
    const folder = await folderOf({ 'open/a.md': '', 'closed/b.md': '' });
    const surroundings = { cwd: folder, env: { TROUPE_FILE_ROOTS: 'nowhere, open' } };
    await expect(agentRoot({ root: 'open' }, surroundings)).resolves.toContain('open');
    await expect(agentRoot({ root: 'closed' }, surroundings)).rejects.toMatchObject({ code: 'path_outside_root' });
    await expect(agentRoot({}, surroundings)).rejects.toMatchObject({ code: 'path_outside_root' });
  });
});
