// Auction: three data sets are to be surveyed. One agent is cheap by the row, one has a flat price, one knows a single file well: who is
// the cheapest depends on the task, and only the agents know. Data: the three files in data/.

import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';

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
      input: { file: fileURLToPath(new URL(`../data/${file}`, import.meta.url)), column },
    })),
    options: { replyByMs: 5_000 },
  });
  return ((await auction.result()).output as { awards: readonly Award[] }).awards;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  const agents = fileURLToPath(new URL('agents', import.meta.url));
  await using troupe = await createTroupe({ agentRoots: [agents], dataDir: 'memory://' });
  for (const { task, price, secondPrice, bids, result } of await run(troupe)) {
    const winner = bids.find(({ outcome }) => outcome === 'won');
    console.log(`${task}: ${winner?.name} for ${price} (second ${secondPrice}):`, result);
  }
}
