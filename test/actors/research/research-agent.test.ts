// The research agent as a task sees it: planted documents, planted claims, with a model and without.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { researchAgent } from '../../../actors/research/research-agent.ts';
import { FakeCell, taskOf } from '../../kit/fake-cell.ts';
import { fakeOllama } from '../../kit/fake-ollama.ts';

const root = fileURLToPath(new URL('./corpus/', import.meta.url));

async function run(capability: string, input: unknown, config: Record<string, unknown> = {}): Promise<unknown> {
  const behavior = researchAgent.create(new FakeCell({ config: { root, models: 'off', ...config } }));
  await behavior.start();
  const outcome = await behavior.runTask?.(taskOf(capability, input), new AbortController().signal);
  if (outcome?.type === 'completed') return outcome.result;
  throw Object.assign(new Error('the task failed'), { outcome });
}

interface Search {
  passages: { file: string; line: number; quote: string; score: number }[];
}

describe('document.search', () => {
  test.each([
    ['When was the lighthouse of Varnholm lit for the first time?', 'sub/planted.txt'],
    ['who winds the clockwork of the lamp', 'sub/planted.txt'],
    ['How long is the Danube?', 'rivers.md'],
    ['how do bees show where flowers are', 'page.html'],
    ['population of Oslo', 'cities.csv'],
    ['how often does the gateway retry requests', 'config.json'],
  ])('"%s" finds the planted document in the first three', async (question, file) => {
    const { passages } = (await run('document.search', { question, folder: '.' })) as Search;
    expect(passages.slice(0, 3).map((passage) => passage.file)).toContain(file);
  });

  test('every quote is in the named file, on the named line', async () => {
    const question = 'lighthouse lamp river garden topic flowers population request';
    const { passages } = (await run('document.search', { question, folder: '.', limit: 50 })) as Search;
    expect(passages.length).toBeGreaterThan(10);
    for (const { file, line, quote } of passages) {
      const raw = readFileSync(join(root, file), 'utf8');
      expect(raw).toContain(quote);
      expect(raw.split('\n')[line - 1]).toContain(quote.split('\n')[0]);
    }
  });

  test('equal passages are given once, and no file gives more than its share', async () => {
    const { passages } = (await run('document.search', {
      question: 'lamp in the hall',
      folder: '.',
      perFile: 1,
      limit: 50,
    })) as Search;
    const quotes = passages.map((passage) => passage.quote);
    expect(new Set(quotes).size).toBe(quotes.length);
    expect(new Set(passages.map((passage) => passage.file)).size).toBe(passages.length);
  });

  test('a question of stop words, or of words that are nowhere, finds nothing', async () => {
    expect(await run('document.search', { question: 'what is it', folder: '.' })).toMatchObject({ passages: [] });
    expect(await run('document.search', { question: 'quaternion zebra', folder: '.' })).toMatchObject({ passages: [] });
  });

  test('texts can be given instead of a folder', async () => {
    const documents = [{ name: 'note.txt', text: 'The archive opens at nine on every working day.' }];
    expect(await run('document.search', { question: 'when does the archive open', documents })).toMatchObject({
      passages: [{ file: 'note.txt', line: 1 }],
    });
  });

  test.each([
    [
      'both folder and documents',
      { question: 'abc', folder: '.', documents: [{ name: 'a', text: 'b' }] },
      'invalid_input',
    ],
    ['neither', { question: 'abc' }, 'invalid_input'],
    ['a folder outside', { question: 'abc', folder: '../..' }, 'path_outside_root'],
    ['a folder that is not there', { question: 'abc', folder: 'nope' }, 'file_not_found'],
  ])('refuses %s', async (_name, input, code) => {
    await expect(run('document.search', input)).rejects.toMatchObject({
      outcome: { type: 'failed', error: { code, retryable: false } },
    });
  });
});

describe('document.read', () => {
  test('gives the text', async () => {
    expect(await run('document.read', { file: 'sub/planted.txt' })).toMatchObject({
      file: 'sub/planted.txt',
      kind: 'text',
      truncated: false,
    });
  });
  test.each([
    ['../research-agent.test.ts', 'path_outside_root'],
    ['sub', 'not_text'],
    ['missing.md', 'file_not_found'],
  ])('refuses %s', async (file, code) => {
    await expect(run('document.read', { file })).rejects.toMatchObject({ outcome: { error: { code } } });
  });
});

describe('document.survey', () => {
  test('counts files and finds what is repeated', async () => {
    expect(await run('document.survey', { folder: '.' })).toMatchObject({
      files: 35,
      byKind: { markdown: 31, text: 1, html: 1, csv: 1, json: 1 },
      repeatedPassages: 30,
      repeats: [{ count: 30 }],
    });
  });
});

