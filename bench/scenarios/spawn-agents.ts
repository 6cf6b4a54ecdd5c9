// Whole agents, as a user gets them: a durable row, a supervisor, a cell in a thread, idle and confirmed. Beside it, what a bare machine costs.

import { createActor, createMachine } from 'xstate';
import { createTroupe } from '../../runtime/index.ts';
import type { Scenario, Subject } from '../scenario.ts';

const COUNT = 10_000;

const troupeAgents: Subject = {
  name: 'troupe agents, durable, on 2 threads',
  role: 'ours',
  async prepare() {
    const troupe = await createTroupe({ dataDir: 'memory://', threads: 2, logLevel: 'error' });
    let before = 0;
    return {
      async once() {
        const began = performance.now();
        const views = await Promise.all(Array.from({ length: COUNT }, () => troupe.agents.create({ type: 'probe' })));
        await Promise.all(views.map(({ id }) => troupe.agents.started(id)));
        const ms = performance.now() - began;
        const { agents } = await troupe.system.status();
        before += COUNT;
        if (agents.byState.idle !== before) throw new Error(`${agents.byState.idle} of ${before} agents are idle`);
        return { count: COUNT, ms };
      },
      close: () => troupe.system.stop({ timeoutMs: 0 }),
    };
  },
};

const bareMachines: Subject = {
  name: 'XState machines in one thread, nothing else',
  role: 'limit',
  async prepare() {
    const machine = createMachine({
      initial: 'created',
      states: { created: { on: { initialize: 'initializing' } }, initializing: { on: { ready: 'idle' } }, idle: {} },
    });
    return {
      async once() {
        const began = performance.now();
        const actors = Array.from({ length: COUNT }, () => {
          const actor = createActor(machine).start();
          actor.send({ type: 'initialize' });
          actor.send({ type: 'ready' });
          return actor;
        });
        const ms = performance.now() - began;
        const idle = actors.filter((actor) => actor.getSnapshot().matches('idle')).length;
        if (idle !== COUNT) throw new Error(`${idle} of ${COUNT} machines are idle`);
        for (const actor of actors) actor.stop();
        return { count: COUNT, ms };
      },
      async close() {},
    };
  },
};

export const scenario: Scenario = {
  name: 'spawn-agents',
  about: 'agents created, stored, spawned and idle; agents a second',
  subjects: [troupeAgents, bareMachines],
};
