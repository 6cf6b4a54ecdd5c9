// The parent of a node with real processes: what it restarts, what it passes on, when it gives up.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';

const parentModule = new URL('../../http/parent.ts', import.meta.url).href;
const root = fileURLToPath(new URL('../..', import.meta.url));
const LIMIT_MS = 30_000;

/** Writes down each start and does what the word for that start says; the last word holds for all later ones. */
const NODE = `
import { appendFileSync, readFileSync } from 'node:fs';
const [ledger, ...words] = process.argv.slice(2);
appendFileSync(ledger, 'start ' + process.pid + '\\n');
const starts = readFileSync(ledger, 'utf8').split('\\n').filter((line) => line.startsWith('start')).length;
const word = words[Math.min(starts, words.length) - 1];
process.on('SIGTERM', () => { appendFileSync(ledger, 'SIGTERM\\n'); if (word !== 'stubborn') process.exit(0); });
process.on('SIGINT', () => { appendFileSync(ledger, 'SIGINT\\n'); setTimeout(() => process.exit(0), 200); });
if (word === 'throw') throw new Error('as told');
else if (word === 'abort') process.abort();
else if (word === 'kill') process.kill(process.pid, 'SIGKILL');
else if (word === 'stay' || word === 'stubborn') { setInterval(() => {}, 1000); appendFileSync(ledger, 'ready\\n'); }
else process.exit(Number(word));
`;

let folder: string;
let ledger: string;
const started: ChildProcess[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'troupe-parent-'));
  ledger = join(folder, 'ledger');
  await writeFile(ledger, '');
  await writeFile(join(folder, 'node.mjs'), NODE);
});

afterEach(async () => {
  for (const child of started.splice(0)) if (child.exitCode === null) child.kill('SIGKILL');
  for (const pid of await pids()) if (alive(pid)) process.kill(pid, 'SIGKILL');
  await rm(folder, { recursive: true, force: true });
});

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; output: string }>;
}

async function run(words: readonly string[], options: Record<string, number> = {}): Promise<Run> {
  const args = JSON.stringify([join(folder, 'node.mjs'), ledger, ...words]);
  const settings = JSON.stringify({ minBackoffMs: 10, ...options });
  const file = join(folder, 'parent.mjs');
  await writeFile(
    file,
    `import { runUnderParent } from ${JSON.stringify(parentModule)};
     process.exitCode = await runUnderParent({ args: ${args}, ...${settings} });`,
  );
  const tsx = pathToFileURL(join(root, 'node_modules/tsx/dist/loader.mjs')).href;
  const child = spawn(process.execPath, ['--import', tsx, file], { cwd: root, stdio: ['ignore', 'ignore', 'pipe'] });
  started.push(child);
  let output = '';
  child.stderr?.on('data', (chunk) => {
    output += String(chunk);
  });
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, output }));
  });
  return { child, ended };
}

const lines = async () => (await readFile(ledger, 'utf8')).split('\n').filter(Boolean);
const pids = async () =>
  (await lines()).filter((line) => line.startsWith('start ')).map((line) => Number(line.slice('start '.length)));

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await sleep(20);
  }
}
const has =
  (line: string, count = 1) =>
  async () =>
    (await lines()).filter((each) => each === line).length >= count;

describe('the parent of a node', () => {
  test.each([
    ['an uncaught throw', 'throw'],
    ['an abort', 'abort'],
    ['kill -9', 'kill'],
    ['an unknown exit code', '3'],
    ['an escalation of its supervision tree', '80'],
  ])('starts the node again after %s', async (_name, word) => {
    const { ended } = await run([word, '0']);
    expect((await ended).code).toBe(0);
    expect(await pids()).toHaveLength(2);
  });

  test.each([
    ['stopped on request', 0],
    ['port busy', 69],
    ['locked or database away', 75],
    ['bad configuration', 78],
  ])('does not start it again after %s, and passes the code on', async (_name, code) => {
    const { ended } = await run([String(code)]);
    expect((await ended).code).toBe(code);
    expect(await pids()).toHaveLength(1);
  });

  it('gives up beyond its budget with one clear line and a code of its own', async () => {
    const { ended } = await run(['3'], { maxRestarts: 3, maxBackoffMs: 40 });
    const { code, output } = await ended;
    expect(code).toBe(70);
    expect(await pids()).toHaveLength(4);
    expect(output.split('\n').filter((line) => line.includes('gave up after 3 restarts within 60 s'))).toHaveLength(1);
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('passes %s on and ends with the node', async (signal) => {
    const { child, ended } = await run(['stay']);
    await until('ready', has('ready'));
    child.kill(signal);
    expect((await ended).code).toBe(0);
    expect((await lines()).filter((line) => line === signal)).toHaveLength(1);
  });

  it('ends a node at once that does not heed the first signal when a second comes', async () => {
    const { child, ended } = await run(['stubborn']);
    await until('ready', has('ready'));
    child.kill('SIGTERM');
    await until('the first signal', has('SIGTERM'));
    child.kill('SIGTERM');
    expect((await ended).code).toBe(137);
    expect((await pids()).some(alive)).toBe(false);
  });

  it('does not start anything after a signal that came during the back-off', async () => {
    const { child, ended } = await run(['3', 'stay'], { minBackoffMs: 60_000, maxBackoffMs: 60_000 });
    await until('the first start', async () => (await pids()).length === 1);
    await until('its end', async () => !(await pids()).some(alive));
    child.kill('SIGTERM');
    await ended;
    expect(await pids()).toHaveLength(1);
  });

  test.each(['stay', 'stubborn'])('takes the node (%s) with it when it is killed with -9', async (word) => {
    const { child, ended } = await run([word]);
    await until('ready', has('ready'));
    child.kill('SIGKILL');
    await ended;
    await until('the node is gone', async () => !(await pids()).some(alive));
    expect(await has('SIGTERM')()).toBe(true);
  });
});
