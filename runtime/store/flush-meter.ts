// Times the group commits of a store for whoever listens.

import type { Clock, Dispose } from '../contracts/ports.ts';
import type { Rows, Statement } from '../contracts/store.ts';
import type { StoreFlush } from '../contracts/store-figures.ts';

type Flush = (statements: readonly Statement[], operations: number) => Promise<readonly Rows[]>;

export function createFlushMeter(clock: Pick<Clock, 'monotonicMs'>) {
  const listeners = new Set<(flush: StoreFlush) => void>();
  const tell = (operations: number, fromMs: number, failed: boolean): void => {
    const tookMs = clock.monotonicMs() - fromMs;
    for (const listener of listeners) listener({ operations, tookMs, failed });
  };
  return {
    around(flush: (statements: readonly Statement[]) => Promise<readonly Rows[]>): Flush {
      return async (statements, operations) => {
        const fromMs = clock.monotonicMs();
        try {
          const rows = await flush(statements);
          tell(operations, fromMs, false);
          return rows;
        } catch (error) {
          tell(operations, fromMs, true);
          throw error;
        }
      };
    },
    listen(listener: (flush: StoreFlush) => void): Dispose {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}
