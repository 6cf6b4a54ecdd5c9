// Cells started over the control plane, ten thousand a round; each round's cells are stopped before the next.

import { puppetSpec, startPool } from '../../test/kit/pool.ts';
import type { Scenario } from '../scenario.ts';

const CELLS = 10_000;

export const scenario: Scenario = {
  name: 'spawn-cells',
  about: 'cells a second, from the order on the main thread to the answer that it has started, over two threads',
  subjects: [
    {
      name: 'troupe',
      role: 'ours',
      prepare: async () => {
        const rig = await startPool({
          threads: 2,
          beatMs: 100,
          stuckAfterMs: 5_000,
          stuckKillMs: 60_000,
          spawnTimeoutMs: 60_000,
          maxOldGenerationSizeMb: 512,
        });
        let round = 0;
        return {
          once: async () => {
            round++;
            const specs = Array.from({ length: CELLS }, (_, n) => puppetSpec(`bench-${round}-${n}`));
            const begin = performance.now();
            const started = await Promise.all(specs.map((spec) => rig.pool.spawn(spec, { dedicated: false })));
            const ms = performance.now() - begin;
            const living = (await rig.pool.cellStats()).length;
            if (living !== CELLS) throw new Error(`${living} of ${CELLS} cells live`);
            await Promise.all(started.map(({ id }) => rig.pool.stopCell(id, 'stop', 10_000)));
            return { count: CELLS, ms };
          },
          close: () => rig.pool.stop(),
        };
      },
    },
  ],
};
