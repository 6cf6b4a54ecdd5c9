import { createTroupe } from 'troupe';

const troupe = await createTroupe({ dataDir: 'memory://', logLevel: 'error' });
// Five voters; the probe agent answers what its config says, which makes the run easy to follow.
for (const answer of ['yes', 'yes', 'no', 'yes', 'no']) await troupe.agents.spawn('probe', { config: { answer } });

const vote = await troupe.workflows.run({
  pattern: 'consensus',
  task: { capability: 'probe.run' },
  voters: { n: 5 },
  options: { rule: 'majority', ballot: 'answer' },
});
const { decision } = (await vote.result()).output;
console.log('the vote:', decision);

const flow = await troupe.workflows.run({
  pattern: 'sequential',
  budget: { calls: 10, wallMs: 3_600_000 },
  tasks: [
    { id: 'draft', capability: 'probe.run', input: { answer: 'a first draft' } },
    { id: 'release', approval: { prompt: 'Release it?' }, input: { $from: 'draft.answer' }, dependsOn: ['draft'] },
    { id: 'publish', capability: 'probe.run', input: { answer: { $from: 'draft.answer' } }, dependsOn: ['release'] },
  ],
});
for await (const event of flow.events()) if (event.type === 'workflow.input') break; // minutes or days later, on any node
await flow.answer('release', { approved: true, comment: 'fine' });
const { status, output, metrics } = await flow.result();
console.log('the release:', status, output.release.comment, metrics.messages.dispatched, 'steps');

const again = await flow.fork({ fromStep: 'publish' }); // with what came before, approval included
console.log('once more:', (await again.result()).output.publish.answer);

await troupe.stop();
