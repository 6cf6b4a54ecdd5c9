// Estimates the trend of a column by one of several methods. Each is right in its own way; none is right alone.

import { readFile } from 'node:fs/promises';
import { defineAgent, z } from 'troupe/agents';

type Point = readonly [x: number, y: number];

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
const slope = ([x1, y1]: Point, [x2, y2]: Point): number => (y2 - y1) / (x2 - x1);

/** Per unit of x. */
const METHODS = {
  leastSquares: (points: readonly Point[]): number => {
    const [x, y] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
    const covariance = mean(points.map(([at, value]) => (at - x) * (value - y)));
    return covariance / mean(points.map(([at]) => (at - x) ** 2));
  },
  /** Theil and Sen: the median of the slopes of all pairs. */
  medianOfSlopes: (points: readonly Point[]): number => {
    const slopes = points
      .flatMap((from, at) => points.slice(at + 1).map((to) => slope(from, to)))
      .sort((a, b) => a - b);
    return slopes[slopes.length >> 1] ?? 0;
  },
  /** The mean of the second half against that of the first. */
  halves: (points: readonly Point[]): number => {
    const half = points.length >> 1;
    const centre = (part: readonly Point[]): Point => [mean(part.map(([x]) => x)), mean(part.map(([, y]) => y))];
    return slope(centre(points.slice(0, half)), centre(points.slice(half)));
  },
  firstAndLast: (points: readonly Point[]): number => slope(points.at(0) ?? [0, 0], points.at(-1) ?? [1, 0]),
  /** Looks at the last ten values only, and takes them for the whole. */
  lastTen: (points: readonly Point[]): number => METHODS.leastSquares(points.slice(-10)),
};

export const estimator = defineAgent({
  type: 'estimator',
  description: 'Estimates the trend of a column of a CSV file.',
  config: z.object({ method: z.enum(['leastSquares', 'medianOfSlopes', 'halves', 'firstAndLast', 'lastTen']) }),
  capability: 'trend.estimate',
  input: z.object({ file: z.string(), x: z.string(), y: z.string(), per: z.number().default(1) }),
  output: z.object({ method: z.string(), trend: z.number() }),
  handle: async ({ file, x, y, per }, ctx) => {
    const [header = '', ...rows] = (await readFile(file, 'utf8')).trim().split('\n');
    const names = header.trim().split(',');
    const points = rows.map((row): Point => {
      const cells = row.split(',').map(Number);
      return [cells[names.indexOf(x)] ?? 0, cells[names.indexOf(y)] ?? 0];
    });
    return { method: ctx.config.method, trend: Math.round(METHODS[ctx.config.method](points) * per * 1_000) / 1_000 };
  },
});
