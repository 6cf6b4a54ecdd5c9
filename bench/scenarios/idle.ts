// What a node costs that has nothing to do: all threads of its process together, garbage collection and compilers included.
// The samples begin with the first round of the seldom chores, which come every two minutes and take turns over one.

import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { createTroupe } from '../../runtime/index.ts';
import { startPostgres } from '../../test/kit/services.ts';
import type { PreparedSubject, Scenario, Subject } from '../scenario.ts';

const AGENTS = 1_000;
const SETTLE_MS = 118_000;
const SAMPLE_MS = 20_000;

/** The processor time of this process over one sample, so counted that count per second is percent of a core. */
async function sample(): Promise<{ count: number; ms: number }> {
  const began = performance.now();
  const before = process.cpuUsage();
  await sleep(SAMPLE_MS);
  const { user, system } = process.cpuUsage(before);
  return { count: (user + system) / 1_000 / 10, ms: performance.now() - began };
}

async function settled(close: () => Promise<void>, check = async () => {}): Promise<PreparedSubject> {
  await sleep(SETTLE_MS);
  return {
    async once() {
      const measured = await sample();
      await check();
      return measured;
    },
    close,
  };
}

const idleNode = (
  name: string,
  database: () => Promise<{ readonly url?: string; stop(): Promise<void> }>,
): Subject => ({
  name,
  role: 'ours',
  async prepare() {
    const { url, stop } = await database();
    const where = url ? { databaseUrl: url } : { dataDir: 'memory://' };
    const troupe = await createTroupe({ ...where, threads: 2, logLevel: 'error' });
    const views = await Promise.all(Array.from({ length: AGENTS }, () => troupe.agents.create({ type: 'probe' })));
    await Promise.all(views.map(({ id }) => troupe.agents.started(id)));
    const close = async () => {
      await troupe.system.stop({ timeoutMs: 0 });
      await stop();
    };
    return settled(close, async () => {
      const { agents } = await troupe.system.status();
      if (agents.byState.idle !== AGENTS) throw new Error(`${agents.byState.idle} of ${AGENTS} agents are idle`);
    });
  },
});

const emptyProcess: Subject = {
  name: 'an empty Node process with 3 threads',
  role: 'limit',
  async prepare() {
    const wait = 'setInterval(() => {}, 2 ** 30)';
    const threads = Array.from({ length: 3 }, () => new Worker(wait, { eval: true }));
    return settled(async () => void (await Promise.all(threads.map((thread) => thread.terminate()))));
  },
};

export const scenario: Scenario = {
  name: 'idle',
  about: `a node with ${AGENTS} idle agents on 2 threads, samples of ${SAMPLE_MS / 1_000} s; percent of a core, less is better`,
  unit: '%',
  subjects: [
    idleNode('troupe, embedded database', async () => ({ stop: async () => {} })),
    idleNode('troupe, PostgreSQL (the node alone)', startPostgres),
    emptyProcess,
  ],
};
