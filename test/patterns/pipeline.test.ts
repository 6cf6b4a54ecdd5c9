import { describe, expect, it } from 'vitest';
import type { PipelineItem } from '../../patterns/pipeline/end.ts';
import type { PipelineState } from '../../patterns/pipeline/state.ts';
import { pipeline } from '../../patterns/pipeline.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import {
  type Outcome,
  type SimulationOptions,
  type SimulationResult,
  simulate,
} from '../kit/coordination-simulator.ts';
import { timedRun } from '../kit/timed-run.ts';

type Stage = NonNullable<CreateWorkflow['stages']>[number];

const stage = (id: string, more: Partial<Stage> = {}): Stage => ({ id, capability: 'probe.run', ...more });
const numbers = (count: number) => Array.from({ length: count }, (_, index) => ({ n: index }));
const poison =
  (...items: number[]) =>
  (at: string) =>
  (step: string, round: number): Outcome =>
    step === at && items.includes(round) ? { fails: 'poison' } : { output: `${step}${round}` };

const run = (body: CreateWorkflow, how: Partial<SimulationOptions> = {}): SimulationResult =>
  simulate(pipeline, body, { seed: 1, outcome: (step, round) => ({ output: `${step}${round}` }), ...how });
const itemsOf = ({ end }: { readonly end: { readonly output: unknown } }) =>
  (end.output as { items: PipelineItem[] }).items;
const statuses = (result: SimulationResult) => itemsOf(result).map(({ status }) => status);
const inputsOf = ({ scheduled }: SimulationResult, step: string) =>
  scheduled.filter(({ key }) => key.startsWith(`${step}/`)).map(({ input }) => input);

describe('items of a pipeline', () => {
  it('pass every stage in turn, and the output has what each of them gave', () => {
    const result = run({ stages: [stage('a'), stage('b')], items: numbers(3) });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'all_done' });
    expect(itemsOf(result)).toEqual(
      [0, 1, 2].map((index) => ({
        index,
        status: 'completed',
        result: `b${index}`,
        stages: { a: `a${index}`, b: `b${index}` },
      })),
    );
  });

  it('give a stage what the stage before gave, unless its input says otherwise', () => {
    const outcome = (step: string, round: number): Outcome => ({ output: { [step]: round } });
    const stages = [
      stage('a'),
      stage('b'),
      stage('c', {
        input: {
          before: { $item: 'b' },
          first: { $from: 'a.a' },
          source: { $from: 'item.n' },
          at: { $index: true },
          lang: { $input: 'lang' },
          fixed: [1],
        },
      }),
    ];
    const result = run({ stages, items: [{ n: 7 }], input: { lang: 'en' } }, { outcome });
    expect(inputsOf(result, 'a')).toEqual([{ n: 7 }]);
    expect(inputsOf(result, 'b')).toEqual([{ a: 0 }]);
    expect(inputsOf(result, 'c')).toEqual([{ before: 0, first: 0, source: 7, at: 0, lang: 'en', fixed: [1] }]);
  });

  it('keep what a later stage refers to even when nothing else is kept', () => {
    const stages = [stage('a'), stage('b'), stage('c', { input: { first: { $from: 'a' } } })];
    const result = run({ stages, items: numbers(2), options: { keepStages: false } }, { schedule: 'order' });
    expect(inputsOf(result, 'c')).toEqual([{ first: 'a0' }, { first: 'a1' }]);
    expect(itemsOf(result)[1]).toEqual({ index: 1, status: 'completed', result: 'c1' });
    expect(JSON.stringify(result.state)).not.toContain('b0');
  });

  it('come out in the order they came, or with ordered: false in the order they are through', () => {
    const body: CreateWorkflow = { stages: [stage('a', { concurrency: 3 })], items: numbers(3) };
    const slowFirst = { durationMs: (_: string, round: number) => 100 - round };
    expect(itemsOf(timedRun(pipeline, body, slowFirst)).map(({ index }) => index)).toEqual([0, 1, 2]);
    const unordered = timedRun(pipeline, { ...body, options: { ordered: false } }, slowFirst);
    expect(itemsOf(unordered).map(({ index }) => index)).toEqual([2, 1, 0]);
  });

  it('may be null, and so may what a stage gives', () => {
    const result = run({ stages: [stage('a')], items: [null] }, { outcome: () => ({ output: null }) });
    expect(itemsOf(result)).toEqual([{ index: 0, status: 'completed', result: null, stages: { a: null } }]);
  });
});

