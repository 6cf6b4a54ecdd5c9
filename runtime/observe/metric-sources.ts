// Where the gauges and the counters of other parts are read: their owners, asked at most once per scrape.

import type { MessageStatistics } from '../contracts/messages.ts';
import type { ClusterStats } from '../contracts/messaging.ts';
import type { Dispose } from '../contracts/ports.ts';
import type { StoreFlush, StorePressure } from '../contracts/store-figures.ts';
import type { TaskState } from '../contracts/task.ts';
import type { CellStats, ThreadStats } from '../contracts/wire.ts';

export interface TaskCounts {
  readonly byState: Readonly<Partial<Record<TaskState, number>>>;
  readonly queues: readonly { readonly queue: string; readonly queued: number; readonly oldestMs: number }[];
}

/** What is absent is not shown. */
export interface MetricSources {
  agents(): {
    readonly byState: Readonly<Record<string, number>>;
    readonly byType: Readonly<Record<string, number>>;
  };
  /** The type of an agent of this node; undefined: not known here (any more). Asked when an attempt reports what it used. */
  typeOf?(agentId: string): string | undefined;
  threads(): readonly ThreadStats[];
  tasks(): Promise<TaskCounts>;
  /** Asks the threads. */
  cells?(): Promise<readonly CellStats[]>;
  attempts?(): {
    readonly started: number;
    readonly committed: number;
    readonly fenced: number;
    readonly released: number;
  };
  messages?(): MessageStatistics;
  durable?(): Readonly<Record<'acknowledged' | 'failed' | 'deadLettered' | 'redelivered' | 'fenced', number>>;
  backlog?(): Promise<{ readonly messages: number; readonly oldestMs: number }>;
  cluster?(): ClusterStats;
  bus?(): { readonly kind: string; readonly healthy: boolean; readonly published: number; readonly received: number };
  storeUp?(): boolean;
  storePressure?(): StorePressure | undefined;
  onFlush?(listener: (flush: StoreFlush) => void): Dispose;
}
