// One data set, all of it: every numeric column described, its trend with an interval, its cycle, its outliers with their dates.

import { z } from 'zod';
import { share, type Work } from '../work.ts';
import { findAnomalies } from './anomalies.ts';
import { seededRandom, slopeInterval } from './bootstrap.ts';
import { describeValues, descriptionSchema } from './describe.ts';
import { findSeasonality } from './seasonality.ts';
import type { NumberColumn, Table } from './table.ts';
import { findTimeline, type Step, stepsPerYear, type Timeline, toSeries } from './timeline.ts';
import { findTrend, trendSchema } from './trend.ts';

const intervalSchema = z.object({ low: z.number(), high: z.number(), level: z.number(), rounds: z.number().int() });

export const seriesReportSchema = z
  .object({
    name: z.string(),
    missing: z.number().int(),
    /** Slots of the time axis without a value, filled for trend, cycle and outliers only. */
    filled: z.number().int(),
    describe: descriptionSchema,
    trend: trendSchema
      .extend({
        /** Robust slope per year, when the table has a time axis. */
        perYear: z.number().nullable(),
        /** Of the robust slope, per year with a time axis, else per step. */
        interval: intervalSchema.nullable(),
      })
      .nullable(),
    seasonality: z.object({
      period: z.number().int().nullable(),
      /** The period in words: `12 months`. */
      label: z.string().nullable(),
      autocorrelation: z.number(),
      strength: z.number(),
      /** Where in the cycle it is highest and lowest, as dates of the first cycle. */
      high: z.string().nullable(),
      low: z.string().nullable(),
      /** From the lowest to the highest phase. */
      swing: z.number().nullable(),
    }),
    anomalies: z.object({
      count: z.number().int(),
      threshold: z.number(),
      /** The strongest, at most five. */
      top: z.array(z.object({ at: z.string(), value: z.number(), expected: z.number(), score: z.number() })),
    }),
  })
  .meta({ id: 'SeriesReport' });
export type SeriesReport = z.infer<typeof seriesReportSchema>;

export const datasetReportSchema = z
  .object({
    file: z.string(),
    rows: z.number().int(),
    time: z
      .object({ column: z.string(), step: z.enum(['day', 'month', 'year']), from: z.string(), to: z.string() })
      .nullable(),
    series: z.array(seriesReportSchema),
    /** Columns of text: how often each of the commonest values occurs. */
    categories: z.array(
      z.object({ name: z.string(), values: z.array(z.object({ value: z.string(), count: z.number().int() })) }),
    ),
  })
  .meta({ id: 'DatasetReport' });
export type DatasetReport = z.infer<typeof datasetReportSchema>;

export interface DatasetOptions {
  /** Rounds of the bootstrap per column; 0 leaves the intervals out. Default 200. */
  readonly rounds?: number;
  readonly seed?: number;
  readonly threshold?: number;
}

const MAX_SERIES = 50;
const MIN_POINTS = 8;

export async function analyseTable(table: Table, options: DatasetOptions, work: Work): Promise<DatasetReport> {
  const timeline = findTimeline(table);
  const numeric = table.columns
    .filter((column): column is NumberColumn => column.type === 'number' && column.name !== timeline?.column)
    .slice(0, MAX_SERIES);
  const series: SeriesReport[] = [];
  for (const [at, column] of numeric.entries()) {
    const part = share(work, at / numeric.length, (at + 1) / numeric.length);
    const named: Work = {
      signal: part.signal,
      progress: (fraction, note) => part.progress(fraction, `${column.name}: ${note}`),
    };
    const report = await analyseColumn(column, timeline, options, named);
    if (report) series.push(report);
  }
  work.progress(1, 'done');
  return { file: table.file, rows: table.rows, time: timeView(timeline), series, categories: categories(table) };
}

function timeView(timeline: Timeline | undefined): DatasetReport['time'] {
  if (!timeline) return null;
  const { column, step, labels } = timeline;
  return { column, step, from: labels[0] ?? '', to: labels.at(-1) ?? '' };
}

async function analyseColumn(
  column: NumberColumn,
  timeline: Timeline | undefined,
  options: DatasetOptions,
  work: Work,
): Promise<SeriesReport | undefined> {
  const present = column.values.filter((value) => value !== null);
  if (present.length === 0) return undefined;
  const { values, filled } = toSeries(column.values, timeline);
  const describe = describeValues(present);
  const cycle = findSeasonality(values);
  const threshold = options.threshold ?? 3.5;
  const anomalies = findAnomalies(values, { period: cycle.period, threshold });
  const enough = values.length >= MIN_POINTS && describe.sd !== 0;
  return {
    name: column.name,
    missing: column.values.length - present.length,
    filled,
    describe,
    trend: enough ? await trendOf(values, cycle.period, timeline?.step, options, work) : null,
    seasonality: seasonView(cycle, timeline),
    anomalies: {
      count: anomalies.length,
      threshold,
      top: anomalies.slice(0, 5).map(({ index, value, expected, score }) => ({
        at: timeline?.labels[index] ?? `row ${index + 1}`,
        value,
        expected,
        score,
      })),
    },
  };
}

async function trendOf(
  values: readonly number[],
  period: number | null,
  step: Step | undefined,
  options: DatasetOptions,
  work: Work,
): Promise<SeriesReport['trend']> {
  const trend = findTrend(values);
  const factor = step ? stepsPerYear(step) : 1;
  const rounds = options.rounds ?? 200;
  if (rounds === 0) return { ...trend, perYear: step ? trend.robustSlope * factor : null, interval: null };
  const interval = await slopeInterval(
    values,
    { rounds, random: seededRandom(options.seed ?? 1), ...(period ? { block: period } : {}) },
    work,
  );
  return {
    ...trend,
    perYear: step ? trend.robustSlope * factor : null,
    interval: { ...interval, low: interval.low * factor, high: interval.high * factor },
  };
}

function seasonView(
  cycle: ReturnType<typeof findSeasonality>,
  timeline: Timeline | undefined,
): SeriesReport['seasonality'] {
  const { period, autocorrelation, strength, profile } = cycle;
  if (period === null) return { period, label: null, autocorrelation, strength, high: null, low: null, swing: null };
  const top = Math.max(...profile);
  const bottom = Math.min(...profile);
  const at = (phase: number) => timeline?.labels[phase] ?? `phase ${phase + 1}`;
  return {
    period,
    label: `${period} ${timeline ? `${timeline.step}s` : 'rows'}`,
    autocorrelation,
    strength,
    high: at(profile.indexOf(top)),
    low: at(profile.indexOf(bottom)),
    swing: top - bottom,
  };
}

const MAX_CATEGORIES = 8;

function categories(table: Table): DatasetReport['categories'] {
  return table.columns.flatMap((column) => {
    if (column.type !== 'text') return [];
    const counts = new Map<string, number>();
    for (const value of column.values) if (value !== null) counts.set(value, (counts.get(value) ?? 0) + 1);
    const values = [...counts]
      .map(([value, count]) => ({ value, count }))
      .sort((a, b) => b.count - a.count || a.value.localeCompare(b.value))
      .slice(0, MAX_CATEGORIES);
    return [{ name: column.name, values }];
  });
}
