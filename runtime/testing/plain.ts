// What a strategy gives must be plain JSON, and nobody may change it afterwards.

/** A promise of a strategy that did not hold. */
export function promise(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(`broken promise: ${message}`);
}

// What was looked at once and frozen cannot have changed: a state shares most of itself with the one before it.
const seen = new WeakSet<object>();

/** Freezes a value through and through. Throws naming the place of what JSON cannot carry: functions, dates, maps, NaN, holes. */
export function sealed<T>(value: T, name: string): T {
  seal(value, name);
  return value;
}

function seal(value: unknown, at: string): void {
  switch (typeof value) {
    case 'string':
    case 'boolean':
    case 'undefined':
      return;
    case 'number':
      promise(Number.isFinite(value), `${at} is plain JSON: ${value} is not`);
      return;
    case 'object':
      break;
    default:
      promise(false, `${at} is plain JSON: a ${typeof value} is not`);
  }
  if (value === null || seen.has(value)) return;
  const prototype = Object.getPrototypeOf(value);
  const plain = Array.isArray(value) || prototype === Object.prototype || prototype === null;
  promise(plain, `${at} is plain JSON: a ${value.constructor?.name ?? 'value with a prototype'} is not`);
  seen.add(value);
  Object.freeze(value);
  if (Array.isArray(value)) {
    value.forEach((entry, index) => {
      promise(entry !== undefined, `${at}[${index}] is plain JSON: undefined in an array is not`);
      seal(entry, `${at}[${index}]`);
    });
    return;
  }
  for (const [key, entry] of Object.entries(value)) seal(entry, `${at}.${key}`);
}
