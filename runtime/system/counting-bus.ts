// A bus that counts the hints that pass it.

import type { Bus } from '../contracts/ports.ts';

export interface HintCounts {
  readonly published: number;
  readonly received: number;
}

/** Closing it closes `bus`. */
export function countingBus(bus: Bus): { readonly bus: Bus; readonly hints: () => HintCounts } {
  let published = 0;
  let received = 0;
  bus.subscribe(() => {
    received += 1;
  });
  const counting: Bus = {
    kind: bus.kind,
    publish(hint) {
      published += 1;
      bus.publish(hint);
    },
    subscribe: (listener) => bus.subscribe(listener),
    healthy: () => bus.healthy(),
    close: () => bus.close(),
  };
  return { bus: counting, hints: () => ({ published, received }) };
}
