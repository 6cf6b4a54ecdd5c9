// Questions between two node processes over Redis: how long one takes, alone and with 32 under way, against bare streams.

import { startRedis } from '../../test/kit/services.ts';
import { type TwoNodes, twoNodes } from '../nodes.ts';
import type { Scenario, Subject } from '../scenario.ts';
import { streams } from './raw-stream.mjs';

const TIMES = 2_000;
const BUSY = 32;

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)] ?? 0;
/** A figure in milliseconds, in the form of a rate. */
const figure = (ms: number) => ({ count: ms, ms: 1_000 });

async function asks({ near, to }: TwoNodes, lanes: number): Promise<number[]> {
  const ref = await near.agents.ref(to);
  const latencies: number[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < TIMES) {
      const n = next++;
      const began = performance.now();
      const reply = (await ref.ask('echo', { n }, { timeoutMs: 20_000 })) as { n: number };
      if (reply.n !== n) throw new Error('a question got a reply that was not its own');
      latencies.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return latencies;
}

const ours = (name: string, lanes: number, share: number): Subject => ({
  name,
  role: 'ours',
  async prepare() {
    const nodes = await twoNodes();
    return { once: async () => figure(percentile(await asks(nodes, lanes), share)), close: nodes.close };
  },
});

export const scenario: Scenario = {
  name: 'cross-node-ask',
  about: 'one question to an agent of another node process over Redis, there and back',
  unit: ' ms',
  subjects: [
    ours('troupe, one at a time, p50', 1, 0.5),
    ours('troupe, one at a time, p99', 1, 0.99),
    ours(`troupe, ${BUSY} under way, p99`, BUSY, 0.99),
    {
      name: 'streams, one at a time, p50',
      role: 'limit',
      async prepare() {
        const redis = await startRedis();
        const stream = await streams(redis.url);
        return {
          once: async () => figure(percentile(await stream.ping(TIMES), 0.5)),
          async close() {
            await stream.close();
            await redis.stop();
          },
        };
      },
    },
  ],
};
