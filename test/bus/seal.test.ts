import { describe, expect, test } from 'vitest';
import { COMPRESS_ABOVE_BYTES, createSeal } from '../../runtime/bus/seal.ts';
import type { NodeId } from '../../runtime/contracts/ids.ts';

const KEY = new Uint8Array(32).fill(1);
const [a, b, c] = ['nod_a', 'nod_b', 'nod_c'] as unknown as [NodeId, NodeId, NodeId];
const from = createSeal({ node: a, key: KEY });
const to = createSeal({ node: b, key: KEY });
const rows = Array.from({ length: 2_000 }, (_, n) => ({
  id: n,
  name: `agent ${n}`,
  state: 'idle',
  note: 'as the one before',
}));

describe('a seal', () => {
  test('opens for its receiver with what was closed, and says who closed it', () => {
    expect(to.open(from.close(b, [1, { rows }]))).toEqual({ from: a, frame: [1, { rows }] });
  });

  test('does not open for another node, nor with another key', () => {
    const sealed = from.close(b, 'secret');
    expect(createSeal({ node: c, key: KEY }).open(sealed)).toBeUndefined();
    expect(createSeal({ node: b, key: new Uint8Array(32).fill(2) }).open(sealed)).toBeUndefined();
  });

  test('does not open when any bit has changed, large or small', () => {
    for (const frame of ['small', { rows }]) {
      const sealed = from.close(b, frame);
      const step = Math.max(1, Math.floor(sealed.length / 200));
      for (let at = 0; at < sealed.length; at += at < 40 ? 1 : step) {
        const forged = Uint8Array.from(sealed);
        forged[at] = (forged[at] ?? 0) ^ 1;
        expect(to.open(forged), `byte ${at}`).toBeUndefined();
      }
      expect(to.open(sealed.subarray(0, -1))).toBeUndefined();
      expect(to.open(new Uint8Array())).toBeUndefined();
    }
  });

  test('compresses what is large by 60 % at least, and leaves alone what is not', () => {
    const json = JSON.stringify(rows);
    expect(json.length).toBeGreaterThan(COMPRESS_ABOVE_BYTES);
    expect(from.close(b, { rows }).length).toBeLessThan(json.length * 0.4);
    const small = 'x'.repeat(1_000);
    expect(from.close(b, small).length).toBeGreaterThan(small.length);
  });
});
