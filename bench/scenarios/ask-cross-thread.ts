// Questions from a cell in one thread to a cell in another, one at a time and 256 in flight, against the port alone.

import type { Scenario, Subject } from '../scenario.ts';
import { askRound, pair } from './puppets.ts';
import { joined } from './raw-port.mjs';

const ours = (inFlight: number, times: number): Subject => ({
  name: `troupe, ${inFlight} in flight`,
  role: 'ours',
  prepare: async () => {
    const cells = await pair(2);
    return { once: () => askRound(cells, times, inFlight), close: cells.close };
  },
});

const limit = (inFlight: number, times: number): Subject => ({
  name: `MessagePort, ${inFlight} in flight`,
  role: 'limit',
  prepare: async () => {
    const ports = await joined();
    return { once: () => ports.run({ type: 'ask', times, inFlight }), close: ports.close };
  },
});

export const scenario: Scenario = {
  name: 'ask-cross-thread',
  about: 'questions a second between cells of two threads, each reply compared with its question',
  subjects: [ours(1, 5_000), limit(1, 5_000), ours(256, 100_000), limit(256, 100_000)],
};
