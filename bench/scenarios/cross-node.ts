// Messages from a cell in one process to a cell in another over Redis, against packed streams alone.

import { startRedis } from '../../test/kit/services.ts';
import { twoNodes } from '../nodes.ts';
import type { Scenario, Subject } from '../scenario.ts';
import { streams } from './raw-stream.mjs';

const TIMES = 100_000;
const PACK = 256;
/** Of each this many messages one waits for its acknowledgement; two of them are under way. */
const CONFIRM_EVERY = 8_192;

const raw = (name: string, batch: number, times: number): Subject => ({
  name,
  role: 'limit',
  async prepare() {
    const redis = await startRedis();
    const stream = await streams(redis.url);
    return {
      once: () => stream.send(times, batch),
      async close() {
        await stream.close();
        await redis.stop();
      },
    };
  },
});

export const scenario: Scenario = {
  name: 'cross-node',
  about: 'tells a second between cells of two node processes over Redis, by the count and the sum of the receiver',
  subjects: [
    {
      name: 'troupe, cell to cell',
      role: 'ours',
      async prepare() {
        const { near, from, to, report, close } = await twoNodes();
        const sender = await near.agents.ref(from);
        return {
          async once() {
            const before = await report();
            const began = performance.now();
            const order = { to, type: 'inc', times: TIMES, confirmEvery: CONFIRM_EVERY };
            const sent = (await sender.ask('send', order, { timeoutMs: 120_000 })) as { checksum: number };
            const after = await report();
            const ms = performance.now() - began;
            const count = after.count - before.count;
            if (count !== TIMES || after.sum - before.sum !== sent.checksum)
              throw new Error(`${count} of ${TIMES} arrived`);
            return { count, ms };
          },
          close,
        };
      },
    },
    raw('streams, 256 messages an entry', PACK, TIMES),
    raw('streams, one message an entry', 1, 20_000),
  ],
  floors: { 'streams, 256 messages an entry': 0.3, 'streams, one message an entry': 2 },
};