describe('a poison item', () => {
  it('is put aside with its stage and error while the others go on', () => {
    const stages = ['a', 'b', 'c', 'd'].map((id) => stage(id));
    const result = run({ stages, items: numbers(40) }, { outcome: poison(17)('c') });
    expect(result.end).toMatchObject({ status: 'partial', stopReason: 'all_done' });
    expect(statuses(result).filter((status) => status === 'completed')).toHaveLength(39);
    expect(itemsOf(result)[17]).toEqual({
      index: 17,
      status: 'dead_letter',
      result: null,
      stages: { a: 'a17', b: 'b17' },
      stage: 'c',
      error: expect.objectContaining({ message: 'poison' }),
    });
    expect(result.decisions.filter(({ kind }) => kind === 'dead_letter')).toEqual([
      {
        kind: 'dead_letter',
        rule: 'step_failed',
        chosen: 'item 17',
        candidates: [{ id: 'c', note: 'handler_failed: poison' }],
      },
    ]);
    expect(result.scheduled.map(({ key }) => key)).not.toContain('d/17');
  });

  it('is one whose stage refers to a field it does not have; no task is made of it', () => {
    const stages = [stage('a', { input: { name: { $item: 'name' } } }), stage('b')];
    const result = run({ stages, items: [{ name: 'x' }, {}, { name: 'z' }] });
    expect(statuses(result)).toEqual(['completed', 'dead_letter', 'completed']);
    expect(itemsOf(result)[1]?.error).toMatchObject({ code: 'invalid_input', details: { stage: 'a', index: 1 } });
    expect(inputsOf(result, 'a')).toHaveLength(2);
  });

  it.each([
    ['as many as are allowed do not end the run', 2, 'partial', 'all_done'],
    ['one more than are allowed fails the run', 1, 'failed', 'items_failed'],
    ['the first fails the run when none is allowed', 0, 'failed', 'items_failed'],
  ])('%s', (_, maxFailedItems, status, stopReason) => {
    const body: CreateWorkflow = { stages: [stage('a'), stage('b')], items: numbers(20), options: { maxFailedItems } };
    const result = run(body, { outcome: poison(3, 5)('a'), schedule: 'order', duplicates: 0 });
    expect(result.end).toMatchObject({ status, stopReason });
    expect(statuses(result).filter((one) => one === 'dead_letter')).toHaveLength(Math.min(2, maxFailedItems + 1));
    expect(statuses(result).includes('cancelled')).toBe(status === 'failed');
    expect(itemsOf(result)).toHaveLength(20);
  });

  it('that ends the run is the last to be put aside: no other item is even looked at', () => {
    const stages = [stage('a', { input: { n: { $item: 'n' } } })];
    const result = run({ stages, items: [{ n: 0 }, {}], options: { maxFailedItems: 0 } }, { outcome: poison(0)('a') });
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'items_failed' });
    expect(statuses(result)).toEqual(['dead_letter', 'cancelled']);
  });

  it('in every place leaves a failed run', () => {
    const result = run({ stages: [stage('a')], items: numbers(3) }, { outcome: () => ({ fails: 'always' }) });
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'items_failed',
      error: { details: { failed: 3 } },
    });
  });
});

