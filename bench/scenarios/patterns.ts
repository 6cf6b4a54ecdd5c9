// How close patterns come to what no schedule can beat: the critical path of a graph, the work over the workers, the slowest stage of a
// pipeline. 1 is that limit itself. Agents sleep or compute as told; every run must end `completed`.

import { availableParallelism } from 'node:os';
import { createTroupe } from '../../runtime/index.ts';
import type { Scenario, Subject } from '../scenario.ts';

const AGENTS = 10;
const THREADS = Math.min(4, availableParallelism());
const WAIT_MS = 120_000;

type Troupe = Awaited<ReturnType<typeof createTroupe>>;
type Body = Parameters<Troupe['workflows']['run']>[0];

/** Share of the limit that one run reaches. */
const against = (name: string, limitMs: number, body: Body): Subject => ({
  name,
  role: 'ours',
  async prepare() {
    const troupe = await createTroupe({ dataDir: 'memory://', threads: THREADS, logLevel: 'error' });
    await Promise.all(Array.from({ length: AGENTS }, () => troupe.agents.spawn('probe')));
    return {
      async once() {
        const began = performance.now();
        const { id } = await troupe.workflows.run(body);
        const { status } = await troupe.workflows.wait(id, { timeoutMs: WAIT_MS });
        if (status !== 'completed') throw new Error(`${name} ended ${status}`);
        return { count: limitMs / (performance.now() - began), ms: 1_000 };
      },
      close: () => troupe.stop(),
    };
  },
});

const sleeping = (count: number, input: object) =>
  Array.from({ length: count }, (_, at) => ({ id: `t${at}`, capability: 'probe.run', input }));

/** Node, its milliseconds, what it needs. The longest chain takes 950 ms; one after the other they take 2,550 ms: 0.75 of the limit is half. */
const GRAPH: readonly (readonly [string, number, readonly string[]])[] = [
  ['a', 200, []],
  ['b', 250, ['a']],
  ['c', 250, ['a']],
  ['d', 250, ['a']],
  ['e', 250, ['a']],
  ['f', 250, ['a']],
  ['g', 200, ['b', 'c']],
  ['h', 200, ['c', 'd']],
  ['i', 200, ['d', 'e']],
  ['j', 200, ['e', 'f']],
  ['k', 150, ['g', 'h', 'i', 'j']],
  ['l', 150, ['k']],
];
const CRITICAL_PATH_MS = 950;

const STAGES = 4;
const ITEMS = 40;
const STAGE_MS = 50;
const CPU_TASKS = 16;
const CPU_MS = 200;

export const scenario: Scenario = {
  name: 'patterns',
  about: 'runs of patterns against the limit of any schedule, on PGlite; 1 is the limit',
  unit: ' of the limit',
  subjects: [
    against(`parallel: 100 x 200 ms, ${AGENTS} agents`, (100 * 200) / AGENTS, {
      pattern: 'parallel',
      tasks: sleeping(100, { sleepMs: 200 }),
      options: { maxConcurrency: AGENTS },
    }),
    against('parallel: graph of 12 nodes', CRITICAL_PATH_MS, {
      pattern: 'parallel',
      tasks: GRAPH.map(([id, sleepMs, needs]) => ({
        id,
        capability: 'probe.run',
        input: { sleepMs },
        dependsOn: [...needs],
      })),
    }),
    against(`pipeline: ${STAGES} x ${STAGE_MS} ms, ${ITEMS} items`, (STAGES + ITEMS - 1) * STAGE_MS, {
      pattern: 'pipeline',
      stages: Array.from({ length: STAGES }, (_, at) => ({
        id: `s${at}`,
        capability: 'probe.run',
        input: { sleepMs: STAGE_MS },
      })),
      items: Array.from({ length: ITEMS }, (_, at) => at),
    }),
    against(`parallel: ${CPU_TASKS} x ${CPU_MS} ms of computing`, (CPU_TASKS * CPU_MS) / THREADS, {
      pattern: 'parallel',
      tasks: sleeping(CPU_TASKS, { cpuMs: CPU_MS }),
    }),
  ],
};
