// Auction: three data sets are to be surveyed. One agent is cheap by the row, one has a flat price, one knows a single file well: who is
// the cheapest depends on the task, and only the agents know. Data: the three files in data/.

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';
import { DATA } from './data.ts';

const SURVEYS = [
  { id: 'weather', file: 'seattle-weather.csv', column: 'temp_max' },
  { id: 'co2', file: 'co2-concentration.csv', column: 'CO2' },
  { id: 'warming', file: 'global-temperature.csv', column: 'temp' },
] as const;

const SURVEYORS = {
  'by-the-row': { perRow: 0.1 },
  'flat-price': { perRow: 0, flat: 60 },
  specialist: { perRow: 0.01, only: 'seattle-weather.csv' },
};

export interface Award {
  readonly task: string;
  readonly price: number;
  /** What the second lowest bid asked. */
  readonly secondPrice: number | null;
  readonly result: { readonly rows: number; readonly least: number; readonly most: number; readonly mean: number };
  readonly bids: readonly { readonly name: string; readonly score: number | null; readonly outcome: string }[];
}

export async function run(troupe: Troupe): Promise<readonly Award[]> {
  for (const [name, config] of Object.entries(SURVEYORS)) await troupe.agents.spawn('surveyor', { name, config });
  const auction = await troupe.workflows.run({
    name: 'surveys',
    pattern: 'auction',
    tasks: SURVEYS.map(({ id, file, column }) => ({
      id,
      capability: 'data.survey',
      input: { file: join(DATA, file), column },
    })),
    options: { replyByMs: 5_000 },
  });
  return ((await auction.result()).output as { awards: readonly Award[] }).awards;
}

export const show = (awards: readonly Award[]): string =>
  awards
    .map(({ task, price, secondPrice, bids, result }) => {
      const winner = bids.find(({ outcome }) => outcome === 'won');
      const { rows, least, most, mean } = result;
      const asked = bids.map(({ name, score }) => `${name} ${score ?? '-'}`).join(', ');
      return `${task}: ${winner?.name} for ${price}, the second price is ${secondPrice} (${asked}); ${rows} rows from ${least} to ${most}, mean ${mean}`;
    })
    .join('\n');

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  const agents = fileURLToPath(new URL('agents', import.meta.url));
  await using troupe = await createTroupe({ agentRoots: [agents], dataDir: 'memory://' });
  console.log(show(await run(troupe)));
}