describe('the flow', () => {
  const four = ['ingest', 'process', 'analyse', 'output'];

  it('takes (items + stages - 1) times the step when all stages are alike: none waits for more than it must', () => {
    const body: CreateWorkflow = { stages: four.map((id) => stage(id)), items: numbers(40) };
    const { wallMs } = timedRun(pipeline, body, { durationMs: () => 50 });
    expect(wallMs).toBe((40 + 4 - 1) * 50);
  });

  it('works on the next item in a stage while the stage behind it works on the one before', () => {
    const body: CreateWorkflow = { stages: four.map((id) => stage(id)), items: numbers(4) };
    const { started } = timedRun(pipeline, body, { durationMs: () => 50 });
    expect(
      started
        .filter(({ atMs }) => atMs === 150)
        .map(({ step, round }) => `${step}/${round}`)
        .sort(),
    ).toEqual(['analyse/1', 'ingest/3', 'output/0', 'process/2']);
  });

  it('gains by the concurrency of the stage that bounds it', () => {
    const body = (concurrency: number): CreateWorkflow => ({
      stages: [stage('a'), stage('slow', { concurrency })],
      items: numbers(40),
    });
    const durationMs = (step: string) => (step === 'slow' ? 40 : 10);
    expect(timedRun(pipeline, body(1), { durationMs }).wallMs).toBe(10 + 40 * 40);
    expect(timedRun(pipeline, body(4), { durationMs }).wallMs).toBe(40 * 10 + 40);
  });

  it.each([1, 2, 8])('stops the stages before a slow one when its queue of %i is full', (buffer) => {
    const stages = [stage('a', { concurrency: 3 }), stage('b', { buffer: 2 }), stage('slow', { buffer })];
    let deepest = 0;
    let ahead = 0;
    const { started } = timedRun(
      pipeline,
      { stages, items: numbers(60) },
      {
        durationMs: (step) => (step === 'slow' ? 100 : 1),
        seen: ({ stages: [a, b, slow], items }) => {
          expect(b?.queue.length).toBeLessThanOrEqual(2);
          deepest = Math.max(deepest, slow?.queue.length ?? 0);
          ahead = Math.max(ahead, items.size - (slow?.done ?? 0));
          expect((a?.running.length ?? 0) + (a?.held.length ?? 0)).toBeLessThanOrEqual(3);
        },
      },
    );
    expect(deepest).toBe(buffer);
    // in slow, in its queue, in the queue of b, and the two that a had started together with the last that found room there
    expect(ahead).toBe(1 + buffer + 2 + 2);
    expect(started.filter(({ step }) => step === 'slow').map(({ atMs }) => atMs % 100)).toEqual(Array(60).fill(2));
  });

  it('keeps the order of items where every stage has one place', () => {
    const { scheduled } = run({ stages: four.map((id) => stage(id, { buffer: 3 })), items: numbers(30) });
    for (const id of four) {
      const rounds = scheduled
        .filter(({ key }) => key.startsWith(`${id}/`))
        .map(({ key }) => Number(key.split('/')[1]));
      expect(rounds).toEqual(numbers(30).map(({ n }) => n));
    }
  });
});

describe('an open source', () => {
  const body: CreateWorkflow = { stages: [stage('a'), stage('b')], items: numbers(2), open: true };
  const items = (from: number, count: number, end = false) =>
    ({ type: 'items', items: Array.from({ length: count }, (_, at) => ({ n: from + at })), end }) as const;

  it('takes items while the run works and waits for more until it is closed', () => {
    const interrupts = [
      { after: 3, event: items(2, 3) },
      { after: 1_000, event: items(5, 1) },
      { after: 1_000, event: items(6, 0, true) },
    ];
    const result = run(body, { interrupts });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'all_done' });
    expect(itemsOf(result).map(({ index, result: last }) => [index, last])).toEqual(
      [0, 1, 2, 3, 4, 5].map((index) => [index, `b${index}`]),
    );
    expect(inputsOf(result, 'a')).toEqual(numbers(6));
  });

  it('may end without a single item', () => {
    const empty: CreateWorkflow = { stages: [stage('a')], open: true };
    const result = run(empty, { interrupts: [{ after: 1, event: items(0, 0, true) }] });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'all_done', output: { items: [] } });
  });

  it('takes nothing once it is closed, and no source that was never open does', () => {
    const interrupts = [{ after: 1, event: items(2, 1) }];
    expect(itemsOf(run({ ...body, open: false }, { interrupts }))).toHaveLength(2);
    const twice = [{ after: 1, event: items(0, 0, true) }, ...interrupts];
    expect(itemsOf(run(body, { interrupts: twice }))).toHaveLength(2);
  });

  it('is closed when it was given more than maxItems, and says how many it refused', () => {
    const result = run({ ...body, options: { maxItems: 4 } }, { interrupts: [{ after: 1, event: items(2, 5) }] });
    expect(result.end).toMatchObject({ status: 'partial', stopReason: 'all_done', output: { refused: 3 } });
    expect(itemsOf(result)).toHaveLength(4);
    expect(result.decisions).toContainEqual({ kind: 'input', rule: 'max_items', chosen: 'refused 3' });
  });
});

