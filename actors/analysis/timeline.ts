// The time axis of a table: its step (day, month, year), and series put on it so that a missing row does not shift what follows.

import { assertNever } from '../../runtime/contracts/errors.ts';
import type { Table } from './table.ts';

export type Step = 'day' | 'month' | 'year';

export interface Timeline {
  readonly column: string;
  readonly step: Step;
  /** ISO date per slot, without gaps. */
  readonly labels: readonly string[];
  /** Slot of each row. */
  readonly slots: readonly number[];
}

const DAY_MS = 86_400_000;
const PER_YEAR: Record<Step, number> = { day: 365.2425, month: 12, year: 1 };

/** Steps in a year. */
export const stepsPerYear = (step: Step): number => PER_YEAR[step];

/** The first column that is a date, or a whole number called like a year, if its rows ascend in even steps (gaps allowed). */
export function findTimeline(table: Table): Timeline | undefined {
  for (const column of table.columns) {
    const stamps = column.values.map((value) => toStamp(column, value));
    if (column.type === 'text' || stamps.some((stamp) => stamp === undefined)) continue;
    const found = onGrid(column.name, stamps as number[]);
    if (found) return found;
  }
  return undefined;
}

function toStamp(column: Table['columns'][number], value: string | number | null): number | undefined {
  if (column.type === 'date' && typeof value === 'string') {
    const stamp = Date.parse(value.length === 7 ? `${value}-01` : value.slice(0, 10));
    return Number.isNaN(stamp) ? undefined : stamp;
  }
  const isYear = /^(year|yr|jahr)$/i.test(column.name) && typeof value === 'number' && Number.isInteger(value);
  return isYear && value > 0 && value < 10_000 ? Date.UTC(value, 0, 1) : undefined;
}

function onGrid(column: string, stamps: readonly number[]): Timeline | undefined {
  if (stamps.length < 3) return undefined;
  for (const step of ['year', 'month', 'day'] as const) {
    const positions = stamps.map((stamp) => position(stamp, step));
    const even = positions.every((at) => at !== undefined) && ascending(positions as number[]);
    if (!even) continue;
    const first = positions[0] ?? 0;
    const slots = (positions as number[]).map((at) => at - first);
    const count = (slots.at(-1) ?? 0) + 1;
    // More gaps than rows: a finer step than the data has.
    if (count > 2 * stamps.length) continue;
    const labels = Array.from({ length: count }, (_, at) => label(first + at, step));
    return { column, step, labels, slots };
  }
  return undefined;
}

/** Number of the step, or undefined when the time is not at the start of one. */
function position(stamp: number, step: Step): number | undefined {
  const date = new Date(stamp);
  const atDay = stamp % DAY_MS === 0;
  switch (step) {
    case 'day':
      return atDay ? stamp / DAY_MS : undefined;
    case 'month':
      return atDay && date.getUTCDate() === 1 ? date.getUTCFullYear() * 12 + date.getUTCMonth() : undefined;
    case 'year':
      return atDay && date.getUTCDate() === 1 && date.getUTCMonth() === 0 ? date.getUTCFullYear() : undefined;
    default:
      return assertNever(step);
  }
}

function label(at: number, step: Step): string {
  if (step === 'day') return new Date(at * DAY_MS).toISOString().slice(0, 10);
  if (step === 'month') return `${Math.floor(at / 12)}-${String((at % 12) + 1).padStart(2, '0')}`;
  return String(at);
}

const ascending = (values: readonly number[]): boolean =>
  values.every((value, at) => at === 0 || value > (values[at - 1] ?? 0));

export interface Series {
  readonly values: readonly number[];
  /** Slots that had no value and were filled on the straight line between their neighbours. */
  readonly filled: number;
}

/** A column on the axis. Without an axis the rows follow each other and empty cells are filled all the same. */
export function toSeries(values: readonly (number | null)[], timeline: Timeline | undefined): Series {
  const length = timeline ? timeline.labels.length : values.length;
  const series = new Array<number | null>(length).fill(null);
  for (const [row, value] of values.entries()) series[timeline?.slots[row] ?? row] = value;
  const filled = series.filter((value) => value === null).length;
  return { values: interpolate(series), filled };
}

function interpolate(series: readonly (number | null)[]): number[] {
  const known = series.flatMap((value, at) => (value === null ? [] : [at]));
  let next = 0;
  return series.map((value, at) => {
    if (value !== null) return value;
    while (next < known.length && (known[next] ?? 0) < at) next++;
    const right = known[next];
    const left = known[next - 1];
    if (left === undefined) return series[right ?? 0] ?? 0;
    if (right === undefined) return series[left] ?? 0;
    const from = series[left] ?? 0;
    return from + (((series[right] ?? 0) - from) * (at - left)) / (right - left);
  });
}
