// Planted outliers, planted cycles, real data.

import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { findAnomalies } from '../../../actors/analysis/anomalies.ts';
import { seededRandom, slopeInterval } from '../../../actors/analysis/bootstrap.ts';
import { analyseTable } from '../../../actors/analysis/dataset.ts';
import { findSeasonality } from '../../../actors/analysis/seasonality.ts';
import { parseTable, readTable } from '../../../actors/analysis/table.ts';
import { findTimeline, toSeries } from '../../../actors/analysis/timeline.ts';
import { quietWork } from '../../../actors/work.ts';

function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
function series(n: number, value: (at: number) => number, noise: number, seed = 1): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: n }, (_, at) => value(at) + noise * normal(random));
}
const data = (file: string): string => fileURLToPath(new URL(`../../../data/${file}`, import.meta.url));

describe('anomalies', () => {
  const planted = [37, 90, 141, 200, 263];
  const spoil = (values: number[]) =>
    values.map((value, at) => (planted.includes(at) ? value + (at % 2 ? 9 : -9) : value));

  test.each([
    ['white noise', series(300, () => 50, 1), null],
    ['a trend', series(300, (at) => at * 0.2, 1), null],
    ['a cycle', series(300, (at) => 10 * Math.sin((2 * Math.PI * at) / 12), 1), 12],
    ['a trend and a cycle', series(300, (at) => at * 0.1 + 10 * Math.sin((2 * Math.PI * at) / 24), 1), 24],
  ] as const)('finds the 5 planted outliers in %s and nothing else', (_name, values, period) => {
    const found = findAnomalies(spoil([...values]), { period, threshold: 5 });
    expect(found.map(({ index }) => index).sort((a, b) => a - b)).toEqual(planted);
    for (const { index, score } of found) expect(Math.sign(score)).toBe(index % 2 ? 1 : -1);
  });

  test('a constant series with one other value has one outlier', () => {
    const found = findAnomalies([...Array(50).fill(3), 10, ...Array(50).fill(3)]);
    expect(found.map(({ index, value, expected }) => [index, value, expected])).toEqual([[50, 10, 3]]);
  });

  test.each([[[]], [[1, 2]], [Array(20).fill(7)]])('%j has none', (values) => {
    expect(findAnomalies(values)).toEqual([]);
  });
});

describe('seasonality', () => {
  test.each([
    [7, 210, 0.5],
    [12, 240, 1],
    [24, 480, 2],
    [52, 400, 1.5],
    [365, 1_460, 2],
  ])('finds a planted cycle of %d steps', (period, n, noise) => {
    const values = series(n, (at) => at * 0.01 + 5 * Math.sin((2 * Math.PI * at) / period + 1), noise);
    const found = findSeasonality(values);
    expect(Math.abs((found.period ?? 0) - period)).toBeLessThanOrEqual(period > 100 ? 3 : 0);
    expect(found.strength).toBeGreaterThan(0.6);
  });

  test('finds a cycle that is no sine', () => {
    expect(findSeasonality(series(280, (at) => (at % 14 < 3 ? 10 : 0), 0.5)).period).toBe(14);
  });

  test.each([
    ['white noise', series(500, () => 0, 1, 3)],
    ['a straight line', series(100, (at) => at, 0)],
    ['a constant', Array(50).fill(2)],
    ['a random walk', walk(600)],
    ['five values', [1, 2, 1, 2, 1]],
  ])('finds none in %s', (_name, values) => {
    expect(findSeasonality(values).period).toBeNull();
  });
});

function walk(n: number): number[] {
  const random = seededRandom(11);
  let at = 0;
  return Array.from({ length: n }, () => {
    at += normal(random);
    return at;
  });
}