describe('a pipeline that is stopped', () => {
  it.each([
    ['cancel', 'cancelled', 'cancelled'],
    ['deadline', 'failed', 'deadline'],
  ] as const)('by %s keeps what was done and names what was not', (event, status, stopReason) => {
    const body: CreateWorkflow = { stages: [stage('a'), stage('b')], items: numbers(10) };
    const result = run(body, { schedule: 'order', duplicates: 0, interrupt: { after: 8, event } });
    expect(result.end).toMatchObject({ status, stopReason });
    expect(statuses(result).filter((one) => one === 'completed').length).toBeGreaterThan(1);
    expect(statuses(result)).toContain('cancelled');
    expect(result.cancelled.length).toBeGreaterThan(0);
  });
});

describe('a pipeline as a person sees it', () => {
  const body = createWorkflowSchema.parse({
    pattern: 'pipeline',
    stages: [stage('a', { concurrency: 2 }), stage('b', { buffer: 3 })],
    items: numbers(9),
  });
  const options = pipeline.options.parse({});
  const completed = (step: string, round: number) =>
    ({
      type: 'step.completed',
      atMs: 1,
      step,
      round,
      output: 1,
      taskId: '',
      agentId: null,
      attempts: 1,
      startedAtMs: 0,
    }) as const;

  it('has a step per stage with its queue, a picture and a progress of items', () => {
    let { state } = pipeline.start(body, options, { type: 'started', atMs: 0, seed: 1 });
    for (const round of [0, 1, 2, 3, 4]) ({ state } = pipeline.decide(body, options, state, completed('a', round)));
    expect(pipeline.steps(body, options, state)).toMatchObject([
      {
        id: 'a',
        state: 'blocked',
        reason: 'next_queue_full',
        round: 4,
        dependsOn: [],
        detail: { queued: 0, running: 0, held: 1, done: 5, failed: 0 },
      },
      {
        id: 'b',
        state: 'queued',
        round: 0,
        dependsOn: ['a'],
        detail: { queued: 3, running: 1, held: 0, done: 0, failed: 0 },
      },
    ]);
    expect(pipeline.progress?.(body, state)).toEqual({ done: 0, total: 9 });
    expect(pipeline.picture?.(body, options, state)).toMatchObject({
      stages: [
        { id: 'a', concurrency: 2, held: 1 },
        { id: 'b', buffer: 3, queued: 3 },
      ],
      items: { total: 9, waiting: 4, inside: 5, completed: 0, deadLetters: 0 },
    });
  });

  it('names the capability of every stage with its place', () => {
    expect(pipeline.capabilities?.(body, options)).toEqual([
      { capability: 'probe.run', path: 'stages[0].capability' },
      { capability: 'probe.run', path: 'stages[1].capability' },
    ]);
  });

  it('ends with its stages completed, or cancelled where items are left', () => {
    const views = (event?: 'cancel') => {
      const result = run({ stages: body.stages, items: numbers(9) }, event ? { interrupt: { after: 4, event } } : {});
      return pipeline.steps(body, options, result.state as PipelineState).map(({ state }) => state);
    };
    expect(views()).toEqual(['completed', 'completed']);
    expect(views('cancel')).toEqual(['cancelled', 'cancelled']);
  });
});

