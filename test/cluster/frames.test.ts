import { describe, expect, test } from 'vitest';
import { ASK, CALL, CAST, FAIL, Names, portableParcel, REPLY, readFrame, TELL } from '../../runtime/cluster/frames.ts';

const frame = (parcels: unknown, names: unknown = []) => [1, 1, 0, [], parcels, names];
const tell = () => [TELL, 'agt_b', 'agt_a', 'note', { n: 1 }, null, null];

describe('frames', () => {
  test('names stand once and come back where they were', () => {
    const names = new Names();
    const parcels = [tell(), tell(), [ASK, 'agt_b', null, 'ask', 1, 'multicast', null, 7, 100]].map(portableParcel);
    for (const parcel of parcels) names.shorten(parcel);
    expect(names.all).toEqual(['agt_b', 'agt_a', 'note', 'ask']);
    expect(parcels[0]).toEqual([TELL, 0, 1, 2, { n: 1 }, null, null]);
    const read = readFrame(structuredClone(frame(parcels, names.all)));
    expect(read?.[4]).toEqual([tell(), tell(), [ASK, 'agt_b', null, 'ask', 1, 'multicast', null, 7, 100]]);
  });

  test('a body that the codec cannot carry travels as a structured clone', () => {
    const body = new Map([['a', new Date(1)]]);
    const carried = portableParcel([TELL, 'agt_b', null, 'note', body, null, null]);
    expect(carried[4]).toBeInstanceOf(Uint8Array);
    expect(readFrame(frame([carried]))?.[4][0]?.[4]).toEqual(body);
    expect(() => portableParcel([CAST, 'topic', () => 1])).toThrow(/could not be cloned/);
  });

  test.each<[string, unknown]>([
    ['nothing', undefined],
    ['a text', 'frame'],
    ['too few fields', [1, 1, 0, []]],
    ['a negative number', [-1, 1, 0, [], [], []]],
    ['a broken number', [1, 1, 0.5, [], [], []]],
    ['answers of another shape', [1, 1, 0, [[1]], [], []]],
    ['a reason that is none', [1, 1, 0, [[1, [[0, 'because']]]], [], []]],
    ['names that are no texts', frame([], [1])],
    ['an operation that is none', frame([[7, 'a']])],
    ['a tell to a number without a name', frame([[TELL, 3, null, 'note', 1, null, null]])],
    ['a tell without a type', frame([[TELL, 'agt_b', null, undefined, 1, null, null]])],
    ['extras that are none', frame([[TELL, 'agt_b', null, 'note', 1, null, { to: 'agt_c' }]])],
    ['a protocol that is none', frame([[TELL, 'agt_b', null, 'note', 1, 'smoke', null]])],
    ['an ask without a deadline', frame([[ASK, 'agt_b', null, 'note', 1, null, null, 7, 0]])],
    ['an ask without a number', frame([[ASK, 'agt_b', null, 'note', 1, null, null, 0, 10]])],
    ['a reply to nobody', frame([[REPLY, -1, 1]])],
    ['an error that is none', frame([[FAIL, 1, 'error']])],
    ['a call without a topic', frame([[CALL, 1, 1, 1, 1]])],
    ['a clone that is none', frame([[TELL + 8, 'agt_b', null, 'note', new Uint8Array([1, 2]), null, null]])],
  ])('%s is no frame', (_name, value) => {
    expect(readFrame(value)).toBeUndefined();
  });
});
