import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { auction } from '../../patterns/auction.ts';
import { consensus } from '../../patterns/consensus.ts';
import { hierarchical } from '../../patterns/hierarchical.ts';
import { parallel } from '../../patterns/parallel.ts';
import { pipeline } from '../../patterns/pipeline.ts';
import { sequential } from '../../patterns/sequential.ts';
import { swarm } from '../../patterns/swarm.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { workflowPlanSchema } from '../../runtime/contracts/workflow-plan.ts';
import { define, strategiesByName } from '../../runtime/workflows/definition.ts';
import { planOf } from '../../runtime/workflows/plan.ts';
import { historyOf } from '../../runtime/workflows/prediction.ts';
import { simulate } from '../../runtime/workflows/schedule.ts';
import { MemoryWorld } from '../kit/memory-workflow-store.ts';
import { settled, workflowNode } from '../kit/workflow-node.ts';
import { step } from '../kit/workflows.ts';

const strategies = strategiesByName([sequential, parallel, pipeline, hierarchical, consensus, auction, swarm]);

/** Capabilities are called `x.n100`: they took 100 ms. */
const history = historyOf(
  [10, 20, 50, 100, 200].map((medianMs) => ({ capability: `x.n${medianMs}`, medianMs, samples: 7 })),
);
const plan = (body: CreateWorkflow) => planOf(define(strategies, body), { history, strategies });

/** `a b:a c:a,b` as steps; `a=50` takes 50 ms. */
const graph = (text: string, more: Partial<CreateWorkflow> = {}): CreateWorkflow => ({
  pattern: 'parallel',
  ...more,
  tasks: text.split(' ').map((part) => {
    const [head = '', deps = ''] = part.split(':');
    const [id = '', ms] = head.split('=');
    return step(id, deps ? deps.split(',') : [], ms ? { capability: `x.n${ms}` } : {});
  }),
});

describe('the graph of a plan', () => {
  // Reductions as drawn by hand; the edges that go, as `step<dependency`.
  test.each([
    ['a', 'a', ''],
    ['a b', 'a b', ''],
    ['a b:a', 'a b:a', ''],
    ['a b:a c:b', 'a b:a c:b', ''],
    ['a b:a c:a,b', 'a b:a c:b', 'c<a'],
    ['a b:a c:b d:a,b,c', 'a b:a c:b d:c', 'd<a d<b'],
    ['a b:a c:b d:c e:a,b,c,d', 'a b:a c:b d:c e:d', 'e<a e<b e<c'],
    ['a b:a c:a d:b,c', 'a b:a c:a d:b,c', ''],
    ['a b:a c:a d:a,b,c', 'a b:a c:a d:b,c', 'd<a'],
    ['a b c:a,b d:a,b', 'a b c:a,b d:a,b', ''],
    ['a b c:a,b d:a,b,c', 'a b c:a,b d:c', 'd<a d<b'],
    ['a b:a c:a d:b e:c f:d,e,a', 'a b:a c:a d:b e:c f:d,e', 'f<a'],
    ['a b:a c:a d:b e:c f:d,e,b,c', 'a b:a c:a d:b e:c f:d,e', 'f<b f<c'],
    ['a b:a c:b d:a e:d,c,b', 'a b:a c:b d:a e:c,d', 'e<b'],
    ['a b c d:a e:b f:c g:d,e,f h:g,a', 'a b c d:a e:b f:c g:d,e,f h:g', 'h<a'],
    ['a b:a c:a d:a e:b,c f:c,d g:e,f,a', 'a b:a c:a d:a e:b,c f:c,d g:e,f', 'g<a'],
    ['a b:a c:a,b d:a,b,c e:a,b,c,d', 'a b:a c:b d:c e:d', 'c<a d<a d<b e<a e<b e<c'],
    ['z:y y:x x', 'z:y y:x x', ''],
    ['z:y,x y:x x', 'z:y y:x x', 'z<x'],
    ['a b:a c d:c e:b,d f:e,a,c', 'a b:a c d:c e:b,d f:e', 'f<a f<c'],
    ['s a:s b:s c:s d:a,b e:b,c t:d,e,s,a,c', 's a:s b:s c:s d:a,b e:b,c t:d,e', 't<s t<a t<c'],
  ])('%s keeps %s', (text, kept, gone) => {
    const { steps, redundantEdges } = plan(graph(text));
    const shown = steps.map(({ id, reducedDependsOn }) =>
      reducedDependsOn.length ? `${id}:${[...reducedDependsOn].sort()}` : id,
    );
    expect(shown.join(' ')).toBe(kept);
    expect(redundantEdges.map(({ step: id, dependsOn }) => `${id}<${dependsOn}`).sort()).toEqual(
      gone.split(' ').filter(Boolean).sort(),
    );
    // What was written stays to be seen.
    expect(steps.map(({ dependsOn }) => dependsOn)).toEqual(graph(text).tasks?.map(({ dependsOn }) => dependsOn));
  });

  it('counts what an input refers to as a dependency', () => {
    const tasks = [step('a'), step('b', ['a']), step('c', ['a'], { input: { got: { $from: 'b.x' } } })];
    const { steps, levels, redundantEdges } = plan({ pattern: 'parallel', tasks });
    expect(steps[2]).toMatchObject({ dependsOn: ['a'], reducedDependsOn: ['b'], level: 2 });
    expect([levels, redundantEdges]).toEqual([[['a'], ['b'], ['c']], [{ step: 'c', dependsOn: 'a' }]]);
  });
});

