// The generation agent: a report with a model, without one, and with one that misbehaves; text by a model only.

import { describe, expect, test } from 'vitest';
import { generationAgent } from '../../../actors/generation/generation-agent.ts';
import { number } from '../../../actors/generation/numbers.ts';
import { FakeCell, taskOf } from '../../kit/fake-cell.ts';
import { type FakeAnswer, fakeOllama } from '../../kit/fake-ollama.ts';

async function run(
  capability: string,
  input: unknown,
  config: Record<string, unknown>,
  signal = new AbortController().signal,
) {
  const cell = new FakeCell({ config });
  const behavior = generationAgent.create(cell);
  await behavior.start();
  const outcome = await behavior.runTask?.(taskOf(capability, input), signal);
  return { outcome, cell };
}

const passage = (file: string, line: number, quote: string, score = 10) => ({
  file,
  line,
  quote,
  score,
  section: 'Use',
  terms: [],
});
const INPUT = {
  question: 'How are connections pooled, and when are they closed?',
  folder: 'docs',
  searches: [
    {
      question: 'How are connections pooled?',
      searched: 100,
      passages: [
        passage('pool.md', 3, 'A pool keeps up to ten connections\nand hands them out in turn.'),
        passage('pool.md', 9, 'Idle connections are closed after ten seconds.', 8),
        passage('other.md', 1, 'Barely related.', 0.1),
      ],
    },
    {
      question: 'when are they closed?',
      searched: 100,
      passages: [
        passage('pool.md', 9, 'Idle connections are closed after ten seconds.'),
        { ...passage('use.md', 5, 'pool.end();\nprocess.exit();'), kind: 'code' },
      ],
    },
  ],
  survey: {
    files: 3,
    passages: 40,
    words: 900,
    themes: [{ term: 'pool', count: 9, files: 2 }],
    repeatedPassages: 1,
    pairsCompared: 780,
  },
  findings: [
    {
      claim: 'The pool has no limit.',
      verdict: 'refuted',
      method: 'rules',
      reason: 'x',
      sources: [{ file: 'pool.md', line: 3, text: 'y' }],
    },
  ],
  datasets: [
    {
      file: 'load.csv',
      rows: 48,
      time: { column: 'day', step: 'day', from: '2024-01-01', to: '2024-02-17' },
      series: [
        {
          name: 'requests',
          describe: { n: 48, mean: 1_234.567, sd: 12.3456, min: 1_200, median: 1_234, max: 1_300 },
          trend: {
            direction: 'rising',
            robustSlope: 0.5,
            perYear: 182.6,
            pValue: 0.001,
            interval: { low: 100, high: 250, level: 0.95, rounds: 200 },
          },
          seasonality: { label: '7 days', strength: 0.8, high: '2024-01-02', low: '2024-01-06', swing: 40 },
          anomalies: { count: 1, threshold: 3.5, top: [{ at: '2024-01-20', value: 1_300, expected: 1_240, score: 5 }] },
        },
      ],
      categories: [{ name: 'region', values: [{ value: 'north', count: 30 }] }],
    },
  ],
  notes: { 'load.csv': 'Measured by ourselves' },
};

interface Report {
  markdown: string;
  mode: string;
  reason: string;
  quotes: { number: number; file: string; quote: string }[];
}
async function report(config: Record<string, unknown>, input: unknown = INPUT): Promise<Report> {
  const { outcome } = await run('report.write', input, config);
  if (outcome?.type !== 'completed') throw Object.assign(new Error('failed'), { outcome });
  return outcome.result as Report;
}

/** Everything but the prose of the answer, which both modes have in common. */
function expectComplete({ markdown, quotes }: Report): void {
  for (const heading of [
    '## Answer',
    '## What the documents say',
    '## Claims checked',
    '## The documents',
    '## Numbers',
    '## Sources',
  ]) {
    expect(markdown).toContain(heading);
  }
  expect(quotes.map(({ number: n, file }) => [n, file])).toEqual([
    [1, 'pool.md'],
    [2, 'pool.md'],
    [3, 'use.md'],
  ]);
  expect(markdown).toContain('> A pool keeps up to ten connections\n> and hands them out in turn.');
  expect(markdown).toContain('> ```\n> pool.end();\n> process.exit();\n> ```');
  expect(markdown).not.toContain('Barely related');
  expect(markdown).toContain('[1] `pool.md:3`, under "Use"');
  expect(markdown).toContain('| requests | 48 | 1,235 | 12.35 | 1,200 | 1,234 | 1,300 |');
  expect(markdown).toContain('rising, +182.6 a year, 95 % interval 100 to 250');
  expect(markdown).toContain('A cycle of 7 days explains 80 %');
  expect(markdown).toContain('strongest 2024-01-20: 1,300, expected 1,240');
  expect(markdown).toContain('`load.csv`, 48 rows. Measured by ourselves');
  expect(markdown).toContain('- **refuted** (by rules): The pool has no limit. Sources: `pool.md:3`.');
}

