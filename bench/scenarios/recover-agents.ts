// A thread with 1,000 agents dies; counted until all of them are idle again on other threads.

import { setTimeout as sleep } from 'node:timers/promises';
import { createTroupe } from '../../runtime/index.ts';
import type { Scenario } from '../scenario.ts';

const PER_THREAD = 1_000;
const LIMIT_MS = 30_000;

export const scenario: Scenario = {
  name: 'recover-agents',
  about: `agents of a killed thread that are idle again, of ${PER_THREAD}; agents a second`,
  subjects: [
    {
      name: 'troupe',
      role: 'ours',
      async prepare() {
        const troupe = await createTroupe({ dataDir: 'memory://', threads: 2, logLevel: 'error' });
        const views = await Promise.all(
          Array.from({ length: 2 * PER_THREAD }, () => troupe.agents.create({ type: 'probe' })),
        );
        await Promise.all(views.map(({ id }) => troupe.agents.started(id)));
        return {
          async once() {
            const victim = (await troupe.system.status()).threads.toSorted((a, b) => b.cells - a.cells)[0];
            if (!victim) throw new Error('no thread is up');
            const lost = victim.cells;
            const all = 2 * PER_THREAD;
            const began = performance.now();
            const until = began + LIMIT_MS;
            troupe.system.killThread(victim.thread, 'terminate');
            let seen = false;
            for (let idle = all; !seen || idle < all; ) {
              await sleep(2);
              idle =
                troupe.system
                  .tree()
                  .children.find(({ id }) => id === 'agents')
                  ?.children.filter(({ state }) => state === 'idle').length ?? 0;
              seen ||= idle < all;
              if (performance.now() > until) throw new Error(`${idle} of ${all} agents are idle`);
            }
            return { count: lost, ms: performance.now() - began };
          },
          close: () => troupe.system.stop({ timeoutMs: 0 }),
        };
      },
    },
  ],
};
