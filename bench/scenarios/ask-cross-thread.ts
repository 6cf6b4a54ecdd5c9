// Questions from a cell in one thread to a cell in another, one at a time, against the port alone.

import { askRound, pair } from '../puppets.ts';
import type { Scenario } from '../scenario.ts';
import { joined } from './raw-port.mjs';

const TIMES = 10_000;

export const scenario: Scenario = {
  name: 'ask-cross-thread',
  about: 'questions a second between cells of two threads, one at a time, each reply compared with its question',
  subjects: [
    {
      name: 'troupe, cell to cell',
      role: 'ours',
      prepare: async () => {
        const cells = await pair(2);
        return { once: () => askRound(cells, TIMES, 1), close: cells.close };
      },
    },
    {
      name: 'MessagePort',
      role: 'limit',
      prepare: async () => {
        const ports = await joined();
        return { once: () => ports.run({ type: 'ask', times: TIMES, inFlight: 1 }), close: ports.close };
      },
    },
  ],
  floors: { MessagePort: 0.3 },
};
