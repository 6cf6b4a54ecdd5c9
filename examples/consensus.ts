// Consensus: five agents estimate by five methods how fast the globe warms; the median decides, and what lies farthest off is left out.
// Data: data/global-temperature.csv (GISTEMP, 1880 to 2023).

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';
import { DATA } from './data.ts';

const METHODS = ['leastSquares', 'medianOfSlopes', 'halves', 'firstAndLast', 'lastTen'] as const;

export interface Consensus {
  /** Degrees Celsius per decade. */
  readonly decision: number;
  /** Share of the voters whose estimate was taken into account. */
  readonly agreement: number;
  readonly dissent: readonly { readonly ballot: number }[];
  readonly votes: readonly { readonly ballot: number; readonly answer: { readonly method: string } }[];
}

export async function run(troupe: Troupe): Promise<Consensus> {
  const members = await Promise.all(
    METHODS.map((method) => troupe.agents.spawn('estimator', { name: `by-${method}`, config: { method } })),
  );
  const vote = await troupe.workflows.run({
    name: 'warming per decade',
    pattern: 'consensus',
    task: {
      capability: 'trend.estimate',
      input: {
        file: join(DATA, 'global-temperature.csv'),
        x: 'year',
        y: 'temp',
        per: 10,
      },
    },
    voters: { agents: members.map(({ id }) => id) },
    options: { ballot: 'trend', rule: { median: { trim: 0.2 } }, quorum: 4 },
  });
  return (await vote.result()).output as Consensus;
}

export function show({ decision, agreement, votes, dissent }: Consensus): string {
  const ballots = votes.map(({ ballot, answer }) => `${ballot.toFixed(3)}  ${answer.method}`);
  const without = dissent.map(({ ballot }) => ballot).join(', ');
  const decided = `${decision.toFixed(3)}  degrees per decade, without ${without} (${Math.round(100 * agreement)} % of the voters agree)`;
  return [...ballots, decided].join('\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  const agents = fileURLToPath(new URL('agents', import.meta.url));
  await using troupe = await createTroupe({ agentRoots: [agents], dataDir: 'memory://' });
  console.log(show(await run(troupe)));
}