describe('document.extract', () => {
  test('facts about a subject come first, verbatim, with their numbers', async () => {
    const result = (await run('document.extract', { folder: '.', about: 'how long is the Danube', limit: 3 })) as {
      facts: { text: string; file: string; line: number; numbers: string[] }[];
    };
    expect(result.facts[0]).toMatchObject({
      file: 'rivers.md',
      line: 3,
      text: 'The Danube is 2850 kilometres long and flows through ten countries.',
      numbers: [expect.stringContaining('2850')],
    });
  });

  test('entities are counted once per place', async () => {
    const text =
      'See https://a.io/v1.2.3 and `npm ci`. Version 1.2.3 takes 30 ms. We met Ada Lovelace and Ada Lovelace met us.';
    const result = (await run('document.extract', { documents: [{ name: 'a.md', text }], kinds: ['entities'] })) as {
      entities: { text: string; kind: string; count: number }[];
    };
    const found = Object.fromEntries(
      result.entities.map(({ kind, text: entity, count }) => [`${kind} ${entity}`, count]),
    );
    expect(found).toMatchObject({
      'url https://a.io/v1.2.3': 1,
      'code npm ci': 1,
      'version 1.2.3': 1,
      'number 30 ms': 1,
      'name Ada Lovelace': 2,
    });
  });

  test('a schema needs a model', async () => {
    const schema = { type: 'object', properties: { km: { type: 'number' } }, required: ['km'] };
    await expect(run('document.extract', { folder: 'rivers.md', schema })).rejects.toMatchObject({
      outcome: { error: { code: 'model_required', retryable: false } },
    });
    await using ollama = await fakeOllama({ answer: () => '{"km":2850}' });
    const config = { models: 'auto', ollamaHost: ollama.host };
    expect(await run('document.extract', { folder: 'rivers.md', schema }, config)).toMatchObject({
      data: { km: 2850 },
    });
  });
});

const CLAIMS = [
  ['The Danube is 2850 kilometres long.', 'supported'],
  ['The Danube is 1200 kilometres long.', 'refuted'],
  ['The Danube ends in the Black Sea.', 'supported'],
  ['The lighthouse of Varnholm was lit for the first time in 1874.', 'supported'],
  ['The lighthouse of Varnholm was lit for the last time in 1874.', 'refuted'],
  ['The harbour is open in winter.', 'refuted'],
  ['The pike forms schools.', 'refuted'],
  ['A colony of honey bees has one queen.', 'supported'],
  ['A colony of honey bees has three queens.', 'refuted'],
  ['The sturgeon migrates upstream in autumn.', 'refuted'],
] as const;

interface Verified {
  findings: {
    claim: string;
    verdict: string;
    method: string;
    sources: { file: string; line: number; text: string }[];
  }[];
}
const score = ({ findings }: Verified): number =>
  findings.filter((finding, at) => finding.verdict === CLAIMS[at]?.[1]).length;
const claims = CLAIMS.map(([claim]) => claim);

describe('fact.verify', () => {
  test('with a model at least 9 of 10 planted claims are judged right, and the sources are ours', async () => {
    // The stub is wrong about one of them, answers another with a source that does not exist, and a third after a repair.
    let repaired = false;
    await using ollama = await fakeOllama({
      answer: ({ messages }) => {
        const last = messages.at(-1)?.content ?? '';
        if (last.includes('does not fit')) {
          repaired = true;
          return JSON.stringify({ verdict: 'supported', sources: [1], reason: 'said so' });
        }
        const claim = last.split('Claim: ')[1] ?? '';
        const right = CLAIMS.find(([text]) => text === claim)?.[1];
        if (claim.includes('Black Sea')) return '{"verdict":"yes"}';
        const verdict = claim.includes('pike') ? 'unknown' : right;
        return JSON.stringify({ verdict, sources: verdict === 'unknown' ? [] : [1, 99], reason: 'because' });
      },
    });
    const result = (await run(
      'fact.verify',
      { claims, folder: '.' },
      { models: 'auto', ollamaHost: ollama.host },
    )) as Verified;
    expect(score(result)).toBe(9);
    expect(repaired).toBe(true);
    for (const { method, verdict, sources } of result.findings) {
      expect(method).toBe('model');
      expect(sources).toHaveLength(verdict === 'unknown' ? 0 : 1);
      for (const { file, text } of sources) expect(readFileSync(join(root, file), 'utf8')).toContain(text);
    }
  });

  test('a verdict for which the model names no passage of ours is unknown', async () => {
    await using ollama = await fakeOllama({
      answer: () => '{"verdict":"supported","sources":[99],"reason":"trust me"}',
    });
    const config = { models: 'auto', ollamaHost: ollama.host };
    expect(await run('fact.verify', { claim: claims[0], folder: '.' }, config)).toMatchObject({
      verdict: 'unknown',
      sources: [],
    });
  });

  test('by rules 9 of 10 are right: what it takes to know that autumn is not spring is beyond them', async () => {
    const result = (await run('fact.verify', { claims, folder: '.' })) as Verified;
    expect(result.findings.map((finding) => finding.verdict)).toEqual(
      CLAIMS.map(([claim, verdict]) => (claim.includes('autumn') ? 'supported' : verdict)),
    );
    expect(score(result)).toBe(9);
  });

  test('by rules what no document speaks of is unknown', async () => {
    expect(await run('fact.verify', { claim: 'The moon is made of basalt.', folder: '.' })).toMatchObject({
      verdict: 'unknown',
      method: 'rules',
      sources: [],
    });
  });

  test('when the server is down the rules judge', async () => {
    const ollama = await fakeOllama();
    await ollama.close();
    const config = { models: 'auto', ollamaHost: ollama.host };
    expect(await run('fact.verify', { claim: claims[0], folder: '.' }, config)).toMatchObject({
      verdict: 'supported',
      method: 'rules',
    });
  });
});
