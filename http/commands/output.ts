// What commands print: JSON for machines, aligned columns for people.

import { readFileSync } from 'node:fs';
import { UsageError } from './failure.ts';

export type Row = Readonly<Record<string, unknown>>;

/** Prints the value as JSON, or what `text` makes of it. */
export function print(value: unknown, json: boolean | undefined, text: (value: never) => string): void {
  process.stdout.write(`${json ? JSON.stringify(value) : text(value as never)}\n`);
}

/** Rows in columns; `none` when there are none. */
export function table(rows: readonly Row[], columns: readonly string[]): string {
  if (rows.length === 0) return 'none';
  const cells = rows.map((row) => columns.map((column) => cell(row[column])));
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...cells.map((row) => row[index]?.length ?? 0)),
  );
  const line = (values: readonly string[]) =>
    values
      .map((value, index) => value.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd();
  return [line(columns.map((column) => column.toUpperCase())), ...cells.map(line)].join('\n');
}

/** One thing, a field a line; fields that are absent are left out. */
export function fields(value: Row, names: readonly string[]): string {
  const shown = names.filter((name) => value[name] !== undefined && value[name] !== null);
  const width = Math.max(0, ...shown.map((name) => name.length));
  return shown.map((name) => `${name.padEnd(width)}  ${cell(value[name])}`).join('\n');
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '-';
  // Terminals obey escape sequences in what others wrote.
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.replace(/\p{Cc}/gu, ' ');
}

/** A JSON argument: the text itself, `@file`, or `-` for standard input. */
export function jsonArgument(name: string, text: string): unknown {
  const source = text === '-' ? readInput(0, name) : text.startsWith('@') ? readInput(text.slice(1), name) : text;
  try {
    return JSON.parse(source) as unknown;
  } catch (error) {
    throw new UsageError(`${name} is not JSON: ${(error as Error).message}`);
  }
}

function readInput(from: string | 0, name: string): string {
  try {
    return readFileSync(from, 'utf8');
  } catch (error) {
    throw new UsageError(`${name} cannot be read: ${(error as Error).message}`);
  }
}

/** A whole number on the command line. */
export function intArgument(name: string) {
  return (text: string): number => {
    if (!/^\d{1,15}$/.test(text)) throw new UsageError(`${name} takes a whole number, not ${JSON.stringify(text)}`);
    return Number(text);
  };
}

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** A duration like `30s`, `1h` or `7d` in milliseconds. */
export function durationArgument(name: string) {
  return (text: string): number => {
    const match = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
    if (!match) throw new UsageError(`${name} takes a duration like 30s, 1h or 7d, not ${JSON.stringify(text)}`);
    return Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  };
}
