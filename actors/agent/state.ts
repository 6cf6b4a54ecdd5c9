// The durable state an incarnation starts with: the saved one, or the definition's initial one.

import type { ResolvedAgent } from './options.ts';

export function initialState(agent: ResolvedAgent, restored: unknown): unknown {
  if (isSaved(restored)) return frozen(restored.state);
  const { state } = agent;
  // Cloned, because all agents of the type in this thread share the definition.
  return frozen(typeof state === 'function' ? (state as () => unknown)() : structuredClone(state));
}

/** A change in place would be kept in memory and missing from what is saved. */
export function frozen<Value>(value: Value): Value {
  return typeof value === 'object' && value !== null ? Object.freeze(value) : value;
}

function isSaved(restored: unknown): restored is { readonly state: unknown } {
  return typeof restored === 'object' && restored !== null && 'state' in restored;
}
