// Bad bodies and transport: what strangers send, and the answer each gets.

import { describe, expect, test } from 'vitest';
import { parseStrictJson } from '../../http/strict-json.ts';
import { type Call, testApi } from '../kit/api-client.ts';

const SUBMIT = 'POST /api/agents/tasks/submit';
const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const nested = (depth: number): string =>
  `{"capability":"probe.run","input":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;
const wide = (count: number): string =>
  `{"capability":"probe.run","input":{${Array.from({ length: count }, (_, at) => `"k${at}":1`).join()}}}`;
const withInput = (input: string): string => `{"capability":"probe.run","input":${input}}`;
const chunked = (size: number): ReadableStream => {
  let left = size;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      const take = Math.min(left, 65_536);
      left -= take;
      controller.enqueue(new Uint8Array(take).fill(0x20));
    },
  });
};

describe('a body', () => {
  const cases: readonly (readonly [name: string, raw: NonNullable<Call['raw']>, status: number])[] = [
    ['that ends early', '{"a":', 400],
    ['that is empty', '', 400],
    ['that is null', 'null', 422],
    ['that is a text', '"x"', 422],
    ['that is a number', '1', 422],
    ['that is an empty array', '[]', 422],
    ['with something after its end', '{}{}', 400],
    ['that is not UTF-8', bytes(0x7b, 0xff, 0xfe, 0x7d), 400],
    [
      'with a text that is not UTF-8',
      new Uint8Array(Buffer.from('{"capability":"probe.run","input":"\xff"}', 'latin1')),
      400,
    ],
    ['in UTF-16', bytes(0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00), 400],
    ['with a byte order mark', bytes(0xef, 0xbb, 0xbf, 0x7b, 0x7d), 400],
    ['with a key given twice', '{"capability":"probe.run","priority":1,"priority":9}', 400],
    ['with a key given twice, once escaped', '{"capability":"probe.run","priority":1,"\\u0070riority":9}', 400],
    ['32 deep', nested(32), 202],
    ['33 deep', nested(33), 400],
    ['10,000 deep', nested(10_000), 400],
    ['400,000 deep', nested(400_000), 400],
    ['of 2 MiB in chunks', chunked(2 * 1_048_576), 413],
    ['with 1,000 keys', wide(1_000), 202],
    ['with 10,000 keys', wide(10_000), 422],
    ['with NUL in a text', withInput('"a\\u0000b"'), 422],
    ['with NUL in a key', withInput('{"a\\u0000":1}'), 422],
    ['with half a surrogate pair', withInput('"\\ud800"'), 422],
    ['with an emoji', withInput('"\\ud83d\\ude00 👩‍👩‍👧"'), 202],
    ['with __proto__', withInput('{"__proto__":{"admin":true}}'), 422],
    ['with an escaped __proto__', withInput('{"__pro\\u0074o__":{"admin":true}}'), 422],
    ['with constructor.prototype', withInput('{"constructor":{"prototype":{"x":1}}}'), 422],
    ['with a field called prototype', withInput('{"prototype":"mark 1"}'), 202],
    ['with a field called constructor', withInput('{"constructor":"Ferrari"}'), 202],
    ['with an integer that is not exact', withInput('9007199254740993'), 422],
    ['with a number that is infinite', withInput('1e400'), 422],
    ['with a large float', withInput('1e300'), 202],
    ['with fields of ours', '{"capability":"probe.run","tenant":"x","fence":1}', 422],
    ['with a capability that is a path', '{"capability":"../../x"}', 422],
    ['with a bare word', '{"capability":NaN}', 400],
    ['with a comment', '{/*x*/"capability":"probe.run"}', 400],
    ['with a line break in a text', '{"capability":"probe\n.run"}', 400],
  ];

  test.each(cases)('%s is answered with its status', async (_name, raw, status) => {
    const answer = await testApi().json(SUBMIT, { raw });
    expect(answer.status, JSON.stringify(answer.body)).toBe(status);
    if (status !== 202) expect(answer.headers.get('content-type')).toBe('application/problem+json');
  });

  test('leaves no trace on the prototype of objects', async () => {
    const api = testApi();
    for (const input of ['{"__proto__":{"x":1}}', '{"constructor":{"prototype":{"x":1}}}'])
      await api(SUBMIT, { raw: withInput(input) });
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test.each([
    ['a declared length over the limit', { 'content-length': '2097152' }, 413],
    ['a length that is no number', { 'content-length': 'abc' }, 400],
    ['a negative length', { 'content-length': '-1' }, 400],
    ['gzip', { 'content-encoding': 'gzip' }, 415],
    ['text/plain', { 'content-type': 'text/plain' }, 415],
    ['no type', { 'content-type': '' }, 415],
    ['a form with a file', { 'content-type': 'multipart/form-data; boundary=x' }, 415],
    ['another charset', { 'content-type': 'application/json; charset=utf-16' }, 415],
    ['its own charset', { 'content-type': 'application/json; charset=UTF-8' }, 202],
  ])('with %s is answered with its status', async (_name, headers, status) => {
    const answer = await testApi().json(SUBMIT, { raw: '{"capability":"probe.run"}', headers });
    expect(answer.status).toBe(status);
  });

  test.each([
    ['maxAttempts', { retry: { maxAttempts: 1e9 } }, 'retry.maxAttempts'],
    ['maxAttempts 0', { retry: { maxAttempts: 0 } }, 'retry.maxAttempts'],
    ['maxAttempts 1.5', { retry: { maxAttempts: 1.5 } }, 'retry.maxAttempts'],
    ['maxAttempts as text', { retry: { maxAttempts: '3' } }, 'retry.maxAttempts'],
    ['timeoutMs -1', { timeoutMs: -1 }, 'timeoutMs'],
    ['timeoutMs 2^31', { timeoutMs: 2 ** 31 }, 'timeoutMs'],
    ['priority', { priority: 99_999 }, 'priority'],
    ['runAt', { runAt: 'infinity' }, 'runAt'],
    ['runAt with delayMs', { runAt: '2026-01-01T00:00:00Z', delayMs: 1 }, 'delayMs'],
  ])('names the place of a wrong %s', async (_name, fields, path) => {
    const { status, body } = await testApi().json(SUBMIT, { body: { capability: 'probe.run', ...fields } });
    expect(status).toBe(422);
    expect(body.errors).toContainEqual(expect.objectContaining({ path }));
  });

  test('names the place inside a workflow', async () => {
    const { body } = await testApi().json('POST /api/agents/workflows/create', {
      body: {
        tasks: [
          { id: 'a', capability: 'probe.run' },
          { id: 'b', capability: 'probe.run', dependsOn: ['!'] },
        ],
      },
    });
    expect(body.errors).toContainEqual(expect.objectContaining({ path: 'tasks[1].dependsOn[0]' }));
  });
});

describe('a line or header list', () => {
  test('that is too long is refused', async () => {
    const api = testApi();
    expect((await api(`GET /api/agents/list?cursor=${'x'.repeat(8_100)}`)).status).toBe(414);
    const headers = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`x-h${at}`, '1']));
    expect((await api('GET /api/agents/list', { headers })).status).toBe(431);
  });
});

describe('strict JSON', () => {
  test.each([
    '{}',
    '[]',
    '"\\""',
    '[1,-2.5e3,true,null,{"a":["b",{}]}]',
    ' { "a" : "}" } ',
    '{"a":{"k":1},"b":{"k":2}}',
    '[{"k":1},{"k":1}]',
  ])('gives what JSON.parse gives of %s', (text) => {
    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });

  test.each(['{]', '[}', '{"a"}', '{"a":1,}', '"\\x"', '01', '-', "{'a':1}", '{"a":"', '\u00a0{}'])(
    'refuses %s',
    (text) => {
      expect(() => parseStrictJson(text)).toThrow(expect.objectContaining({ code: 'malformed_request' }));
    },
  );

  test('takes time in proportion to the text', () => {
    const big = JSON.stringify({ a: 'x'.repeat(500_000), b: Array.from({ length: 50_000 }, () => 1) });
    expect(parseStrictJson(big)).toHaveProperty('b');
  });
});
