// The demo on a real node: real threads, the real corpus and data, a thread killed for real. Its quotes are looked up in their files.

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { type DemoResult, runDemo } from '../../http/demo/run-demo.ts';
import { createTroupe } from '../../runtime/index.ts';

const DOCS = join(process.cwd(), 'node_modules');

interface Quote {
  readonly text: string;
  readonly file: string;
  readonly line: number;
}

/** The block quotes of a report with the place named under each; code stands in a fence inside its quote. */
function quotesOf(markdown: string): Quote[] {
  return [...markdown.matchAll(/((?:^>.*\n)+)\n\[\d+\] `([^`]+):(\d+)`/gm)].map(([, block = '', file = '', line]) => ({
    text: block
      .trimEnd()
      .split('\n')
      .map((row) => row.slice(2))
      .filter((row) => row !== '```')
      .join('\n'),
    file,
    line: Number(line),
  }));
}

async function expectVerbatim(markdown: string): Promise<void> {
  const quotes = quotesOf(markdown);
  expect(quotes.length).toBeGreaterThanOrEqual(5);
  for (const { text, file, line } of quotes) {
    const source = await readFile(join(DOCS, file), 'utf8');
    expect(source).toContain(text);
    expect(source.split('\n')[line - 1]).toContain(text.split('\n')[0]);
  }
}

function expectInterruptedAndComplete(result: DemoResult): void {
  expect(result.killedThreads).toHaveLength(1);
  expect(result.interrupted.length).toBeGreaterThan(0);
  for (const step of result.steps) expect(step.status).toBe('completed');
  for (const step of result.steps.filter(({ step: id }) => result.interrupted.includes(id))) {
    expect(step.attempts).toBeGreaterThan(1);
  }
  expect(result.restarts).toBeGreaterThan(0);
}

test('a thread is killed in the middle, the interrupted step runs again, and every quote of the report is in its file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-demo-'));
  const lines: string[] = [];
  const out = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  try {
    await using troupe = await createTroupe({
      dataDir: 'memory://',
      threads: 2,
      logLevel: 'silent',
      ollamaHost: '127.0.0.1:9',
    });
    const report = join(folder, 'report.md');
    const result = await runDemo(troupe, { report, out, isTty: false, apiUrl: 'http://127.0.0.1:3000' });
    expectInterruptedAndComplete(result);
    expect(result.messages).toBeGreaterThan(0);
    for (const step of result.steps) expect(step.threads).toHaveLength(step.attempts);
    expect((await troupe.agents.list({})).items).toEqual([]);
    expect(await readFile(report, 'utf8')).toBe(result.markdown);
    await expectVerbatim(result.markdown);
    for (const heading of ['## Answer', '## What the documents say', '## The documents', '## Numbers', '## Sources']) {
      expect(result.markdown).toContain(heading);
    }
    expect(lines.join('')).toMatch(/was killed in the middle of .+: run again and completed/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}, 120_000);
