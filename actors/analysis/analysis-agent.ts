// The analysis agent: numbers without a model. Every capability is a thin door to one pure module.

import { relative } from 'node:path';
import { z } from 'zod';
import { TaskError } from '../../runtime/contracts/errors.ts';
import { capability } from '../agent/capability.ts';
import { defineAgent } from '../agent/define-agent.ts';
import { fileConfig } from '../agent-config.ts';
import { agentRoot, resolveBelow } from '../files.ts';
import { findingsConfig, tellFinding } from '../findings.ts';
import { workOf } from '../work.ts';
import { anomalySchema, findAnomalies } from './anomalies.ts';
import { analyseTable, datasetReportSchema } from './dataset.ts';
import { describeValues, descriptionSchema } from './describe.ts';
import { evaluateObjective, objectiveSchema } from './functions.ts';
import { leastSquares } from './least-squares.ts';
import { pathCost, pathCostSchema } from './path-cost.ts';
import { findSeasonality, seasonalitySchema } from './seasonality.ts';
import { readTable, tableSchema } from './table.ts';
import { findTrend, trendSchema } from './trend.ts';

const MAX_VALUES = 100_000;
const values = (min: number) => z.array(z.number()).min(min).max(MAX_VALUES);
const file = z.string().min(1).max(4_096).meta({ description: 'CSV file below the folder of the agent.' });

async function tableOf(path: string, config: unknown) {
  const root = await agentRoot(config as Record<string, unknown>, { cwd: process.cwd(), env: process.env });
  const real = await resolveBelow(root, path);
  return readTable(real, relative(root, real));
}

export const analysisAgent = defineAgent({
  type: 'analysis',
  description: 'Statistics, regression, outliers, cycles and trends of numbers and of CSV files. Needs no model.',
  config: z.object({ ...fileConfig, ...findingsConfig }),
  capabilities: {
    'table.read': capability({
      version: 1,
      description: 'Reads a CSV file as typed columns.',
      input: z.strictObject({ file }),
      output: tableSchema,
      handle: ({ file: path }, ctx) => tableOf(path, ctx.config),
    }),
    'dataset.analyse': capability({
      version: 1,
      description: 'Describes every numeric column of a CSV file, with trend, interval, cycle and outliers.',
      input: z.strictObject({
        file,
        rounds: z.number().int().min(0).max(10_000).default(200).meta({ description: 'Bootstrap rounds per column.' }),
        seed: z.number().int().min(0).default(1),
        threshold: z.number().positive().default(3.5),
      }),
      output: datasetReportSchema,
      async handle({ file: path, ...options }, ctx) {
        const report = await analyseTable(await tableOf(path, ctx.config), options, workOf(ctx));
        tellFinding(ctx, `${report.rows} rows, ${report.series.length} numeric series of ${path}`);
        return report;
      },
    }),
    'statistics.describe': capability({
      version: 1,
      description: 'n, mean, standard deviation, quantiles, minimum and maximum.',
      input: z.strictObject({ values: values(1) }),
      output: descriptionSchema,
      handle: (input) => describeValues(input.values),
    }),
    'statistics.regress': capability({
      version: 1,
      description: 'Least squares of y on one or more predictors.',
      input: z.strictObject({
        y: values(3),
        x: z
          .union([values(3), z.array(values(3)).min(1).max(50)])
          .meta({ description: 'One predictor, or a list of them.' }),
      }),
      output: z.object({
        coefficients: z.array(z.number()).meta({ description: 'Intercept first.' }),
        standardErrors: z.array(z.number()),
        residualSd: z.number(),
        rSquared: z.number(),
        n: z.number().int(),
      }),
      handle: ({ x, y }) => regress(x, y),
    }),
    'series.anomalies': capability({
      version: 1,
      description:
        'Outliers by the modified z-score, after trend and cycle are taken away. The cycle is sought unless given.',
      input: z.strictObject({
        values: values(3),
        period: z.number().int().min(2).nullable().optional(),
        threshold: z.number().positive().default(3.5),
      }),
      output: z.object({ anomalies: z.array(anomalySchema), period: z.number().int().nullable() }),
      handle: (input) => {
        const period = input.period === undefined ? findSeasonality(input.values).period : input.period;
        return { period, anomalies: findAnomalies(input.values, { period, threshold: input.threshold }) };
      },
    }),
    'series.seasonality': capability({
      version: 1,
      description: 'Period and strength of the cycle, and its mean profile.',
      input: z.strictObject({ values: values(8), maxPeriod: z.number().int().min(2).optional() }),
      output: seasonalitySchema,
      handle: ({ values: series, maxPeriod }) => findSeasonality(series, maxPeriod === undefined ? {} : { maxPeriod }),
    }),
    'series.trend': capability({
      version: 1,
      description: 'Trend by least squares, Theil-Sen and Mann-Kendall.',
      input: z.strictObject({ values: values(3) }),
      output: trendSchema,
      handle: (input) => findTrend(input.values),
    }),
    'function.evaluate': capability({
      version: 1,
      description: 'A test function for optimisers: the lower the score, the better.',
      input: z.strictObject({ function: objectiveSchema, x: z.array(z.number()).min(1).max(1_000) }),
      output: z.object({ score: z.number() }),
      handle: (input) => ({ score: evaluateObjective(input.function, input.x) }),
    }),
    'path.cost': capability({
      version: 1,
      description: 'The cost of a path or tour through a graph: the sum over its edges.',
      input: pathCostSchema,
      output: z.object({ score: z.number() }),
      handle(input) {
        const cost = pathCost(input);
        if (!cost.ok) throw new TaskError('path_broken', cost.reason, { retryable: false });
        return { score: cost.score };
      },
    }),
  },
});

/** @throws TaskError `regression_impossible` saying why. */
function regress(x: readonly number[] | readonly number[][], y: readonly number[]) {
  const columns = (Array.isArray(x[0]) ? x : [x]) as readonly number[][];
  const uneven = columns.findIndex((column) => column.length !== y.length);
  const result =
    uneven >= 0
      ? ({
          ok: false,
          reason: `predictor ${uneven + 1} has ${columns[uneven]?.length} values, y has ${y.length}`,
        } as const)
      : leastSquares(columns, y);
  if (!result.ok) throw new TaskError('regression_impossible', result.reason, { retryable: false });
  const { coefficients, standardErrors, residualSd, rSquared } = result.fit;
  return { coefficients: [...coefficients], standardErrors: [...standardErrors], residualSd, rSquared, n: y.length };
}
