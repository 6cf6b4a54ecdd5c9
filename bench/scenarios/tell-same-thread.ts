// Messages between two cells of one thread, against a mailbox written by hand.

import { nactTell } from '../peers/tell.ts';
import { pair, tellRound } from '../puppets.ts';
import type { Scenario } from '../scenario.ts';

const TIMES = 400_000;

export const scenario: Scenario = {
  name: 'tell-same-thread',
  about: 'messages a second between two cells of one thread, counted and summed by the receiver',
  subjects: [
    {
      name: 'troupe, cell to cell',
      role: 'ours',
      prepare: async () => {
        const cells = await pair(1);
        return { once: () => tellRound(cells, TIMES), close: cells.close };
      },
    },
    {
      name: 'mailbox by hand',
      role: 'limit',
      prepare: async () => ({
        once: async () => {
          const begin = performance.now();
          const mailbox: { type: string; from: string; body: { k: string; n: number } }[] = [];
          let count = 0;
          let sum = 0;
          for (let n = 1; n <= TIMES; ) {
            for (let at = 0; at < 2_048 && n <= TIMES; at++, n++) {
              mailbox.push({ type: 'inc', from: 'a', body: { k: 'v', n } });
            }
            for (const message of mailbox) {
              count++;
              sum += message.body.n;
            }
            mailbox.length = 0;
            await undefined;
          }
          if (sum !== (TIMES * (TIMES + 1)) / 2) throw new Error('the mailbox lost messages');
          return { count, ms: performance.now() - begin };
        },
        close: async () => {},
      }),
    },
    nactTell(TIMES),
  ],
  floors: { 'nact (one thread)': 1 },
};
