// Hierarchical: a planner is given a goal, a folder of documents and data sets. It plans searches and analyses, hears what came of them
// (one file does not exist), plans the report and ends with it. With a model on an Ollama server it plans with that, here by rules.
// Data: data/ (the README of the data sets, Mauna Loa CO2, GISTEMP).

import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';
import { DATA } from './data.ts';

const GOAL =
  'Where do the data sets come from, and under which licence? How has the concentration of CO2 changed since 1958?';

export interface Outcome {
  readonly result: {
    readonly report: { readonly markdown: string };
    readonly failed: readonly { readonly id: string; readonly reason: string | null }[];
  };
  readonly plan: {
    readonly rounds: readonly {
      readonly round: number;
      readonly tasks: readonly { readonly id: string; readonly capability: string; readonly status: string }[];
    }[];
  };
}

export async function run(troupe: Troupe): Promise<Outcome> {
  await Promise.all([
    troupe.agents.spawn('planner', { name: 'coordinator', config: { models: 'off' } }),
    troupe.agents.spawn('research', { name: 'librarian', config: { root: DATA, models: 'off' } }),
    troupe.agents.spawn('analysis', { name: 'statistician', config: { root: DATA } }),
    troupe.agents.spawn('generation', { name: 'editor', config: { models: 'off' } }),
  ]);
  const work = await troupe.workflows.run({
    name: 'where the data come from',
    pattern: 'hierarchical',
    goal: GOAL,
    coordinator: { capability: 'plan.make', agentId: 'coordinator' },
    input: { folder: '.', data: ['co2-concentration.csv', 'global-temperature.csv', 'no-such-file.csv'] },
  });
  return (await work.result()).output as Outcome;
}

export function show({ result, plan }: Outcome): string {
  const planned = plan.rounds.flatMap(({ round, tasks }) =>
    tasks.map(({ id, capability, status }) => `round ${round}: ${status} ${id} (${capability})`),
  );
  return `${planned.join('\n')}\n\n${result.report.markdown}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  await using troupe = await createTroupe({ dataDir: 'memory://' });
  console.log(show(await run(troupe)));
}
