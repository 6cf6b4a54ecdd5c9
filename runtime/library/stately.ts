// Troupe's actors in Stately's inspector, for those who have `@statelyai/inspect`: whatever takes its events gets those of a feed.
// Nothing of it is imported: an adapter is what has a `send`.

import type { CallContext } from '../contracts/call.ts';
import type { InspectFocusInput, InspectionApi, XStateInspection } from '../contracts/inspection.ts';

/** As `createInspector` and the adapters of `@statelyai/inspect` have it: `inspector.adapter` is one. */
export interface StatelyAdapter {
  send(event: XStateInspection): void;
}

/**
 * Tells an adapter of Stately's inspector what the named actors do, on whatever thread and node they live, until `signal` aborts. Resolves then,
 * or when the feed ended because the adapter was too slow.
 *
 * @example
 * const inspector = createWebSocketInspector({ url: 'ws://localhost:8080' });
 * await tellStately(troupe.inspection, inspector.adapter, { actors: ['door-1', 'main'], signal });
 */
export async function tellStately(
  inspection: InspectionApi,
  adapter: StatelyAdapter,
  options: { readonly actors: readonly string[]; readonly signal: AbortSignal; readonly call?: CallContext },
): Promise<void> {
  const { actors, signal, call } = options;
  // Nothing else is wanted: no rows, no events.
  const focus: InspectFocusInput = { actors: [...actors], rows: [], events: false };
  const feed = inspection.open({ focus, signal }, call);
  for await (const frame of feed.frames) {
    if (frame.type === 'actors') for (const item of frame.items) adapter.send(item);
  }
}
