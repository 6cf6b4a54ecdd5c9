// Surveys a column of a CSV file, for a price. It knows what a row costs it and bids for what it can read.

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { defineAgent, z } from 'troupe/agents';

const surveySchema = z.object({ file: z.string(), column: z.string() });

async function columnOf({ file, column }: z.infer<typeof surveySchema>): Promise<number[]> {
  const [header = '', ...rows] = (await readFile(file, 'utf8')).trim().split('\n');
  const at = header.trim().split(',').indexOf(column);
  return rows.map((row) => Number(row.split(',')[at]));
}

export const surveyor = defineAgent({
  type: 'surveyor',
  description: 'Surveys a column of a CSV file, for a price.',
  config: z.object({ perRow: z.number(), flat: z.number().default(0), only: z.string().optional() }),
  bid: async (call, { config }) => {
    const task = surveySchema.safeParse(call.input);
    if (!task.success || (config.only !== undefined && basename(task.data.file) !== config.only)) return null;
    const rows = await columnOf(task.data);
    return { cost: Math.round((config.flat + rows.length * config.perRow) * 100) / 100, confidence: 1 };
  },
  capability: 'data.survey',
  input: surveySchema,
  output: z.object({ rows: z.number(), least: z.number(), most: z.number(), mean: z.number() }),
  handle: async (task) => {
    const numbers = await columnOf(task);
    const mean = numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
    return {
      rows: numbers.length,
      least: Math.min(...numbers),
      most: Math.max(...numbers),
      mean: Math.round(mean * 1_000) / 1_000,
    };
  },
});
