// What every part of the store answers: pages, and writes with the events they made.

import type { RuntimeEvent } from './event.ts';

export interface Page<T> {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
}

/** A committed write and the stored events it made, ready to publish. */
export interface Committed {
  readonly events: readonly RuntimeEvent[];
}
