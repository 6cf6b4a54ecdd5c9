// Parallel: three data sets analysed at once; the first whose trend is beyond doubt wins and the others are no longer needed. Then the same
// with every result, and one that fails does no harm. Data: data/*.csv (Mauna Loa CO2, GISTEMP, weather of Seattle).

import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';
import { DATA } from './data.ts';

const FILES = { co2: 'co2-concentration.csv', warming: 'global-temperature.csv', weather: 'seattle-weather.csv' };

export interface Outcome {
  readonly first: { readonly stopReason: string | null; readonly states: readonly string[]; readonly rows: number };
  readonly all: { readonly status: string; readonly rows: readonly (number | null)[]; readonly speedup: number };
}

const analyses = (files: Readonly<Record<string, string>>) =>
  Object.entries(files).map(([id, file]) => ({ id, capability: 'dataset.analyse', input: { file } }));

export async function run(troupe: Troupe): Promise<Outcome> {
  await Promise.all(
    [1, 2, 3].map((n) => troupe.agents.spawn('analysis', { name: `parallel-${n}`, config: { root: DATA } })),
  );
  const race = await troupe.workflows.run({ pattern: 'parallel', tasks: analyses(FILES), options: { join: 'any' } });
  const won = await race.result();
  const settled = await troupe.workflows.run({
    pattern: 'parallel',
    tasks: analyses({ ...FILES, missing: 'no-such-file.csv' }),
    options: { join: 'allSettled' },
  });
  const ended = await settled.result();
  const results = ended.output as Readonly<Record<string, { readonly rows: number } | null>>;
  return {
    first: {
      stopReason: won.stopReason,
      states: won.tasks.map(({ state }) => state),
      rows: (won.output as { sink: { rows: number } }).sink.rows,
    },
    all: {
      status: ended.status,
      rows: [...Object.keys(FILES), 'missing'].map((id) => results[id]?.rows ?? null),
      speedup: ended.metrics?.speedup ?? 0,
    },
  };
}

export function show({ first, all }: Outcome): string {
  const counts = all.rows.map((rows) => rows ?? 'failed').join(', ');
  return `any: the first of three had ${first.rows} rows, the others were ${first.states.filter((state) => state !== 'completed').join(' and ')}
allSettled: ${all.status}, rows ${counts}, ${all.speedup.toFixed(1)} times as fast as one after the other`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  await using troupe = await createTroupe({ dataDir: 'memory://' });
  console.log(show(await run(troupe)));
}
