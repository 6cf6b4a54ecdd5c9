// Which values the codec carries exactly as a structured clone would. Everything else is cloned, or refused by the clone.

const MAX_DEPTH = 48;
/** From this length on msgpackr writes text through a UTF-8 encoder that replaces lone surrogates. */
const LONG_TEXT = 64;

/**
 * Whether a value is plain data: text, finite or infinite numbers, booleans, null, dense arrays and objects without a class,
 * nested at most 48 deep. `false` does not mean that it cannot be cloned.
 */
export function isPlain(value: unknown, depth = 0): boolean {
  switch (typeof value) {
    case 'string':
      return value.length < LONG_TEXT || isWellFormed(value);
    case 'number':
      return value !== 0 || 1 / value > 0;
    case 'boolean':
    case 'undefined':
      return true;
    case 'object':
      return value === null || (depth < MAX_DEPTH && isPlainObject(value, depth + 1));
    default:
      return false;
  }
}

function isPlainObject(value: object, depth: number): boolean {
  const proto = Object.getPrototypeOf(value);
  if (proto === Object.prototype) {
    for (const key in value) {
      if (key === '__proto__' || !isPlain((value as Record<string, unknown>)[key], depth)) return false;
    }
    return true;
  }
  if (proto !== Array.prototype) return false;
  const list = value as unknown[];
  for (let at = 0; at < list.length; at++) {
    const item = list[at];
    // A hole and an undefined item differ for a clone, and not for the codec.
    if (item === undefined || !isPlain(item, depth)) return false;
  }
  return Object.keys(list).length === list.length;
}

const LONE_SURROGATE = /\p{Surrogate}/u;
function isWellFormed(text: string): boolean {
  return !LONE_SURROGATE.test(text);
}

/** What may cross a border: the value itself when it is plain, else its structured clone. Throws a DataCloneError when there is none. */
export function portable(value: unknown): { readonly value: unknown; readonly plain: boolean } {
  return isPlain(value) ? { value, plain: true } : { value: structuredClone(value), plain: false };
}
