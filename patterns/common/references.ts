// References inside the input of a step: { "$from": "step.field.0.field" }, { "$input": "field" } for the input of the workflow, and where
// there are items { "$item": "field" } and { "$index": true }.
// Here they are found (when a definition is checked) and replaced (when a step starts). Pure.

/** A path split at its dots: the id of a step, then fields and positions. */
export type Path = readonly string[];

/** `deps` in a path stands for `{ [id]: result }` of the step's own dependencies. */
export const DEPS = 'deps';

const REFERENCE_KEYS = ['$from', '$item', '$index', '$input'] as const;
const MAX_DEPTH = 64;

/** One reference as it stands in an input. `at` is its JSON path below the input, such as `.found.$from`. */
export type Reference =
  | { readonly type: 'from'; readonly at: string; readonly path: Path }
  | { readonly type: 'item' | 'index' | 'input'; readonly at: string }
  | { readonly type: 'malformed'; readonly at: string; readonly message: string };

export const splitPath = (path: string): Path => path.split('.');

/** Every reference of an input, in reading order. */
export function findReferences(input: unknown): Reference[] {
  const found: Reference[] = [];
  visit(input, '', 0, found);
  return found;
}

function visit(value: unknown, at: string, depth: number, found: Reference[]): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth > MAX_DEPTH) {
    found.push({ type: 'malformed', at, message: `an input may be nested ${MAX_DEPTH} levels deep at most` });
    return;
  }
  if (Array.isArray(value)) {
    value.forEach((entry, index) => {
      visit(entry, `${at}[${index}]`, depth + 1, found);
    });
    return;
  }
  const key = referenceKey(value);
  if (key !== undefined) {
    found.push(readReference(key, value as Record<string, unknown>, `${at}.${key}`));
    return;
  }
  for (const [field, entry] of Object.entries(value)) visit(entry, `${at}.${field}`, depth + 1, found);
}

function referenceKey(value: object): (typeof REFERENCE_KEYS)[number] | undefined {
  return REFERENCE_KEYS.find((key) => Object.hasOwn(value, key));
}

function readReference(key: string, value: Record<string, unknown>, at: string): Reference {
  const malformed = (message: string): Reference => ({ type: 'malformed', at, message });
  if (Object.keys(value).length > 1) return malformed(`${key} must be the only key of its object`);
  const target = value[key];
  if (key === '$index') return target === true ? { type: 'index', at } : malformed('$index takes the value true');
  if (typeof target !== 'string') return malformed(`${key} takes a text such as "step.field"`);
  if (key === '$item') return { type: 'item', at };
  if (key === '$input') return { type: 'input', at };
  const path = splitPath(target);
  return path.some((part) => part === '')
    ? malformed(`"${target}" is not a path such as "step.field.0"`)
    : { type: 'from', at, path };
}

/** What a reference stands for when its step starts. */
export interface Scope {
  /** Of a `$from` path; `absent` when the result has no such field. */
  from(path: Path): Looked;
  readonly item?: unknown;
  readonly index?: number;
  /** Of the workflow. */
  readonly input?: unknown;
}

export type Looked = { readonly type: 'value'; readonly value: unknown } | { readonly type: 'absent' };
export const ABSENT: Looked = { type: 'absent' };

export type Resolved =
  | { readonly ok: true; readonly value: unknown }
  /** The reference that has nothing to stand for. */
  | { readonly ok: false; readonly reference: string };

/** The input with every reference replaced. What has no reference below it is shared, not copied. */
export function resolveInput(input: unknown, scope: Scope): Resolved {
  try {
    return { ok: true, value: replace(input, scope) };
  } catch (thrown) {
    if (thrown instanceof Unresolved) return { ok: false, reference: thrown.message };
    throw thrown;
  }
}

class Unresolved extends Error {}

function replace(value: unknown, scope: Scope): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    const copy = value.map((entry) => replace(entry, scope));
    return copy.some((entry, index) => entry !== value[index]) ? copy : value;
  }
  const key = referenceKey(value);
  if (key !== undefined) return lookUp(key, (value as Record<string, unknown>)[key], scope);
  const entries = Object.entries(value);
  const copy = entries.map(([field, entry]): [string, unknown] => [field, replace(entry, scope)]);
  // fromEntries defines own properties: a field named __proto__ stays data
  return copy.some(([, entry], index) => entry !== entries[index]?.[1]) ? Object.fromEntries(copy) : value;
}

function lookUp(key: string, target: unknown, scope: Scope): unknown {
  if (key === '$index') return scope.index ?? null;
  const text = String(target);
  const path = text === '' ? [] : splitPath(text);
  const looked =
    key === '$from'
      ? scope.from(splitPath(text))
      : descend(key === '$input' ? (scope.input ?? null) : scope.item, path);
  if (looked.type === 'absent') throw new Unresolved(`${key}: "${text}"`);
  return looked.value;
}

/** Follows fields and positions; only what a value itself holds is found, never what it inherits. */
export function descend(value: unknown, path: Path): Looked {
  let current = value;
  for (const part of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, part)) return ABSENT;
    if (Array.isArray(current) && part === 'length') return ABSENT;
    current = (current as Record<string, unknown>)[part];
  }
  return { type: 'value', value: current ?? null };
}
