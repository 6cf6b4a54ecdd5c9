// A long list inside a state: cut into chunks, so that a change copies one chunk and not the list. Plain JSON, never mutated.

/** Elements in a chunk; the last one may have fewer. */
const WIDTH = 256;

export interface Chunks<T> {
  readonly size: number;
  readonly chunks: readonly (readonly T[])[];
}

export const noChunks = <T>(): Chunks<T> => ({ size: 0, chunks: [] });

/** The element at a position, undefined beyond the end. */
export function chunkAt<T>(list: Chunks<T>, index: number): T | undefined {
  return list.chunks[Math.floor(index / WIDTH)]?.[index % WIDTH];
}

/** The list with these at its end. */
export function appended<T>(list: Chunks<T>, values: readonly T[]): Chunks<T> {
  if (values.length === 0) return list;
  const free = list.size % WIDTH === 0 ? 0 : WIDTH - (list.size % WIDTH);
  const chunks = [...list.chunks];
  if (free > 0) chunks.push([...(chunks.pop() ?? []), ...values.slice(0, free)]);
  for (let from = free; from < values.length; from += WIDTH) chunks.push(values.slice(from, from + WIDTH));
  return { size: list.size + values.length, chunks };
}

/** The list with another value at a position it has. */
export function replaced<T>(list: Chunks<T>, index: number, value: T): Chunks<T> {
  const at = Math.floor(index / WIDTH);
  const chunk = list.chunks[at];
  if (!chunk || index % WIDTH >= chunk.length) throw new RangeError(`no element ${index} among ${list.size}`);
  return { size: list.size, chunks: list.chunks.with(at, chunk.with(index % WIDTH, value)) };
}

export const chunkValues = <T>(list: Chunks<T>): T[] => list.chunks.flat() as T[];