describe('ten thousand items', () => {
  const stages = ['a', 'b', 'c', 'd'].map((id) => stage(id, { concurrency: 5 }));

  /** Entries of arrays and objects in `now` that are not shared with `before`. */
  function copied(now: unknown, before: unknown): number {
    if (now === before || typeof now !== 'object' || now === null) return 0;
    const old = (typeof before === 'object' && before !== null ? before : {}) as Record<string, unknown>;
    const entries = Object.entries(now);
    return entries.reduce((sum, [key, value]) => sum + copied(value, old[key]), entries.length);
  }

  it('cost an event no more than a hundred do, and a state that grows with what is kept', () => {
    const most = (count: number) => {
      let highest = 0;
      let events = 0;
      const { end, state } = timedRun(
        pipeline,
        { stages, items: numbers(count) },
        {
          durationMs: () => 10,
          seen: (now, before) => {
            events += 1;
            if (before && events % 7 === 0) highest = Math.max(highest, copied(now, before));
          },
        },
      );
      expect(end).toMatchObject({ status: 'completed' });
      return { highest, bytes: JSON.stringify(state).length / count };
    };
    const few = most(300);
    const many = most(10_000);
    expect(many.highest).toBeLessThan(few.highest + 100);
    expect(many.bytes).toBeLessThan(few.bytes * 1.3);
  });
});

describe('a pipeline that cannot run', () => {
  const check = (body: CreateWorkflow) => {
    const workflow = createWorkflowSchema.parse({ pattern: 'pipeline', ...body });
    return pipeline.check(workflow, pipeline.options.parse(workflow.options));
  };
  const stages = [stage('a'), stage('b')];
  const items = [1];

  it.each<[string, CreateWorkflow, string, string]>([
    ['no stages', { items }, 'stages', 'at least one'],
    ['no items', { stages }, 'items', 'open'],
    ['tasks', { stages, items, tasks: [{ id: 'a', capability: 'x.y' }] }, 'tasks', 'no use'],
    ['a duplicate stage', { stages: [...stages, stage('a')], items }, 'stages[2].id', 'stages[0]'],
    ['a reserved id', { stages: [stage('item')], items }, 'stages[0].id', 'reserved'],
    [
      'a reference to a later stage',
      { stages: [stage('a', { input: { x: { $from: 'b.y' } } }), stage('b')], items },
      'stages[0].input.x.$from',
      'no stage before it',
    ],
    [
      'a reference to itself',
      { stages: [stage('a', { input: [{ $from: 'a' }] })], items },
      'stages[0].input[0].$from',
      'no stage before it',
    ],
    [
      'an input that is not there',
      { stages: [stage('a', { input: { $input: '' } })], items },
      'stages[0].input.$input',
      'none',
    ],
    [
      'a malformed reference',
      { stages: [stage('a', { input: { $index: 1 } })], items },
      'stages[0].input.$index',
      'true',
    ],
    ['undo', { stages, items, onFailure: 'compensate' }, 'onFailure', 'maxFailedItems'],
    ['more items than it takes', { stages, items: [1, 2], options: { maxItems: 1 } }, 'options.maxItems', '2 items'],
  ])('is refused: %s', (_, body, path, words) => {
    const problem = check(body);
    expect(problem).toMatchObject({ code: 'workflow_invalid', path });
    expect(problem?.message).toContain(words);
  });

  it.each<[string, CreateWorkflow]>([
    ['100,001 items', { stages, items: Array(100_001).fill(0) }],
    ['an option nobody knows', { stages, items, options: { order: true } }],
  ])('is refused by its schema: %s', (_, body) => {
    expect(() => check(body)).toThrow();
  });

  it('passes with items to come and references to what came before', () => {
    const input = [{ $from: 'a.x' }, { $from: 'item' }, { $input: 'y' }, { $item: '' }, { $index: true }];
    expect(check({ stages: [stage('a'), stage('b', { input })], open: true, input: {} })).toBeNull();
  });
});
