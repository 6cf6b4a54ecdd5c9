// Messages from a cell in one thread to a cell in another, against the port alone.

import { comedyTell, nactTell } from '../peers/tell.ts';
import { pair, tellRound } from '../puppets.ts';
import type { Scenario } from '../scenario.ts';
import { joined } from './raw-port.mjs';

const TIMES = 400_000;

export const scenario: Scenario = {
  name: 'tell-cross-thread',
  about: 'messages a second between cells of two threads, 70 bytes each, counted and summed by the receiver',
  subjects: [
    {
      name: 'troupe, cell to cell',
      role: 'ours',
      prepare: async () => {
        const cells = await pair(2);
        return { once: () => tellRound(cells, TIMES), close: cells.close };
      },
    },
    {
      name: 'MessagePort, 256 a post, agreed msgpackr records',
      role: 'limit',
      prepare: async () => {
        const ports = await joined();
        return {
          once: async () => {
            const { count, sum, ms } = await ports.run({ type: 'tell', times: TIMES, batch: 256 });
            if (count !== TIMES || sum !== (TIMES * (TIMES + 1)) / 2) throw new Error('the port lost messages');
            return { count, ms };
          },
          close: ports.close,
        };
      },
    },
    nactTell(TIMES),
    comedyTell(TIMES / 10),
  ],
  floors: { 'MessagePort, 256 a post, agreed msgpackr records': 0.4, 'comedy (threaded)': 5 },
};
