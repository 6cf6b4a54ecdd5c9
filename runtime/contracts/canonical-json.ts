// One text for one JSON value, whatever the order of its keys (jsonb reorders them): for hashes of bodies, definitions and states.

/**
 * JSON with the keys of every object sorted by code unit. What JSON leaves out (undefined, functions) is left out here too;
 * a value that JSON cannot carry at the top is `null`. Two values are equal as JSON exactly when their texts are equal.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(sorted(value)) ?? 'null';
}

/** Deep equality as JSON: `{a:1,b:2}` equals `{b:2,a:1}`. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  return canonicalJson(left) === canonicalJson(right);
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('toJSON' in value && typeof value.toJSON === 'function') return sorted(value.toJSON());
  if (Array.isArray(value)) return value.map(sorted);
  // fromEntries defines own properties, so that a key like __proto__ stays data
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, entry]) => [key, sorted(entry)]),
  );
}
