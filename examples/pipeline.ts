// Pipeline: data sets flow through reading, analysis and report writing; while one is written up the next is analysed. A file that does
// not exist is put aside, and the others come through.
// Data: data/*.csv (Mauna Loa CO2, GISTEMP, weather of Seattle).

import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';
import { DATA } from './data.ts';

const FILES = ['co2-concentration.csv', 'global-temperature.csv', 'no-such-file.csv', 'seattle-weather.csv'];

export interface Reports {
  readonly items: readonly {
    readonly index: number;
    readonly status: 'completed' | 'dead_letter' | 'cancelled';
    readonly result: { readonly markdown: string } | null;
    readonly stages: { readonly analyse?: { readonly rows: number } };
    readonly error?: { readonly code: string };
  }[];
}

export async function run(troupe: Troupe): Promise<Reports> {
  await Promise.all([
    troupe.agents.spawn('analysis', { name: 'reader', config: { root: DATA } }),
    troupe.agents.spawn('analysis', { name: 'analyst', config: { root: DATA } }),
    troupe.agents.spawn('generation', { name: 'writer', config: { models: 'off' } }),
  ]);
  const reports = await troupe.workflows.run({
    name: 'a report per data set',
    pattern: 'pipeline',
    items: FILES.map((file) => ({ file })),
    stages: [
      { id: 'read', capability: 'table.read', agentId: 'reader' },
      { id: 'analyse', capability: 'dataset.analyse', agentId: 'analyst', input: { file: { $from: 'item.file' } } },
      {
        id: 'write',
        capability: 'report.write',
        buffer: 1,
        input: { question: 'What do the numbers say?', title: { $from: 'read.file' }, datasets: [{ $item: '' }] },
      },
    ],
  });
  return (await reports.result()).output as Reports;
}

export const show = ({ items }: Reports): string =>
  items
    .map(({ index, status, stages, result, error }) =>
      result
        ? `${FILES[index]}: ${status}, ${stages.analyse?.rows} rows, a report of ${result.markdown.length} characters`
        : `${FILES[index]}: ${status} (${error?.code})`,
    )
    .join('\n');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  await using troupe = await createTroupe({ dataDir: 'memory://' });
  const reports = await run(troupe);
  for (const { result } of reports.items) if (result) console.log(`${result.markdown}\n`);
  console.log(show(reports));
}
