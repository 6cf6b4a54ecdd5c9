// What the log shows, and what it must not.

import { describe, expect, test } from 'vitest';
import { createLogger } from '../../runtime/observe/logger.ts';

const SECRET = 'canary-3f9a';

function lines(format: 'text' | 'json', write: (log: ReturnType<typeof createLogger>) => void): string[] {
  const written: string[] = [];
  write(createLogger({ logLevel: 'info', logFormat: format }, (line) => written.push(line)));
  return written;
}

describe('JSON lines', () => {
  test('hold level, time, message and fields, with those of the parent', () => {
    const [line = ''] = lines('json', (log) => log.child({ part: 'pool' }).warn('thread died', { thread: 3 }));
    expect(JSON.parse(line)).toMatchObject({ level: 'warn', msg: 'thread died', part: 'pool', thread: 3 });
    expect(JSON.parse(line).time).toMatch(/^\d{4}-\d\d-\d\dT/);
  });

  test('leave out what is below the level', () => {
    expect(lines('json', (log) => log.debug('quiet'))).toEqual([]);
  });
});

describe('text lines', () => {
  test('are one line each, whatever the text holds', () => {
    const [line = ''] = lines('text', (log) => log.info('a\nb\u001b[31m', { note: 'x\r\ny z', n: 1 }));
    expect(line.trimEnd()).toMatch(/^\d\d:\d\d:\d\d\.\d{3} info {2}a\\nb\\u001b\[31m note="x\\r\\ny z" n=1$/);
    expect(line.indexOf('\n')).toBe(line.length - 1);
  });
});

describe.each(['text', 'json'] as const)('a secret in a %s log', (format) => {
  const cyclic: Record<string, unknown> = { token: SECRET };
  cyclic.self = cyclic;
  test.each<[string, (log: ReturnType<typeof createLogger>) => void]>([
    ['a field', (log) => log.info('x', { password: SECRET })],
    ['a deep field', (log) => log.info('x', { a: { b: [{ apiKey: SECRET }] } })],
    ['a header', (log) => log.info('x', { headers: { Authorization: `Bearer ${SECRET}` } })],
    ['a bearer token in a message', (log) => log.info(`got Bearer ${SECRET}`)],
    ['a URL', (log) => log.info('x', { url: `postgres://ann:${SECRET}@db/x` })],
    ['a URL in an error', (log) => log.error('x', { error: new Error(`no postgres://ann:${SECRET}@db/x`) })],
    ['the details of a cause', (log) => log.error('x', { error: new Error('a', { cause: { jwtSecret: SECRET } }) })],
    ['a cycle', (log) => log.info('x', cyclic)],
    ['a child logger', (log) => log.child({ secret: SECRET }).info('x')],
  ])('in %s is not shown', (_name, write) => {
    const written = lines(format, write).join('');
    expect(written).not.toBe('');
    expect(written).not.toContain(SECRET);
  });
});
