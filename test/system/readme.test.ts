// README.md does what it says: its snippets run as they stand, its commands exist, its generated parts are current.

import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { OPTIONS } from '../../runtime/config.ts';
import { type NodeProcess, startNode } from '../kit/node-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const cli = join(root, 'dist/http/cli.js');
const run = promisify(execFile);
const LIMIT_MS = 60_000;

let readme: string;
let folder: string;
let node: NodeProcess | undefined;

beforeAll(async () => {
  readme = await readFile(join(root, 'README.md'), 'utf8');
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'troupe-readme-'));
});
afterEach(async () => {
  await node?.stop();
  node = undefined;
  await rm(folder, { recursive: true, force: true });
});

/** The code block after a comment of README, with what the pattern captured of the comment. */
function blocks(comment: string): { readonly words: readonly string[]; readonly text: string }[] {
  return [...readme.matchAll(new RegExp(`<!-- ${comment} -->\\n\`\`\`\\w+\\n([\\s\\S]*?)\\n\`\`\``, 'g'))].map(
    (match) => ({
      words: match.slice(1, -1).map(String),
      text: String(match.at(-1)),
    }),
  );
}

/** Variables of the developer's shell must not decide what a snippet does. */
function environment(): NodeJS.ProcessEnv {
  const ours = new Set<string>(Object.values(OPTIONS).map(({ env }) => env));
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.has(name) && name !== 'NODE_OPTIONS'));
}

test('its generated parts are up to date', () => {
  const check = spawnSync(process.execPath, [join(root, 'scripts/readme.mjs'), '--check'], { encoding: 'utf8' });
  expect(check.stderr).toBe('');
  expect(check.status).toBe(0);
});

test('its files, put where it says, print what it says', async () => {
  const files = blocks('file: \\S+ as (\\S+)');
  const outputs = blocks('output: (\\S+)');
  expect(files.length).toBeGreaterThan(1);
  expect(outputs.length).toBeGreaterThan(0);
  await mkdir(join(folder, 'node_modules'));
  await symlink(root, join(folder, 'node_modules/troupe'));
  for (const { words, text } of files) {
    const path = join(folder, words[0] ?? '');
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${text}\n`);
  }
  for (const { words, text } of outputs) {
    const options = { cwd: folder, env: environment(), timeout: LIMIT_MS };
    const { stdout } = await run(process.execPath, [words[0] ?? ''], options);
    expect(stdout.trimEnd()).toBe(text);
  }
});

describe('its calls over HTTP', () => {
  const hasCurl = spawnSync('curl', ['--version']).status === 0;
  if (!hasCurl) console.log('skipped: the calls of README need curl, which is not installed');

  test.skipIf(!hasCurl)('work against a node that was started as it says', async () => {
    const [block] = blocks('curl');
    // Empty: not set. The secret is the one the node makes in its data folder.
    node = await startNode({ dataDir: join(folder, '.troupe'), env: { TROUPE_JWT_SECRET: '', TROUPE_AGENTS: '' } });
    const script = (block?.text ?? '')
      .replaceAll('npx troupe', `'${process.execPath}' '${cli}'`)
      .replaceAll('http://127.0.0.1:3000', node.url);
    expect(script).toContain(node.url);
    const options = { cwd: folder, env: environment(), timeout: LIMIT_MS };
    const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], options);
    expect(stdout).toMatch(/"type":"probe","name":"worker"/);
    expect(stdout).toMatch(/"status":"completed"/);
    expect(stdout).toMatch(/"answer":42/);
  });
});

test('its commands exist and have help', async () => {
  const cells = [...readme.matchAll(/^\| (`npx troupe[^|]+)\|/gm)].map((match) => String(match[1]));
  const commands = cells.flatMap((cell) =>
    [...cell.matchAll(/`(?:npx troupe )?([^`]+)`/g)].map((match) => match[1] ?? ''),
  );
  expect(commands.length).toBeGreaterThan(7);
  for (const command of commands) {
    const { stdout } = await run(process.execPath, [cli, ...command.split(' '), '--help'], { timeout: LIMIT_MS });
    expect(stdout).toMatch(new RegExp(`^Usage: troupe ${command}\\b`));
  }
});

test('the options it names for the demo are options of the demo', async () => {
  const named = [...(readme.match(/^\| `npx troupe demo`.*$/m)?.[0] ?? '').matchAll(/`(--[a-z-]+)/g)];
  const { stdout } = await run(process.execPath, [cli, 'demo', '--help'], { timeout: LIMIT_MS });
  expect(named.length).toBeGreaterThan(2);
  for (const [, option] of named) expect(stdout).toContain(`${option} `);
});
