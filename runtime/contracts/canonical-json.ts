// One text for one JSON value, whatever the order of its keys (jsonb reorders them): for hashes of bodies, definitions and states.

/**
 * JSON with the keys of every object sorted by code unit. What JSON leaves out (undefined, functions) is left out here too;
 * a value that JSON cannot carry at the top is `null`. Two values are equal as JSON exactly when their texts are equal.
 */
export function canonicalJson(value: unknown): string {
  return textOf(value) ?? 'null';
}

/** Deep equality as JSON: `{a:1,b:2}` equals `{b:2,a:1}`. */
export function sameJson(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  return canonicalJson(left) === canonicalJson(right);
}

/** Undefined for what JSON leaves out. Text by text: a sorted copy of the value would be garbage of its size at every hash. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if ('toJSON' in value && typeof value.toJSON === 'function') return textOf(value.toJSON());
  if (Array.isArray(value)) return `[${value.map((entry) => textOf(entry) ?? 'null').join(',')}]`;
  const record = value as Readonly<Record<string, unknown>>;
  let text = '';
  // The default order of sort is that of code units.
  for (const key of Object.keys(record).sort()) {
    const entry = textOf(record[key]);
    if (entry !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${entry}`;
  }
  return `{${text}}`;
}
