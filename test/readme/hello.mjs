import { createTroupe } from 'troupe';

const troupe = await createTroupe({ agentRoots: ['agents'], dataDir: 'memory://' });
const greeter = await troupe.agents.spawn('greeter', { name: 'ann' });

console.log(await greeter.ask('name.asked')); // a message: volatile, answered in milliseconds

const task = await troupe.tasks.start({ capability: 'text.greet', input: { name: 'Bob' } }); // a task: durable from here on
console.log(await task.result());

const run = await troupe.workflows.run({
  pattern: 'sequential',
  tasks: [
    { id: 'first', capability: 'text.greet', input: { name: 'Cleo' } },
    { id: 'second', capability: 'text.greet', input: { name: { $from: 'first.greeting' } }, dependsOn: ['first'] },
  ],
});
console.log((await run.result()).output.second);

await troupe.stop();