describe('the interval of a slope', () => {
  const values = series(120, (at) => at * 0.3, 2);

  test('covers the planted slope and repeats for a seed', async () => {
    const interval = () => slopeInterval(values, { rounds: 60, random: seededRandom(5) }, quietWork);
    const first = await interval();
    expect(first.low).toBeLessThan(0.3);
    expect(first.high).toBeGreaterThan(0.3);
    expect(first.high - first.low).toBeLessThan(0.1);
    expect(await interval()).toEqual(first);
  });

  test('reports how far it is and ends when it is cancelled', async () => {
    const abort = new AbortController();
    const seen: number[] = [];
    const work = {
      signal: abort.signal,
      progress: (fraction: number) => {
        seen.push(fraction);
        if (fraction > 0.4) abort.abort(new Error('enough'));
      },
    };
    await expect(slopeInterval(values, { rounds: 200, random: seededRandom(5) }, work)).rejects.toThrow('enough');
    expect(seen.at(-1)).toBeLessThan(0.5);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

describe('tables', () => {
  test('columns get the type that all of their values have', async () => {
    const table = await parseTable(
      '\uFEFFday;n;who\n2020-01-01;1.5;ann\n2020-01-02;NA;bob\n2020-01-03;-2e3;\n',
      'x.csv',
    );
    expect(table).toEqual({
      file: 'x.csv',
      rows: 3,
      columns: [
        { name: 'day', type: 'date', values: ['2020-01-01', '2020-01-02', '2020-01-03'] },
        { name: 'n', type: 'number', values: [1.5, null, -2000] },
        { name: 'who', type: 'text', values: ['ann', 'bob', null] },
      ],
    });
  });

  test.each([
    ['uneven rows', 'a,b\n1,2\n3\n', /line 3/],
    ['an open quote', 'a,b\n"1,2\n', /Quote/],
    ['a header alone', 'a,b\n', /at least one row/],
    ['nothing', '', /at least one row/],
    ['two columns of one name', 'a,a\n1,2\n', /name of its own/],
  ])('%s: an error that names the file', async (_name, text, why) => {
    await expect(parseTable(text, 'bad.csv')).rejects.toMatchObject({ code: 'csv_unreadable', retryable: false });
    await expect(parseTable(text, 'bad.csv')).rejects.toThrow(why);
    await expect(parseTable(text, 'bad.csv')).rejects.toThrow('bad.csv');
  });

  test('a missing month does not shift the months after it', async () => {
    const table = await parseTable('date,v\n2020-01-01,1\n2020-02-01,2\n2020-05-01,5\n2020-06-01,6\n', 'x.csv');
    const timeline = findTimeline(table);
    expect(timeline).toMatchObject({
      step: 'month',
      labels: ['2020-01', '2020-02', '2020-03', '2020-04', '2020-05', '2020-06'],
    });
    const [, column] = table.columns;
    if (column?.type !== 'number') throw new Error('not a number');
    expect(toSeries(column.values, timeline)).toEqual({ values: [1, 2, 3, 4, 5, 6], filled: 2 });
  });
});

describe('the data sets of the demo', () => {
  test.each([
    ['seattle-weather.csv', 1_461, 'day', '2012-01-01', '2015-12-31', 4],
    ['co2-concentration.csv', 741, 'month', '1958-03', '2020-04', 2],
    ['global-temperature.csv', 144, 'year', '1880', '2023', 1],
  ] as const)('%s has %d rows, one a %s from %s to %s', async (file, rows, step, from, to, columns) => {
    const report = await analyseTable(await readTable(data(file)), { rounds: 0 }, quietWork);
    expect(report).toMatchObject({ file, rows, time: { step, from, to } });
    expect(report.series).toHaveLength(columns);
  });

  test('CO2 rises by about 1.6 ppm a year and has a cycle of 12 months, highest in May', async () => {
    const report = await analyseTable(await readTable(data('co2-concentration.csv')), { rounds: 0 }, quietWork);
    const [co2, adjusted] = report.series;
    expect(co2?.trend?.direction).toBe('rising');
    expect(co2?.trend?.perYear).toBeCloseTo(1.57, 1);
    expect(co2?.seasonality).toMatchObject({ period: 12, label: '12 months', high: '1958-05', low: '1958-10' });
    expect(adjusted?.seasonality.period).toBeNull();
  });

  test('the temperature of Seattle has a cycle of a year', async () => {
    const report = await analyseTable(await readTable(data('seattle-weather.csv')), { rounds: 0 }, quietWork);
    const low = report.series.find(({ name }) => name === 'temp_min');
    expect(Math.abs((low?.seasonality.period ?? 0) - 365)).toBeLessThanOrEqual(3);
    expect(report.categories).toEqual([
      {
        name: 'weather',
        values: [
          { value: 'rain', count: 641 },
          { value: 'sun', count: 640 },
          { value: 'fog', count: 101 },
          { value: 'drizzle', count: 53 },
          { value: 'snow', count: 26 },
        ],
      },
    ]);
  });
});
