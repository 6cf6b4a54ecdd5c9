// What the main thread and the thread of PGlite say to each other.

import type { Statement } from '../contracts/store.ts';

export interface PgliteStart {
  /** A folder, or `memory://`. */
  readonly dataDir: string;
  /** A dumped data directory (tar, gzip) to start from instead of initdb. */
  readonly prepared?: Uint8Array;
}

export type PgliteRequest =
  | { readonly type: 'batch'; readonly id: number; readonly statements: readonly Statement[]; readonly urgent: boolean }
  | { readonly type: 'script'; readonly id: number; readonly sql: string }
  | { readonly type: 'dump'; readonly id: number }
  | { readonly type: 'close'; readonly id: number };

export type PgliteReply =
  | { readonly type: 'up' }
  | { readonly type: 'open-failed'; readonly message: string }
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly message: string;
      readonly code?: string;
      readonly constraint?: string;
    };
