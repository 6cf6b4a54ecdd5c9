// What a report is written from: results of research and analysis as they come out of a workflow.
// Looser than what those agents promise, so that a report can be written from other agents' results too.

import { z } from 'zod';

const placed = { file: z.string(), line: z.number().int() };

export const reportPassageSchema = z.object({
  ...placed,
  section: z.string().default(''),
  kind: z.string().default('prose'),
  quote: z.string().min(1),
  score: z.number().default(0),
  terms: z.array(z.string()).default([]),
});
export type ReportPassage = z.output<typeof reportPassageSchema>;

const searchSchema = z.object({
  question: z.string(),
  passages: z.array(reportPassageSchema),
  files: z.number().int().default(0),
  searched: z.number().int().default(0),
});
export type ReportSearch = z.output<typeof searchSchema>;

const surveySchema = z.object({
  files: z.number().int(),
  passages: z.number().int(),
  words: z.number().int(),
  themes: z.array(z.object({ term: z.string(), count: z.number(), files: z.number() })).default([]),
  repeatedPassages: z.number().int().default(0),
  pairsCompared: z.number().int().default(0),
  skipped: z.array(z.object({ file: z.string(), reason: z.string() })).default([]),
});
export type ReportSurvey = z.output<typeof surveySchema>;

const seriesSchema = z.object({
  name: z.string(),
  describe: z.object({
    n: z.number(),
    mean: z.number(),
    sd: z.number().nullable(),
    min: z.number(),
    median: z.number(),
    max: z.number(),
  }),
  trend: z
    .object({
      direction: z.enum(['rising', 'falling', 'none']),
      robustSlope: z.number(),
      perYear: z.number().nullable(),
      pValue: z.number(),
      interval: z.object({ low: z.number(), high: z.number(), level: z.number(), rounds: z.number() }).nullable(),
    })
    .nullable(),
  seasonality: z.object({
    label: z.string().nullable(),
    strength: z.number(),
    high: z.string().nullable(),
    low: z.string().nullable(),
    swing: z.number().nullable(),
  }),
  anomalies: z.object({
    count: z.number().int(),
    threshold: z.number(),
    top: z.array(z.object({ at: z.string(), value: z.number(), expected: z.number(), score: z.number() })),
  }),
});
export type ReportSeries = z.output<typeof seriesSchema>;

const datasetSchema = z.object({
  file: z.string(),
  rows: z.number().int(),
  time: z.object({ column: z.string(), step: z.string(), from: z.string(), to: z.string() }).nullable(),
  series: z.array(seriesSchema),
  categories: z
    .array(z.object({ name: z.string(), values: z.array(z.object({ value: z.string(), count: z.number() })) }))
    .default([]),
});
export type ReportDataset = z.output<typeof datasetSchema>;

const findingSchema = z.object({
  claim: z.string(),
  verdict: z.enum(['supported', 'refuted', 'unknown']),
  method: z.string(),
  reason: z.string(),
  sources: z.array(z.object({ ...placed, text: z.string() })),
});

export const reportInputSchema = z.strictObject({
  title: z.string().min(1).max(300).optional(),
  question: z.string().min(2).max(1_000),
  /** Folder of the documents, as the reader knows it. */
  folder: z.string().max(4_096).optional(),
  searches: z.array(searchSchema).max(50).default([]),
  survey: surveySchema.optional(),
  findings: z.array(findingSchema).max(200).default([]),
  datasets: z.array(datasetSchema).max(50).default([]),
  /** Where data files come from and under which licence, by file name. */
  notes: z.record(z.string(), z.string().max(1_000)).default({}),
  /** Quotes of each search. */
  quotes: z.number().int().min(1).max(20).default(4),
});
export type ReportInput = z.output<typeof reportInputSchema>;
