import { describe, expect, test } from 'vitest';
import { gather } from '../../runtime/store/gather.ts';

/** A read whose statements end when the test says so. */
function reads(mostKeys?: number) {
  const asked: { keys: readonly string[]; end: (failure?: Error) => void }[] = [];
  const read = gather<string, string>(
    (keys) =>
      new Promise((resolve, reject) => {
        const end = (failure?: Error) => (failure ? reject(failure) : resolve((key) => `row of ${key}`));
        asked.push({ keys, end });
      }),
    mostKeys,
  );
  return { asked, read };
}

const turn = () => new Promise((resolve) => void setImmediate(resolve));

describe('gather', () => {
  test('who asks in the same turn shares one statement, and each gets the row asked for', async () => {
    const { asked, read } = reads();
    const answers = Promise.all([read('a'), read('b'), read('a')]);
    await turn();
    expect(asked.map(({ keys }) => keys)).toEqual([['a', 'b']]);
    asked[0]?.end();
    expect(await answers).toEqual(['row of a', 'row of b', 'row of a']);
  });

  test('who asks while a statement is under way is not answered by it', async () => {
    const { asked, read } = reads();
    const first = read('a');
    await turn();
    const second = read('a');
    await turn();
    expect(asked).toHaveLength(2);
    for (const { end } of asked) end();
    expect(await Promise.all([first, second])).toEqual(['row of a', 'row of a']);
  });

  test('four statements are under way at most, and none holds more keys than allowed', async () => {
    const { asked, read } = reads(2);
    const answers = Promise.all(Array.from({ length: 12 }, (_, i) => read(`k${i}`)));
    for (let i = 0; i < 8; i++) await turn();
    expect(asked.map(({ keys }) => keys.length)).toEqual([2, 2, 2, 2]);
    asked[0]?.end();
    for (let i = 0; i < 8; i++) await turn();
    expect(asked).toHaveLength(5);
    for (let at = 1; at < 6; at++) {
      asked[at]?.end();
      for (let i = 0; i < 4; i++) await turn();
    }
    expect(await answers).toHaveLength(12);
  });

  test('a failure is that of all who were read for together, and of nobody else', async () => {
    const { asked, read } = reads();
    const failing = Promise.allSettled([read('a'), read('b')]);
    await turn();
    asked[0]?.end(new Error('refused'));
    expect((await failing).map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    const next = read('a');
    await turn();
    asked[1]?.end();
    expect(await next).toBe('row of a');
  });
});
