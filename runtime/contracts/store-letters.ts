// Stored events of streams, and dead letters.

import type { DeadLetter } from './envelope.ts';
import type { NewEvent, RuntimeEvent } from './event.ts';
import type { Page } from './store-page.ts';

export interface EventStore {
  /** Events of one stream after `seq`, oldest first. */
  read(stream: string, tenant: string, afterSeq: number, limit: number): Promise<readonly RuntimeEvent[]>;
  /** Stores events of a stream whose only writer is this node. */
  append(events: readonly NewEvent[]): Promise<readonly RuntimeEvent[]>;
}

export interface DeadLetterRow extends DeadLetter {
  readonly id: string;
  readonly tenant: string;
  readonly replays: number;
}

export interface DeadLetterStore {
  add(tenant: string, letters: readonly DeadLetter[]): Promise<void>;
  list(filter: {
    readonly tenant: string;
    readonly to?: string;
    readonly reason?: string;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<Page<DeadLetterRow>>;
  get(id: string, tenant: string): Promise<DeadLetterRow | null>;
  /** Counts one more replay, unless there were `most` already: then, or when there is no such letter, null. */
  takeReplay(id: string, tenant: string, most: number): Promise<DeadLetterRow | null>;
}
