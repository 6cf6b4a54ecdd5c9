// Peers of the tell benchmarks: nact (one thread) and comedy (in its threaded mode). The receiver counts and sums what it got.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { Subject } from '../scenario.ts';

/** The peers are installed beside the sources (`npm run bench:peers`); benchmarks run compiled, from the root of the project. */
const require = createRequire(join(process.cwd(), 'bench/peers/package.json'));

/** Sends in flight at once; `count` must be a multiple. */
const BURST = 1_000;

interface Inc {
  readonly type: 'inc';
  readonly id: number;
  readonly from: string;
  readonly body: { readonly k: string; readonly n: number };
}
const inc = (id: number): Inc => ({ type: 'inc', id, from: 'a', body: { k: 'v', n: 1 } });

function confirm(received: number, expected: number, what: string): void {
  if (received !== expected) throw new Error(`${what} confirmed ${received} of ${expected}`);
}

interface Nact {
  start(): object;
  stop(system: object): void;
  spawnStateless(parent: object, handle: (message: Inc) => void): object;
  dispatch(actor: object, message: Inc): void;
}

/** nact: actors of one thread. */
export const nactTell = (count: number): Subject => ({
  name: 'nact (one thread)',
  role: 'peer',
  async prepare() {
    const nact = require('nact') as Nact;
    const system = nact.start();
    return {
      async once() {
        const began = performance.now();
        await new Promise<void>((resolve) => {
          let received = 0;
          const actor = nact.spawnStateless(system, (message) => {
            received += message.body.n;
            if (received === count) resolve();
          });
          for (let id = 0; id < count; id++) nact.dispatch(actor, inc(id));
        });
        return { count, ms: performance.now() - began };
      },
      async close() {
        nact.stop(system);
      },
    };
  },
});

interface ComedyActor {
  send(topic: string, message: Inc): Promise<void>;
  sendAndReceive(topic: string): Promise<number>;
}
interface Comedy {
  (options: object): {
    rootActor(): Promise<{ createChild(module: string, options: object): Promise<ComedyActor> }>;
    destroy(): Promise<void>;
  };
}

/** comedy with its actor in a thread of its own; sends are not awaited one by one. */
export const comedyTell = (count: number): Subject => ({
  name: 'comedy (threaded)',
  role: 'peer',
  async prepare() {
    const { createSystem } = require('comedy') as { createSystem: Comedy };
    const system = createSystem({ test: true, loggerConfiguration: { categories: { default: 'Silent' } } });
    const root = await system.rootActor();
    const actor = await root.createChild(
      '/comedy-counter.cjs',
      { mode: 'threaded' },
    );
    return {
      async once() {
        const began = performance.now();
        for (let id = 0; id < count; id += BURST) {
          await Promise.all(Array.from({ length: BURST }, (_, at) => actor.send('inc', inc(id + at))));
        }
        let received = 0;
        while (received < count) received += await actor.sendAndReceive('sum');
        confirm(received, count, 'comedy');
        return { count, ms: performance.now() - began };
      },
      close: () => system.destroy(),
    };
  },
});
