import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createIdFactory, fromUuid, isId, isUuid, toUuid, uuidV7 } from '../../runtime/contracts/ids.ts';

describe('ids', () => {
  test('agree with the published TypeID of a known uuid', () => {
    // https://github.com/jetify-com/typeid: valid.json of the specification
    expect(fromUuid('task', '01890a5d-ac96-774b-bcce-b302099a8057')).toBe('tsk_01h455vb4pex5vsknk084sn02q');
    expect(toUuid('tsk_01h455vb4pex5vsknk084sn02q')).toBe('01890a5d-ac96-774b-bcce-b302099a8057');
  });

  test('survive the way to the database and back', () => {
    fc.assert(fc.property(fc.uuid(), (uuid) => toUuid(fromUuid('agent', uuid)) === uuid));
  });

  test('sort by the time they were made', () => {
    let nowMs = 1_700_000_000_000;
    const newId = createIdFactory({
      nowMs: () => (nowMs += 1),
      randomBytes: (count) => new Uint8Array(count).fill(0xff),
    });
    const ids = Array.from({ length: 50 }, () => newId('workflow'));
    expect([...ids].sort()).toEqual(ids);
  });

  test('carry version and variant of RFC 9562', () => {
    const uuid = uuidV7(1_700_000_000_000, new Uint8Array(10).fill(0xff));
    expect(isUuid(uuid)).toBe(true);
    expect(uuid.charAt(14)).toBe('7');
    expect(uuid.charAt(19)).toBe('b');
  });

  test.each([
    ['another kind', 'tsk_01h455vb4pex5vsknk084sn02q'],
    ['no prefix', '01h455vb4pex5vsknk084sn02q'],
    ['too short', 'agt_01h455vb4pex5vsknk084sn02'],
    ['a letter outside the alphabet', 'agt_01h455vb4pex5vsknk084sn02u'],
    ['upper case', 'agt_01H455VB4PEX5VSKNK084SN02Q'],
    ['more than 128 bits', 'agt_81h455vb4pex5vsknk084sn02q'],
    ['a path', '../../etc/passwd'],
    ['a reserved word', 'list'],
  ])('refuse %s', (_name, text) => {
    expect(isId('agent', text)).toBe(false);
  });
});