describe('the time of a plan', () => {
  const diamond = 'a=10 b=100:a c=50:a d=20:b,c';
  test.each<[string, CreateWorkflow, object]>([
    [
      'one at a time',
      graph(diamond, { pattern: 'sequential' }),
      { sequentialMs: 180, parallelMs: 130, scheduledMs: 180, concurrency: 1 },
    ],
    [
      'two at a time',
      graph(diamond, { options: { maxConcurrency: 2 } }),
      { sequentialMs: 180, parallelMs: 130, scheduledMs: 130, speedup: 1.385 },
    ],
    [
      'six alike, four at a time',
      graph('a=50 b=50 c=50 d=50 e=50 f=50', { options: { maxConcurrency: 4 } }),
      { parallelMs: 50, scheduledMs: 100, speedup: 6 },
    ],
  ])('%s', (_, body, expected) => {
    expect(plan(body).predicted).toMatchObject({ ...expected, basis: 'history', notes: [] });
  });

  it('names the critical path and the most that could run together', () => {
    expect(plan(graph(diamond))).toMatchObject({
      criticalPath: ['a', 'b', 'd'],
      maxParallelism: 2,
      order: ['a', 'b', 'c', 'd'],
    });
  });

  it('says of each step where its time is from', () => {
    const tasks = [
      step('known', [], { capability: 'x.n50@1' }),
      step('unknown', ['known']),
      { id: 'person', approval: { prompt: 'ok?' }, dependsOn: ['unknown'] },
      { id: 'inner', workflow: { ...graph('i=20 j=20:i', { pattern: 'sequential' }) }, dependsOn: ['person'] },
    ];
    const { steps, predicted } = plan({ tasks } as CreateWorkflow);
    expect(steps.map(({ predictedMs, basis, samples }) => [predictedMs, basis, samples])).toEqual([
      [50, 'history', 7],
      [1_000, 'default', undefined],
      [0, 'person', undefined],
      [40, 'nested', undefined],
    ]);
    expect(predicted).toMatchObject({
      sequentialMs: 1_090,
      basis: 'mixed',
      notes: ['1 steps ask a person; that time is not in it'],
    });
  });

  const stage = (id: string, ms: number, concurrency = 1) => ({ id, capability: `x.n${ms}`, concurrency });
  const items = (count: number) => Array.from({ length: count }, (_, n) => n);
  test.each<[string, CreateWorkflow, object]>([
    [
      'a pipeline of four equal stages',
      { pattern: 'pipeline', stages: ['a', 'b', 'c', 'd'].map((id) => stage(id, 50)), items: items(40) },
      { sequentialMs: 8_000, scheduledMs: 2_150, concurrency: 4 },
    ],
    [
      'a pipeline whose slow stage has four places',
      { pattern: 'pipeline', stages: [stage('a', 50), stage('b', 200, 4)], items: items(11) },
      { scheduledMs: 750 },
    ],
    [
      'a vote of five',
      { pattern: 'consensus', task: { capability: 'x.n100' }, voters: { n: 5 } },
      { sequentialMs: 500, parallelMs: 100, speedup: 5 },
    ],
    [
      'an auction',
      { pattern: 'auction', tasks: [step('a', [], { capability: 'x.n100' })], options: { replyByMs: 300 } },
      { scheduledMs: 400 },
    ],
    [
      'a swarm',
      {
        pattern: 'swarm',
        objective: { capability: 'x.n10' },
        options: { agents: 4, bounds: [[0, 1]], maxIterations: 25 },
      },
      { sequentialMs: 1_000, parallelMs: 250 },
    ],
    [
      'a hierarchy',
      { pattern: 'hierarchical', goal: 'g', coordinator: { capability: 'x.n50' } },
      { notes: [expect.stringContaining('makes the plan')] },
    ],
  ])('of %s', (_, body, expected) => {
    const made = plan(body);
    expect(made.predicted).toMatchObject(expected);
    expect(workflowPlanSchema.parse(made)).toEqual(made);
  });

  it('never promises less than the path and the work allow, and Graham holds', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ deps: fc.array(fc.nat(20), { maxLength: 3 }), ms: fc.nat(100) }), {
          minLength: 1,
          maxLength: 20,
        }),
        fc.integer({ min: 1, max: 6 }),
        (rows, places) => {
          const steps = rows.map(({ deps }, at) => ({
            id: `n${at}`,
            dependsOn: deps.filter((dep) => dep < at).map((dep) => `n${dep}`),
          }));
          const ms = (id: string) => rows[Number(id.slice(1))]?.ms ?? 0;
          const work = rows.reduce((sum, row) => sum + row.ms, 0);
          const path = simulate(steps, ms).makespanMs;
          const { makespanMs, peak } = simulate(steps, ms, places);
          expect(peak).toBeLessThanOrEqual(places);
          expect(makespanMs).toBeGreaterThanOrEqual(Math.max(path, work / places));
          expect(makespanMs).toBeLessThanOrEqual(path + (work - path) / places + 1e-9);
          expect(simulate(steps, ms, 1).makespanMs).toBe(work);
        },
      ),
    );
  });
});

