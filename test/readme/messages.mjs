import { createTroupe } from 'troupe';

const troupe = await createTroupe({ agentRoots: ['agents'], dataDir: 'memory://', logLevel: 'error' });
const names = ['ann', 'bob', 'cleo'];
const [ann, bob, cleo] = await Promise.all(names.map((name) => troupe.agents.spawn('clerk', { name })));
const { messages } = troupe;

await ann.tell('note', 'to ann alone'); // direct: delivered, refused and why, or unknown
await messages.channels.create({ name: 'desk', members: ['ann', 'bob'], filter: { schema: { type: 'string' } } });
await messages.broadcast('desk', 'note', 'to the desk'); // to every member; what the filter refuses comes back to its sender
await messages.subscribe({ agent: 'cleo', topic: 'orders.*' });
await messages.publish('orders.created', 'note', 'an order');
await messages.multicast({ type: 'clerk' }, 'note', 'to all clerks'); // by ids, type, capability or label
await bob.tell('note', 'kept', { durable: true }); // in the database now: handled once by effect, whatever dies

let notes = [];
while (!notes.includes('kept')) notes = await bob.ask('read'); // request and response
console.log('ann:', await ann.ask('read'));
console.log('bob:', notes);
console.log('cleo:', await cleo.ask('read'));

await troupe.stop();
