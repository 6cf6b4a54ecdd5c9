// Against certified values of NIST's Statistical Reference Datasets (https://www.itl.nist.gov/div898/strd/) and values worked by hand.

import * as simple from 'simple-statistics';
import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../../actors/analysis/bootstrap.ts';
import { describeValues, meanAndSd } from '../../../actors/analysis/describe.ts';
import { evaluateObjective } from '../../../actors/analysis/functions.ts';
import { leastSquares } from '../../../actors/analysis/least-squares.ts';
import { median, medianAbsoluteDeviation } from '../../../actors/analysis/quantile.ts';
import { findTrend, mannKendall, theilSen } from '../../../actors/analysis/trend.ts';

const relative = (actual: number | undefined, certified: number): number =>
  Math.abs(((actual ?? Number.NaN) - certified) / certified);

// Univariate, "NumAcc": one value, then 500 pairs of two others around it.
const numAcc = (base: number, first: number, low: number, high: number): number[] => [
  base + first,
  ...Array.from({ length: 500 }, () => [base + low, base + high]).flat(),
];

describe('mean and standard deviation', () => {
  test.each([
    ['NumAcc1', [10_000_001, 10_000_003, 10_000_002], 10_000_002, 1],
    ['NumAcc2', numAcc(1, 0.2, 0.1, 0.3), 1.2, 0.1],
    ['NumAcc3', numAcc(1_000_000, 0.2, 0.1, 0.3), 1_000_000.2, 0.1],
    // The data themselves, as doubles, are only this exact.
    ['NumAcc4', numAcc(10_000_000, 0.2, 0.1, 0.3), 10_000_000.2, 0.1, 2e-8],
  ] as [string, number[], number, number, number?][])(
    'are those certified for %s',
    (_name, values, mean, sd, within = 1e-9) => {
      const result = meanAndSd(values);
      expect(relative(result.mean, mean)).toBeLessThan(1e-12);
      expect(relative(result.sd, sd)).toBeLessThan(within);
    },
  );

  test('describe the first ten primes as worked by hand', () => {
    expect(describeValues([29, 2, 3, 5, 7, 11, 13, 17, 19, 23])).toEqual({
      n: 10,
      mean: 12.9,
      sd: Math.sqrt(732.9 / 9),
      min: 2,
      q1: 5.5,
      median: 12,
      q3: 18.5,
      max: 29,
      sum: 129,
    });
  });

  test('agree with an independent library on 1,000 random values', () => {
    const random = seededRandom(7);
    const values = Array.from({ length: 1_000 }, () => random() * 100 - 50);
    const own = describeValues(values);
    expect(own.mean).toBeCloseTo(simple.mean(values), 10);
    expect(own.sd).toBeCloseTo(simple.sampleStandardDeviation(values), 10);
    expect(median(values)).toBe(simple.median(values));
    expect(medianAbsoluteDeviation(values)).toBeCloseTo(simple.medianAbsoluteDeviation(values), 12);
  });

  test('a single value has no deviation', () => {
    expect(describeValues([4])).toMatchObject({ n: 1, mean: 4, sd: null, median: 4 });
  });
});

const NORRIS_X = [
  0.2, 337.4, 118.2, 884.6, 10.1, 226.5, 666.3, 996.3, 448.6, 777.0, 558.2, 0.4, 0.6, 775.5, 666.9, 338.0, 447.5, 11.6,
  556.0, 228.1, 995.8, 887.6, 120.2, 0.3, 0.3, 556.8, 339.1, 887.2, 999.0, 779.0, 11.1, 118.3, 229.2, 669.1, 448.9, 0.5,
];
const NORRIS_Y = [
  0.1, 338.8, 118.1, 888.0, 9.2, 228.1, 668.5, 998.5, 449.1, 778.9, 559.2, 0.3, 0.1, 778.1, 668.8, 339.3, 448.9, 10.8,
  557.7, 228.3, 998.0, 888.8, 119.6, 0.3, 0.6, 557.6, 339.3, 888.0, 998.5, 778.9, 10.2, 117.6, 228.9, 668.4, 449.2, 0.2,
];
const LONGLEY = [
  [60323, 83.0, 234289, 2356, 1590, 107608, 1947],
  [61122, 88.5, 259426, 2325, 1456, 108632, 1948],
  [60171, 88.2, 258054, 3682, 1616, 109773, 1949],
  [61187, 89.5, 284599, 3351, 1650, 110929, 1950],
  [63221, 96.2, 328975, 2099, 3099, 112075, 1951],
  [63639, 98.1, 346999, 1932, 3594, 113270, 1952],
  [64989, 99.0, 365385, 1870, 3547, 115094, 1953],
  [63761, 100.0, 363112, 3578, 3350, 116219, 1954],
  [66019, 101.2, 397469, 2904, 3048, 117388, 1955],
  [67857, 104.6, 419180, 2822, 2857, 118734, 1956],
  [68169, 108.4, 442769, 2936, 2798, 120445, 1957],
  [66513, 110.8, 444546, 4681, 2637, 121950, 1958],
  [68655, 112.6, 482704, 3813, 2552, 123366, 1959],
  [69564, 114.2, 502601, 3931, 2514, 125368, 1960],
  [69331, 115.7, 518173, 4806, 2572, 127852, 1961],
  [70551, 116.9, 554894, 4007, 2827, 130081, 1962],
];
const column = (at: number): number[] => LONGLEY.map((row) => row[at] ?? 0);