describe('asking for a plan', () => {
  it('stores nothing, takes its times from the tasks of the tenant and refuses what create refuses', async () => {
    const world = new MemoryWorld();
    world.durations = [{ capability: 'probe.run', medianMs: 30, samples: 3 }];
    const { service } = workflowNode(world);
    await service.open();
    const made = await service.plan({ tasks: [step('a'), step('b', ['a'])] });
    expect(made.predicted).toMatchObject({ sequentialMs: 60, basis: 'history' });
    for (const tasks of [[step('a', ['a'])], [step('a', ['x'])], [step('a', [], { capability: 'unknown.x' })]]) {
      const thrown = await service.plan({ tasks }).catch((error: { code: string }) => error.code);
      expect(thrown).toBe(await service.create({ tasks }).catch((error: { code: string }) => error.code));
      expect(thrown).toMatch(/^workflow_(cycle|invalid)$/);
    }
    expect([world.runs.size, world.commits]).toEqual([0, 0]);
  });

  it('plans thousands of steps, and shows a run of them a thousand at a time', async () => {
    const world = new MemoryWorld();
    const { service } = workflowNode(world);
    await service.open();
    const body = { pattern: 'parallel', tasks: Array.from({ length: 2_500 }, (_, n) => step(`t${n}`)) };
    expect((await service.plan(body)).maxParallelism).toBe(2_500);
    const { id } = await service.create(body);
    await service.start(id);
    await settled();
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await service.get(id, undefined, cursor === undefined ? {} : { stepsCursor: cursor });
      expect(page.tasks.length).toBeLessThanOrEqual(1_000);
      seen.push(...page.tasks.map((task) => task.id));
      cursor = page.nextStep ?? undefined;
    } while (cursor !== undefined);
    expect(seen).toEqual(body.tasks.map((task) => task.id));
    const few = await service.get(id, undefined, { stepsLimit: 2, stepsCursor: '4' });
    expect([few.tasks.map((task) => task.id), few.nextStep]).toEqual([['t4', 't5'], '6']);
    expect(few.tasks[0]).toMatchObject({ state: 'queued', taskId: expect.any(String) });
    await expect(service.get(id, undefined, { stepsCursor: 'x' })).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
