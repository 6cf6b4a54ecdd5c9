// Frames between nodes as bytes: encoded, compressed when large, signed. What was not sealed with the key of the cluster for this
// very receiver does not come out again.

import { createHmac, timingSafeEqual } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { Packr } from 'msgpackr';
import type { NodeId } from '../contracts/ids.ts';

/** Bytes: version, flags, signature over all the rest, then the payload `[from, to, frame]`. */
const VERSION = 1;
const COMPRESSED = 1;
const SIGNATURE_BYTES = 32;
const HEADER_BYTES = 2 + SIGNATURE_BYTES;
/** A payload that is larger is compressed; below, on the short ways between nodes, it costs more than it saves. */
export const COMPRESS_ABOVE_BYTES = 32_768;
/** What a compressed payload may grow to. */
const MAX_INFLATED_BYTES = 256 * 1024 * 1024;

export interface Seal {
  close(to: NodeId, frame: unknown): Uint8Array;
  /** Undefined for everything else than a frame for this node. Never throws. */
  open(bytes: Uint8Array): { readonly from: NodeId; readonly frame: unknown } | undefined;
}

export interface SealOptions {
  readonly node: NodeId;
  /** The secret that only nodes of the cluster know. */
  readonly key: Uint8Array;
  /** Default {@link COMPRESS_ABOVE_BYTES}. */
  readonly compressAboveBytes?: number;
}

/** Sealing and opening for one node. Not for a receiver: a frame taken from one stream and put into another does not open there. */
export function createSeal({ node, key, compressAboveBytes = COMPRESS_ABOVE_BYTES }: SealOptions): Seal {
  const packr = new Packr({ useRecords: true, moreTypes: false, copyBuffers: true });
  const sign = (flags: number, payload: Uint8Array): Buffer =>
    createHmac('sha256', key).update(Uint8Array.of(VERSION, flags)).update(payload).digest();

  return {
    close(to, frame) {
      const packed = packr.pack([node, to, frame]);
      const large = packed.length > compressAboveBytes;
      const payload = large ? deflateRawSync(packed, { level: 1 }) : packed;
      const flags = large ? COMPRESSED : 0;
      const bytes = Buffer.allocUnsafe(HEADER_BYTES + payload.length);
      bytes[0] = VERSION;
      bytes[1] = flags;
      sign(flags, payload).copy(bytes, 2);
      payload.copy(bytes, HEADER_BYTES);
      return bytes;
    },

    open(bytes) {
      try {
        const flags = bytes[1] ?? 255;
        if (bytes.length <= HEADER_BYTES || bytes[0] !== VERSION || flags > COMPRESSED) return undefined;
        const payload = bytes.subarray(HEADER_BYTES);
        if (!timingSafeEqual(bytes.subarray(2, HEADER_BYTES), sign(flags, payload))) return undefined;
        const packed =
          flags === COMPRESSED ? inflateRawSync(payload, { maxOutputLength: MAX_INFLATED_BYTES }) : payload;
        const parts: unknown = packr.unpack(packed);
        if (!Array.isArray(parts) || parts.length !== 3 || typeof parts[0] !== 'string' || parts[1] !== node)
          return undefined;
        return { from: parts[0] as NodeId, frame: parts[2] };
      } catch {
        return undefined;
      }
    },
  };
}
