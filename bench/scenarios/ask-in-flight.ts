// Questions from a cell in one thread to a cell in another, 256 in flight, against the port alone.

import { askRound, pair } from '../puppets.ts';
import type { Scenario, Subject } from '../scenario.ts';
import { joined } from './raw-port.mjs';

const TIMES = 100_000;
const IN_FLIGHT = 256;

const port = (
  name: string,
  order: { readonly type: 'ask' | 'askBatched'; readonly inFlight?: number; readonly batch?: number },
): Subject => ({
  name,
  role: 'limit',
  prepare: async () => {
    const ports = await joined();
    return { once: () => ports.run({ times: TIMES, ...order }), close: ports.close };
  },
});

export const scenario: Scenario = {
  name: 'ask-in-flight',
  about: 'questions a second between cells of two threads, 256 in flight, each reply compared with its question',
  subjects: [
    {
      name: 'troupe, cell to cell',
      role: 'ours',
      prepare: async () => {
        const cells = await pair(2);
        return { once: () => askRound(cells, TIMES, IN_FLIGHT), close: cells.close };
      },
    },
    port('MessagePort, one a post', { type: 'ask', inFlight: IN_FLIGHT }),
    port('MessagePort, 128 a post, agreed msgpackr records', { type: 'askBatched', batch: IN_FLIGHT / 2 }),
  ],
  floors: { 'MessagePort, one a post': 0.5, 'MessagePort, 128 a post, agreed msgpackr records': 0.15 },
};
