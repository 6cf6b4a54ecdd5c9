// Reading back what was, over many rows at once. Writes nothing.

import type { RuntimeEvent } from './event.ts';
import type { HistoryKind, HistoryMoment, JournalPage, StepAttempts } from './history.ts';
import type { WorkflowId } from './ids.ts';
import type { Page } from './store-page.ts';

export interface StoredWindow {
  readonly tenant: string;
  /** RFC 3339; `to` is left out. */
  readonly from: string;
  readonly to: string;
}

export interface HistoryStore {
  /** Newest first. */
  events(
    filter: StoredWindow & {
      readonly kind?: HistoryKind;
      readonly type?: string;
      readonly limit: number;
      readonly cursor?: string;
    },
  ): Promise<Page<RuntimeEvent>>;
  /** Per bucket (numbered from 0) and type. */
  counts(
    filter: StoredWindow & { readonly bucketMs: number },
  ): Promise<readonly { readonly bucket: number; readonly type: string; readonly count: number }[]>;
  openAt(tenant: string, at: string): Promise<Omit<HistoryMoment, 'at'>>;
  /** Entries after `after`, in their order, and how many there are in all. */
  journal(id: WorkflowId, after: number, limit: number): Promise<JournalPage>;
  attempts(id: WorkflowId, page: { readonly limit: number; readonly cursor?: string }): Promise<Page<StepAttempts>>;
}
