// Small plain copies of values that may be anything: for who looks, never for who works with them. Bounded in depth, width, text and in all.

const MAX_DEPTH = 6;
const MAX_ITEMS = 50;
const MAX_CHARS = 2_000;
const WORD_CHARS = 200;
const MAX_NODES = 400;
/** Of all texts together. */
const MAX_TEXT = 16_000;

/** JSON-able data of any value; what does not fit is named: `(deeper)`, `(function)`, `(3 more)`. Getters are not called. Never throws. */
export function clip(value: unknown): unknown {
  return copy(value, 0, { nodes: MAX_NODES, chars: MAX_TEXT });
}

interface Left {
  nodes: number;
  chars: number;
}

/** Cuts at a gap: half of a secret would not be known as one. */
function cut(text: string, left: Left): string {
  const most = Math.min(MAX_CHARS, Math.max(0, left.chars));
  if (text.length <= most) {
    left.chars -= text.length;
    return text;
  }
  const gap = text.lastIndexOf(' ', most);
  const shown = text.slice(0, gap > most - WORD_CHARS ? gap : Math.max(0, most - WORD_CHARS));
  left.chars -= shown.length;
  return `${shown}...`;
}

function copy(value: unknown, depth: number, left: Left): unknown {
  switch (typeof value) {
    case 'string':
      return cut(value, left);
    case 'number':
      return Number.isFinite(value) ? value : String(value);
    case 'boolean':
      return value;
    case 'undefined':
      return undefined;
    case 'bigint':
      return value.toString();
    case 'function':
    case 'symbol':
      return `(${typeof value})`;
    default:
      return value === null ? null : copyObject(value as object, depth, left);
  }
}

function copyObject(value: object, depth: number, left: Left): unknown {
  if (--left.nodes <= 0) return '(more)';
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '(invalid date)' : value.toISOString();
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `(${value.byteLength} bytes)`;
  if (value instanceof Map || value instanceof Set) return `(${value.constructor.name} of ${value.size})`;
  if (depth >= MAX_DEPTH) return '(deeper)';
  if (value instanceof Error) return { name: value.name, message: copy(value.message, depth + 1, left) };
  if (Array.isArray(value)) {
    const items = value.slice(0, MAX_ITEMS).map((item) => copy(item, depth + 1, left) ?? null);
    return value.length > MAX_ITEMS ? [...items, `(${value.length - MAX_ITEMS} more)`] : items;
  }
  return copyFields(value, depth, left);
}

function copyFields(value: object, depth: number, left: Left): Record<string, unknown> {
  const copied: Record<string, unknown> = {};
  let fields = 0;
  for (const [key, { value: own, get }] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
    if (key === '__proto__') continue;
    if (++fields > MAX_ITEMS || left.nodes <= 0) {
      copied['...'] = '(more)';
      break;
    }
    const one = get ? '(getter)' : copy(own, depth + 1, left);
    if (one !== undefined) copied[key] = one;
  }
  return copied;
}

const SIZED_NODES = 2_000;

/** About how many characters it has as JSON. Large values are estimated from their beginning: the answer is then a lower bound. */
export function roughBytes(value: unknown): number {
  let bytes = 0;
  let nodes = SIZED_NODES;
  const waiting: unknown[] = [value];
  while (waiting.length > 0 && nodes-- > 0) {
    const one = waiting.pop();
    if (typeof one === 'string') bytes += one.length + 2;
    else if (typeof one !== 'object' || one === null) bytes += 5;
    else if (ArrayBuffer.isView(one)) bytes += one.byteLength;
    else if (Array.isArray(one)) {
      bytes += one.length + 1;
      for (let at = 0; at < one.length && at < nodes; at++) waiting.push(one[at]);
    } else {
      for (const key in one) {
        bytes += key.length + 4;
        waiting.push((one as Record<string, unknown>)[key]);
      }
    }
  }
  return bytes;
}
