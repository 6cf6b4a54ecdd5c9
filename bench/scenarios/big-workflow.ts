// A workflow of ten thousand steps: how soon it is accepted, how long its page takes, how fast it runs and what memory that needs.
// The figures beside the rate are printed as they are measured, a line a round.

import { setTimeout as sleep } from 'node:timers/promises';
import { startNode } from '../../http/main.ts';
import { startPostgres } from '../../test/kit/services.ts';
import type { Confirmed, Scenario, Subject } from '../scenario.ts';

const STEPS = 10_000;
const AGENTS = 32;
const LOOKS = 15;
const LIMIT_MS = 150_000;
const SAMPLE_MS = 50;
const MB = 2 ** 20;

type Node = Awaited<ReturnType<typeof startNode>>;

const BODY = {
  name: 'ten thousand steps',
  pattern: 'parallel',
  tasks: Array.from({ length: STEPS }, (_, at) => ({ id: `s${at}`, capability: 'probe.run', input: { answer: at } })),
  options: { maxConcurrency: 100 },
};

const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;

const whole = (value: number): string => Math.round(value).toLocaleString('en');

/** Memory of the whole process, its threads included, until it is stopped. */
function watchMemory(): { stop(): { rss: number; heap: number } } {
  const most = { rss: 0, heap: 0 };
  const look = () => {
    const { rss, heapUsed } = process.memoryUsage();
    most.rss = Math.max(most.rss, rss);
    most.heap = Math.max(most.heap, heapUsed);
  };
  const timer = setInterval(look, SAMPLE_MS);
  return {
    stop() {
      clearInterval(timer);
      return most;
    },
  };
}

/** Of an answer over HTTP, read to its last byte: the median in ms. */
async function pageMs(node: Node, token: string, path: string): Promise<number> {
  const times: number[] = [];
  for (let look = 0; look < LOOKS; look++) {
    const fromMs = performance.now();
    const answer = await fetch(`${node.url}${path}`, { headers: { authorization: `Bearer ${token}` } });
    await answer.text();
    if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`);
    times.push(performance.now() - fromMs);
  }
  return median(times);
}

async function once(node: Node): Promise<Confirmed> {
  const { workflows } = node.runtime;
  const token = (await node.token('admin', 3_600_000)) ?? '';
  const page = (id: string, query: string) => pageMs(node, token, `/api/agents/workflows/${id}${query}`);
  const before = process.memoryUsage();
  const memory = watchMemory();

  const bornMs = performance.now();
  const { id } = await workflows.create(BODY);
  const acceptedMs = performance.now() - bornMs;

  const fromMs = performance.now();
  await workflows.start(id);
  const ended = workflows.wait(id, { timeoutMs: LIMIT_MS });
  await sleep(SAMPLE_MS);
  const early = await page(id, '');
  const { status, progress } = await ended;
  const ms = performance.now() - fromMs;
  if (status !== 'completed' || progress.done !== STEPS)
    throw new Error(`the workflow is ${status} after ${progress.done} of ${STEPS} steps`);
  const { rss, heap } = memory.stop();
  const late = await page(id, '');
  const small = await page(id, '?stepsLimit=100&stepsCursor=5000');
  process.stderr.write(
    `\naccepted in ${whole(acceptedMs)} ms; page of 1,000 steps in ${whole(early)} ms while it runs, ${whole(late)} ms after it, of 100 steps in ${whole(small)} ms; ran for ${whole(ms)} ms; heap ${whole(before.heapUsed / MB)} MiB, at most ${whole(heap / MB)} MiB; process ${whole(before.rss / MB)} MiB, at most ${whole(rss / MB)} MiB\n`,
  );
  return { count: STEPS, ms };
}

const bigWorkflow = (
  name: string,
  database: () => Promise<{ readonly url?: string; stop(): Promise<void> }>,
): Subject => ({
  name,
  role: 'ours',
  async prepare() {
    const { url, stop } = await database();
    const where = url ? { databaseUrl: url } : { dataDir: 'memory://' };
    const node = await startNode({ config: { ...where, threads: 2, logLevel: 'error', rateLimit: 0 }, anyPort: true });
    const { agents } = node.runtime;
    const views = await Promise.all(Array.from({ length: AGENTS }, () => agents.create({ type: 'probe' })));
    while ((await Promise.all(views.map(({ id }) => agents.get(id)))).some(({ state }) => state !== 'idle'))
      await sleep(SAMPLE_MS);
    return {
      once: () => once(node),
      async close() {
        await node.stop();
        await stop();
      },
    };
  },
});

export const scenario: Scenario = {
  name: 'big-workflow',
  about: `one parallel workflow of ${STEPS.toLocaleString('en')} steps on ${AGENTS} agents, run to its end; steps a second`,
  unit: ' steps/s',
  subjects: [
    bigWorkflow('troupe, embedded database', async () => ({ stop: async () => {} })),
    bigWorkflow('troupe, PostgreSQL', startPostgres),
  ],
};
