// A CSV file as typed columns: numbers, dates, text. Comma, semicolon or tab; the first row names the columns.

import { basename } from 'node:path';
import { z } from 'zod';
import { TaskError } from '../../runtime/contracts/errors.ts';
import { readTextFile } from '../files.ts';

export const MAX_CSV_BYTES = 20_000_000;

export const columnSchema = z
  .discriminatedUnion('type', [
    z.object({ name: z.string(), type: z.literal('number'), values: z.array(z.number().nullable()) }),
    /** ISO dates as they are in the file. */
    z.object({ name: z.string(), type: z.literal('date'), values: z.array(z.string().nullable()) }),
    z.object({ name: z.string(), type: z.literal('text'), values: z.array(z.string().nullable()) }),
  ])
  .meta({ id: 'TableColumn' });
export type Column = z.infer<typeof columnSchema>;
export type NumberColumn = Extract<Column, { type: 'number' }>;

export const tableSchema = z
  .object({ file: z.string(), rows: z.number().int(), columns: z.array(columnSchema) })
  .meta({ id: 'Table' });
export type Table = z.infer<typeof tableSchema>;

/** Thrown when a file is no table; the caller must mend the file. */
function unreadable(file: string, why: string): TaskError {
  return new TaskError('csv_unreadable', `${file} cannot be read as CSV: ${why}`, {
    retryable: false,
    details: { file },
  });
}

/** @throws TaskError `csv_unreadable`, and those of {@link readTextFile} */
export async function readTable(path: string, shownAs = basename(path)): Promise<Table> {
  return parseTable(await readTextFile(path, { shownAs, maxBytes: MAX_CSV_BYTES }), shownAs);
}

export async function parseTable(text: string, file: string): Promise<Table> {
  const { parse, CsvError } = await import('csv-parse/sync');
  let records: string[][];
  try {
    records = parse(text, { bom: true, delimiter: delimiterOf(text), trim: true, skip_empty_lines: true });
  } catch (error) {
    if (error instanceof CsvError) throw unreadable(file, error.message);
    throw error;
  }
  const [header, ...rows] = records;
  if (!header || rows.length === 0) throw unreadable(file, 'it needs a row of names and at least one row of values');
  const names = new Set(header);
  if (names.size !== header.length || names.has(''))
    throw unreadable(file, 'every column needs a name of its own in the first row');
  const columns = header.map((name, at) =>
    typed(
      name,
      rows.map((row) => row[at] ?? ''),
    ),
  );
  return { file, rows: rows.length, columns };
}

/** The one of `,` `;` and tab that the first line has most of. */
function delimiterOf(text: string): string {
  const line = text.slice(0, text.search(/\r?\n|$/));
  const count = (mark: string) => line.split(mark).length;
  return [',', ';', '\t'].reduce((best, mark) => (count(mark) > count(best) ? mark : best), ',');
}

const MISSING = /^(|na|n\/a|nan|null|none|-|\?)$/i;
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;
const DATE = /^\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?)?$/;

function typed(name: string, cells: readonly string[]): Column {
  const present = cells.filter((cell) => !MISSING.test(cell));
  const all = (form: RegExp) => present.length > 0 && present.every((cell) => form.test(cell));
  const or = <T>(read: (cell: string) => T) => cells.map((cell) => (MISSING.test(cell) ? null : read(cell)));
  if (all(NUMBER)) return { name, type: 'number', values: or(Number) };
  if (all(DATE)) return { name, type: 'date', values: or((cell) => cell) };
  return { name, type: 'text', values: or((cell) => cell) };
}
