// Batches as bytes: one flat array of operations, encoded by msgpackr with records defined in-band.

import { Packr } from 'msgpackr';

const packr = new Packr({ useRecords: true, moreTypes: false, copyBuffers: true });

/** An exact-size buffer to transfer: never msgpackr's own pooled one, which a transfer would detach. */
export function encode(flat: readonly unknown[]): ArrayBuffer {
  const bytes = packr.pack(flat);
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}

export function decode(buffer: ArrayBuffer): unknown[] {
  return packr.unpack(new Uint8Array(buffer)) as unknown[];
}
