// Sequential: research, then a person who approves what was found, then the report. The run waits for the person as long as it takes;
// here the approval comes from the program itself. Data: data/ (the README of the data sets).

import { fileURLToPath } from 'node:url';
import type { Troupe } from 'troupe';
import { DATA } from './data.ts';

const QUESTION = 'Under which licence may the data sets be used?';

export interface Outcome {
  readonly prompt: string;
  readonly found: { readonly passages: readonly { readonly file: string; readonly quote: string }[] };
  readonly markdown: string;
}

export async function run(troupe: Troupe): Promise<Outcome> {
  await Promise.all([
    troupe.agents.spawn('research', { name: 'searcher', config: { root: DATA, models: 'off' } }),
    troupe.agents.spawn('generation', { name: 'author', config: { models: 'off' } }),
  ]);
  const work = await troupe.workflows.run({
    name: 'licences, read and approved',
    pattern: 'sequential',
    input: { question: QUESTION },
    tasks: [
      {
        id: 'search',
        capability: 'document.search',
        agentId: 'searcher',
        input: { question: { $input: 'question' }, folder: '.' },
      },
      {
        id: 'approval',
        approval: { prompt: 'Are these the right passages?' },
        input: { $from: 'search.passages' },
        dependsOn: ['search'],
      },
      {
        id: 'report',
        capability: 'report.write',
        agentId: 'author',
        input: { question: { $input: 'question' }, searches: [{ $from: 'search' }] },
        dependsOn: ['approval'],
      },
    ],
  });
  for await (const event of work.events()) if (event.type === 'workflow.input') break;
  const [asked] = await work.inputs();
  await work.answer('approval', { approved: true });
  const { search, report } = (await work.result()).output as {
    search: Outcome['found'];
    report: { markdown: string };
  };
  return { prompt: asked?.prompt ?? '', found: search, markdown: report.markdown };
}

export const show = ({ prompt, found, markdown }: Outcome): string =>
  `a person was asked: ${prompt} (${found.passages.length} of them, approved)\n\n${markdown}`;

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { createTroupe } = await import('troupe');
  await using troupe = await createTroupe({ dataDir: 'memory://' });
  console.log(show(await run(troupe)));
}
