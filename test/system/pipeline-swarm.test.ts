// Pipelines and swarms over real agents, threads and a real store: what the rules promise on paper, seen from outside.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CreateWorkflow, RunHandle, Troupe, WorkflowView } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { testTroupe } from '../kit/troupe.ts';

let troupe: Troupe;
beforeAll(async () => {
  troupe = await testTroupe();
  await Promise.all([1, 2, 3, 4].map(() => troupe.agents.spawn('probe')));
  await Promise.all([1, 2, 3].map((number) => troupe.agents.spawn('analysis', { name: `analyst-${number}` })));
});
afterAll(() => troupe.stop());

const ended = (run: RunHandle): Promise<WorkflowView> =>
  eventually(
    async () => {
      const view = await run.view();
      return view.endedAt !== null && view;
    },
    `${run.id} to end`,
    100_000,
  );
const ran = async (body: CreateWorkflow) => ended(await troupe.workflows.run(body));

interface Item {
  index: number;
  status: string;
  result: { answer: unknown; attempt: number } | null;
  stages: Record<string, { attempt: number }>;
  stage?: string;
  error?: { code: string };
}
const itemsOf = ({ output }: WorkflowView) => (output as { items: Item[] }).items;

describe('a pipeline', () => {
  const pass = { answer: { $item: 'answer' } };
  const retry = { maxAttempts: 2, backoffMs: 0, jitter: 'none' } as const;
  const stages = [
    { id: 'ingest', capability: 'probe.run', input: { answer: { $item: 'n' } } },
    { id: 'process', capability: 'probe.run', retry, input: { ...pass, failTimes: { $from: 'item.fails' } } },
    { id: 'analyse', capability: 'probe.run', concurrency: 2, buffer: 2, input: pass },
    { id: 'output', capability: 'probe.run', input: pass },
  ];

  test('brings 39 of 40 items through four stages in their order; the poisoned one is a dead letter, another is tried again', async () => {
    const items = Array.from({ length: 40 }, (_, n) => ({ n, fails: n === 17 ? 9 : n === 3 ? 1 : 0 }));
    const view = await ran({ pattern: 'pipeline', stages, items });
    expect(view).toMatchObject({ status: 'partial', stopReason: 'all_done', progress: { done: 40, total: 40 } });
    const got = itemsOf(view);
    expect(got.map(({ index }) => index)).toEqual(items.map(({ n }) => n));
    expect(got.map(({ result }) => result?.answer ?? null)).toEqual(items.map(({ n }) => (n === 17 ? null : n)));
    expect(got[17]).toMatchObject({ status: 'dead_letter', stage: 'process', error: { code: 'attempts_exhausted' } });
    expect(got[3]?.stages.process?.attempt).toBe(2);
    expect(view.tasks.map(({ id, state }) => [id, state])).toEqual(stages.map(({ id }) => [id, 'completed']));
    expect(view.picture).toMatchObject({ items: { completed: 39, deadLetters: 1 }, deadLetters: [{ index: 17 }] });
  });

  test('takes items while it runs', async () => {
    const run = await troupe.workflows.run({ pattern: 'pipeline', stages: stages.slice(0, 1), open: true });
    await run.append([{ n: 'a' }, { n: 'b' }]);
    await eventually(async () => (await run.view()).progress.done === 2);
    await run.append([{ n: 'c' }], { end: true });
    const view = await ended(run);
    expect(view).toMatchObject({ status: 'completed', stopReason: 'all_done' });
    expect(itemsOf(view).map(({ result }) => result?.answer)).toEqual(['a', 'b', 'c']);
    await expect(run.append([{ n: 'd' }])).rejects.toMatchObject({ code: 'workflow_state' });
  });
});

interface SwarmResult {
  best: unknown;
  bestScore: number;
  evaluations: number;
  history: { best: number }[];
}

describe('a swarm', () => {
  const sphere: CreateWorkflow = {
    pattern: 'swarm',
    objective: { capability: 'function.evaluate', input: { function: 'sphere' } },
    options: {
      bounds: [
        [-10, 10],
        [-10, 10],
      ],
      agents: 8,
      maxIterations: 40,
      target: 0.01,
    },
  };

  test('finds the minimum of a function that real agents evaluate', async () => {
    const view = await ran(sphere);
    const output = view.output as SwarmResult;
    expect(view).toMatchObject({ status: 'completed', stopReason: 'target_reached', picture: { mode: 'pso' } });
    expect(output.bestScore).toBeLessThanOrEqual(0.01);
    expect(output.evaluations).toBeLessThanOrEqual(320);
  });

  test('has the same history for the same seed when it is synchronous', async () => {
    const body = { ...sphere, synchronous: true, options: { ...sphere.options, agents: 4, maxIterations: 6 } };
    const [one, other] = [await ran(body), await ran(body)];
    expect(one.output).toEqual(other.output);
  });

  test('walks the shortest tour', async () => {
    const nodes = ['a', 'b', 'c', 'd', 'e'];
    const edges = nodes.flatMap((from, at) =>
      nodes
        .slice(at + 1)
        .map((to, off): [string, string, number] => [from, to, off === 0 || (at === 0 && to === 'e') ? 1 : 5]),
    );
    const view = await ran({
      pattern: 'swarm',
      objective: { capability: 'path.cost' },
      options: { mode: 'aco', graph: { nodes, edges }, agents: 5, maxIterations: 15, target: 5 },
    });
    expect(view).toMatchObject({ status: 'completed', stopReason: 'target_reached', output: { bestScore: 5 } });
  });

  test('without a bound on its work is refused', async () => {
    const { maxIterations: _, ...options } = sphere.options as Record<string, unknown>;
    await expect(troupe.workflows.run({ ...sphere, options })).rejects.toMatchObject({
      code: 'workflow_invalid',
      details: { path: 'options.maxEvaluations' },
    });
  });
});