const REGRESSIONS = [
  {
    name: 'Norris',
    x: [NORRIS_X],
    y: NORRIS_Y,
    coefficients: [-0.262323073774029, 1.00211681802045],
    standardErrors: [0.232818234301152, 0.429796848199937e-3],
    residualSd: 0.884796396144373,
    rSquared: 0.999993745883712,
  },
  {
    name: 'Longley',
    x: [1, 2, 3, 4, 5, 6].map(column),
    y: column(0),
    coefficients: [
      -3482258.63459582, 15.0618722713733, -0.035819179292591, -2.02022980381683, -1.03322686717359,
      -0.0511041056535807, 1829.15146461355,
    ],
    standardErrors: [
      890420.383607373, 84.9149257747669, 0.0334910077722432, 0.488399681651699, 0.214274163161675, 0.22607320006937,
      455.478499142212,
    ],
    residualSd: 304.854073561965,
    rSquared: 0.995479004577296,
  },
];

describe('least squares', () => {
  test.each(REGRESSIONS)('gives the values certified for $name to 1e-9', (certified) => {
    const result = leastSquares(certified.x, certified.y);
    if (!result.ok) throw new Error(result.reason);
    const { fit } = result;
    for (const [at, value] of certified.coefficients.entries())
      expect(relative(fit.coefficients[at], value)).toBeLessThan(1e-9);
    for (const [at, value] of certified.standardErrors.entries())
      expect(relative(fit.standardErrors[at], value)).toBeLessThan(1e-9);
    expect(relative(fit.residualSd, certified.residualSd)).toBeLessThan(1e-9);
    expect(relative(fit.rSquared, certified.rSquared)).toBeLessThan(1e-9);
  });

  test.each([
    ['too few rows', [[1, 2]], [1, 2], 'needs more than 2 rows, got 2'],
    ['a predictor that does not vary', [[5, 5, 5, 5]], [1, 2, 3, 4], 'predictor 1 does not vary'],
    [
      'predictors that depend on each other',
      [
        [1, 2, 3, 4, 5],
        [2, 4, 6, 8, 10],
      ],
      [1, 2, 4, 4, 6],
      'the predictors depend on each other',
    ],
  ])('refuses %s', (_name, x, y, reason) => {
    expect(leastSquares(x, y)).toEqual({ ok: false, reason });
  });
});

describe('trend', () => {
  test('the robust slope is not moved by an outlier', () => {
    expect(theilSen([0, 2, 4, 6, 1_000, 10, 12])).toBe(2);
  });

  test('Mann-Kendall as worked by hand: S = 8 of 10 pairs, variance 16.67', () => {
    const { tau, pValue } = mannKendall([1, 2, 3, 5, 4]);
    expect(tau).toBe(0.8);
    expect(pValue).toBeCloseTo(0.0864, 3);
  });

  test.each([
    ['rising', Array.from({ length: 40 }, (_, at) => at * 0.5 + Math.sin(at))],
    ['falling', Array.from({ length: 40 }, (_, at) => -at * 0.5 + Math.sin(at))],
    ['none', Array.from({ length: 40 }, (_, at) => Math.sin(at * 1.7))],
  ] as const)('tells %s', (direction, values) => {
    expect(findTrend(values).direction).toBe(direction);
  });
});

describe('objectives', () => {
  test.each([
    ['sphere', [0, 0, 0], 0],
    ['sphere', [1, 2, 3], 14],
    ['rosenbrock', [1, 1, 1], 0],
    ['rosenbrock', [0, 0], 1],
    ['rosenbrock', [-1, 2], 104],
    ['rastrigin', [0, 0], 0],
    ['rastrigin', [1, 1], 2],
    ['ackley', [0, 0], 0],
    ['ackley', [1, 1], 3.6253849384403627],
  ] as const)('%s at %j is %d', (name, x, score) => {
    expect(evaluateObjective(name, x)).toBeCloseTo(score, 9);
  });
});
