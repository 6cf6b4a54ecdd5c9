import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { printableConfig, resolveConfig, threadEnvironment } from '../runtime/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'config-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('TROUPE_FILE_ROOTS', () => {
  test('is a list of folders that exist, and is shown by config print', () => {
    const config = resolveConfig({}, { TROUPE_FILE_ROOTS: `${folder}, ${tmpdir()}` });
    expect(config.fileRoots).toEqual([folder, tmpdir()]);
    expect(printableConfig(config)).toMatchObject({ fileRoots: [folder, tmpdir()] });
  });

  test.each([
    ['a folder that is none', join(folder, 'nowhere'), 'is none'],
    ['a file', import.meta.filename, 'is none'],
    ['nothing but commas', ' , ', 'at least one folder'],
  ])('is refused with one line when it is %s', (_name, value, why) => {
    const line = expect.stringMatching(new RegExp(`^TROUPE_FILE_ROOTS=.*${why}.*$`));
    expect(() => resolveConfig({}, { TROUPE_FILE_ROOTS: value })).toThrow(
      expect.objectContaining({ code: 'config_invalid', message: line }),
    );
  });

  test('is not set by default', () => {
    expect(resolveConfig().fileRoots).toBeUndefined();
  });
});

describe('the environment of threads', () => {
  test('tells the models and the folders of the node, wherever its configuration came from', () => {
    const config = resolveConfig({ ollamaModel: 'mine', fileRoots: [folder, tmpdir()] }, { OLLAMA_HOST: 'there:1' });
    expect(threadEnvironment(config)).toEqual({
      OLLAMA_HOST: 'there:1',
      TROUPE_OLLAMA_MODEL: 'mine',
      TROUPE_FILE_ROOTS: `${folder},${tmpdir()}`,
    });
  });

  test('leaves out what is not set', () => {
    expect(threadEnvironment(resolveConfig())).not.toHaveProperty('TROUPE_FILE_ROOTS');
  });
});