describe('report.write', () => {
  test('by extraction is complete and says that no model took part, and why', async () => {
    const server = await fakeOllama();
    await server.close();
    const result = await report({ ollamaHost: server.host });
    expectComplete(result);
    expect(result.mode).toBe('extraction');
    expect(result.markdown).toContain(
      `without a language model (no Ollama server answers at ${server.host} (ECONNREFUSED))`,
    );
  });

  test('by a model is complete, says which model, and drops references to quotes that do not exist', async () => {
    await using server = await fakeOllama({
      answer: () =>
        JSON.stringify({ answer: 'Ten at most [1], closed when idle [2], and so on [77].', sources: [1, 2, 77] }),
    });
    const result = await report({ ollamaHost: server.host });
    expectComplete(result);
    expect(result).toMatchObject({ mode: 'model', model: 'llama3.2' });
    expect(result.markdown).toContain('Ten at most [1], closed when idle [2], and so on .');
    expect(result.markdown).toContain(`the answer was written by llama3.2 through Ollama at ${server.host}`);
    expect(server.chats[0]?.messages.at(-1)?.content).toContain('[1] (pool.md) A pool keeps');
  });

  test.each<[string, FakeAnswer, RegExp]>([
    ['answers nonsense twice', 'no json', /no valid answer after one repair/],
    ['breaks down', { status: 500, error: 'boom' }, /answered 500: boom/],
    ['cuts the answer short', { cut: '{"answer":' }, /cut the answer short/],
  ])('falls back to extraction when the server %s', async (_name, answer, why) => {
    await using server = await fakeOllama({ answer: () => answer });
    const result = await report({ ollamaHost: server.host });
    expectComplete(result);
    expect(result.mode).toBe('extraction');
    expect(result.reason).toMatch(why);
  });

  test('names the command that pulls a missing model', async () => {
    await using server = await fakeOllama({ models: ['other:latest'] });
    expect((await report({ ollamaHost: server.host })).reason).toContain('ollama pull llama3.2');
  });

  test('of nothing found says that nothing answers', async () => {
    const result = await report({ models: 'off' }, { question: 'Is there anything?' });
    expect(result.markdown).toContain('No passage answers "Is there anything?".');
    expect(result.mode).toBe('extraction');
  });

  test('asks the server nothing when models are off', async () => {
    await using server = await fakeOllama();
    await report({ ollamaHost: server.host, models: 'off' });
    expect(server.chats).toHaveLength(0);
  });
});

describe('text.generate', () => {
  test('streams its text as progress', async () => {
    await using server = await fakeOllama({
      answer: () => ({ chunks: Array.from({ length: 40 }, (_, at) => `word${at} `) }),
    });
    const { outcome, cell } = await run('text.generate', { prompt: 'say something' }, { ollamaHost: server.host });
    expect(outcome).toMatchObject({
      type: 'completed',
      result: { model: 'llama3.2', text: expect.stringContaining('word39') },
    });
    expect(cell.requests.filter((request) => request.type === 'task.progress').length).toBeGreaterThan(1);
  });

  test('gives data of a schema', async () => {
    await using server = await fakeOllama({ answer: () => '{"n":3}' });
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
    const { outcome } = await run('text.generate', { prompt: 'count', schema }, { ollamaHost: server.host });
    expect(outcome).toMatchObject({ type: 'completed', result: { data: { n: 3 } } });
  });

  test('fails with a code of its own when the model is missing, the server down, the answer wrong', async () => {
    await using missing = await fakeOllama({ models: [] });
    await using wrong = await fakeOllama({ answer: () => 'nope' });
    const down = await fakeOllama();
    await down.close();
    const schema = { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] };
    const failure = async (host: string, more: object = {}) =>
      (await run('text.generate', { prompt: 'x', ...more }, { ollamaHost: host })).outcome;
    expect(await failure(missing.host)).toMatchObject({
      type: 'failed',
      error: { code: 'model_missing', retryable: false, message: expect.stringContaining('ollama pull llama3.2') },
    });
    expect(await failure(down.host)).toMatchObject({
      type: 'failed',
      error: { code: 'model_unavailable', retryable: true },
    });
    expect(await failure(wrong.host, { schema })).toMatchObject({ type: 'failed', error: { code: 'invalid_output' } });
    expect(await failure(wrong.host, { schema: { type: 'nonsense' } })).toMatchObject({
      error: { code: 'invalid_schema' },
    });
  });

  test('a cancelled task closes the connection', async () => {
    const abort = new AbortController();
    await using server = await fakeOllama({
      answer: () => {
        setImmediate(() => abort.abort());
        return { hang: true };
      },
    });
    const { outcome } = await run('text.generate', { prompt: 'x' }, { ollamaHost: server.host }, abort.signal);
    expect(outcome?.type).not.toBe('completed');
    await expect.poll(() => server.aborted()).toBe(1);
  });
});

test.each([
  [1_234_567, '1,234,567'],
  [1_234.567, '1,235'],
  [0.067_708, '0.06771'],
  [-7.1, '-7.1'],
  [Number.NaN, 'n/a'],
])('%d is written %s', (value, text) => {
  expect(number(value)).toBe(text);
});
