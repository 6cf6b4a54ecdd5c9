// What `npm pack` gives, in a project of its own that has no development packages: commands, doors and types work from it.
// Dependencies are links to the installed ones, so that the test needs no network.

import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);
const LIMIT_MS = 100_000;
const MOST_BYTES = 16 * 2 ** 20;

interface Packed {
  readonly filename: string;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

let folder: string;
let packed: Packed;
let cli: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'troupe-package-'));
  packed = await pack();
  const home = join(folder, 'node_modules/troupe');
  await mkdir(home, { recursive: true });
  await run('tar', ['-xzf', join(folder, packed.filename), '-C', home, '--strip-components=1']);
  const manifest = JSON.parse(await readFile(join(home, 'package.json'), 'utf8'));
  for (const name of Object.keys(manifest.dependencies)) {
    await mkdir(dirname(join(folder, 'node_modules', name)), { recursive: true });
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  cli = join(home, manifest.bin.troupe);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** dist/ is there already: building it again would pull it from under tests that use it. */
async function pack(): Promise<Packed> {
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', folder], {
    cwd: root,
    maxBuffer: 2 ** 24,
  });
  const report = JSON.parse(stdout) as Packed[] | Record<string, Packed>;
  const [only] = Object.values(report);
  if (only === undefined) throw new Error(`npm pack reported nothing: ${stdout}`);
  return only;
}

const node = (...args: string[]) =>
  run(process.execPath, args, {
    cwd: folder,
    timeout: LIMIT_MS,
    maxBuffer: 2 ** 24,
    env: { PATH: process.env.PATH, HOME: folder, OLLAMA_HOST: '127.0.0.1:9' },
  });

test('holds what is run and read, and neither sources nor tests', () => {
  const paths = packed.files.map(({ path }) => path);
  const strange = paths.filter(
    (path) => !/^(dist|data)\//.test(path) && !['README.md', 'CHANGELOG.md', 'LICENSE', 'package.json'].includes(path),
  );
  expect(strange).toEqual([]);
  expect(paths.filter((path) => /\.map$|\.test\.|(?<!\.d)\.ts$|^dist\/(test|bench)\//.test(path))).toEqual([]);
  expect(paths).toEqual(expect.arrayContaining(['dist/http/cli.js', 'README.md', 'CHANGELOG.md', 'LICENSE']));
  const page = ['dist/http/inspector/page/index.html', 'dist/http/inspector/page/licences.txt'];
  expect(paths).toEqual(expect.arrayContaining(page));
  expect(paths.some((path) => /^dist\/runtime\/store\/prepared-\w+\.tgz$/.test(path))).toBe(true);
  expect(packed.unpackedSize).toBeLessThan(MOST_BYTES);
});

test('every door that its package.json names opens', async () => {
  const { exports } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const doors = Object.keys(exports).filter((door) => !door.endsWith('.json'));
  expect(doors).toEqual(['.', './agents', './http', './testing']);
  const script = doors.map((door) => `console.log(Object.keys(await import('troupe${door.slice(1)}')).join());`);
  const { stdout } = await node('--input-type=module', '-e', script.join('\n'));
  const [library, agents, http, testing] = stdout.split('\n');
  expect(library).toContain('createTroupe');
  expect(agents).toContain('defineAgent');
  expect(http).toContain('createApp');
  expect(testing).toContain('strategyConformance');
});

test('a user of the types compiles under strict settings', async () => {
  const source = `
    import { createTroupe, type TaskView } from 'troupe';
    import { capability, defineAgent, z } from 'troupe/agents';
    import { mintToken } from 'troupe/http';
    import { strategyConformance } from 'troupe/testing';
    export const greeter = defineAgent({ type: 'greeter', capabilities: { 'text.greet': capability({
      version: 1, input: z.object({ name: z.string() }), output: z.object({ greeting: z.string() }),
      handle: ({ name }) => ({ greeting: name.toUpperCase() }) }) } });
    const troupe = await createTroupe({ dataDir: 'memory://' });
    const task: TaskView = await troupe.tasks.get('x');
    // @ts-expect-error a port is a number
    const wrong: string = (await troupe.system.status()).uptimeMs;
    console.log(mintToken, task, wrong, strategyConformance);`;
  await writeFile(join(folder, 'user.ts'), source);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const flags = ['--strict', '--noEmit', '--skipLibCheck', '--target', 'es2023', '--module', 'nodenext'];
  const types = ['--typeRoots', join(root, 'node_modules/@types'), '--types', 'node', '--ignoreConfig'];
  const { stdout } = await node(compiler, ...flags, ...types, 'user.ts').catch((error: { stdout: string }) => error);
  expect(stdout).toBe('');
});

describe('its command', () => {
  test('runs the examples of the patterns, and says what decided them', async () => {
    const { stdout, stderr } = await node(cli, 'demo', 'patterns', '--only', 'consensus', 'auction', '--json');
    const results = JSON.parse(stdout) as { pattern: string; text: string; runs: Record<string, unknown>[] }[];
    expect(results.map(({ pattern }) => pattern)).toEqual(['consensus', 'auction']);
    const [vote, auction] = results;
    expect(vote?.text).toContain('0.079  degrees per decade, without 0.206');
    expect(vote?.runs).toMatchObject([
      {
        status: 'completed',
        stopReason: 'decided',
        decided: expect.arrayContaining([expect.stringMatching(/^vote by median/)]),
      },
    ]);
    expect(auction?.text).toContain('weather: specialist for 14.61, the second price is 60');
    expect(auction?.runs[0]?.decided).toContainEqual(
      'award by lowest_score: weather: specialist (of specialist 14.61, flat-price 60, by-the-row 146.1)',
    );
    expect(stderr).toContain('== auction');
  });

  test('names the patterns there are examples of', async () => {
    const wrong = node(cli, 'demo', 'patterns', '--only', 'auktion');
    await expect(wrong).rejects.toMatchObject({ code: 64, stderr: expect.stringContaining('sequential, parallel') });
  });

  test('shows its help', async () => {
    expect((await node(cli, '--help')).stdout).toMatch(/^Usage: troupe /);
  });

  test('runs the demo to its report on the data of the package', async () => {
    await mkdir(join(folder, 'docs'));
    await writeFile(
      join(folder, 'docs/pool.md'),
      '# Pool\n\nConnections are pooled by size, ten unless you say more.\n',
    );
    const args = ['--docs', 'docs', '--ask', 'How are connections pooled?', '--no-kill'];
    const { stdout } = await node(cli, 'demo', '--exit', '--json', '--data-dir', 'data', ...args);
    const result = JSON.parse(stdout) as { tasks: number; steps: { status: string }[] };
    expect(result.tasks).toBe(6);
    expect(new Set(result.steps.map(({ status }) => status))).toEqual(new Set(['completed']));
    const report = await readFile(join(folder, 'troupe-report.md'), 'utf8');
    expect(report).toContain('ten unless you say more');
    expect(report).toContain('co2-concentration.csv');
  });
});
