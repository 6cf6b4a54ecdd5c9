// What the two patterns promise, case by case.

import { describe, expect, it } from 'vitest';
import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { type Outcome, prepare, type SimulationOptions, simulate } from '../kit/coordination-simulator.ts';
import { booking, diamond, fanOut, step } from '../kit/workflows.ts';

const inOrder = (outcomes: Record<string, Outcome> = {}): SimulationOptions => ({
  seed: 1,
  schedule: 'order',
  duplicates: 0,
  outcome: (name, round) => outcomes[`${name}/${round}`] ?? outcomes[name] ?? { output: `${name}${round}` },
});
const failing = { fails: 'no' };
const keys = (result: { scheduled: readonly { key: string }[] }) => result.scheduled.map((one) => one.key).join(' ');

describe('joins over three steps that end in the order a, b, c', () => {
  const tasks = [step('a'), step('b'), step('c')];
  it.each<[string, unknown, string, string, string, string[]]>([
    // join, who fails, status, reason, cancelled
    ['all', 'all', '', 'completed', 'all_done', []],
    ['all', 'all', 'a', 'failed', 'join_unsatisfiable', ['b/0', 'c/0']],
    ['all', 'all', 'c', 'failed', 'join_unsatisfiable', []],
    ['allSettled', 'allSettled', '', 'completed', 'all_done', []],
    ['allSettled', 'allSettled', 'a', 'partial', 'all_done', []],
    ['allSettled', 'allSettled', 'abc', 'failed', 'all_done', []],
    ['any', 'any', '', 'completed', 'join_satisfied', ['b/0', 'c/0']],
    ['any', 'any', 'a', 'completed', 'join_satisfied', ['c/0']],
    ['any', 'any', 'abc', 'failed', 'join_unsatisfiable', []],
    ['race', 'race', '', 'completed', 'join_satisfied', ['b/0', 'c/0']],
    ['race', 'race', 'a', 'failed', 'join_unsatisfiable', ['b/0', 'c/0']],
    ['quorum 2', { quorum: 2 }, '', 'completed', 'join_satisfied', ['c/0']],
    ['quorum 2', { quorum: 2 }, 'a', 'completed', 'join_satisfied', []],
    ['quorum 2', { quorum: 2 }, 'ab', 'failed', 'join_unsatisfiable', ['c/0']],
  ])('%s (%j) with failures "%s" ends %s, %s', (_, join, failures, status, stopReason, cancelled) => {
    const outcomes = Object.fromEntries([...failures].map((name) => [name, failing]));
    const result = simulate(parallel, { tasks, options: { join } }, inOrder(outcomes));
    expect(result.end).toMatchObject({ status, stopReason });
    expect(result.cancelled).toEqual(cancelled);
    expect(result.end.error === undefined).toBe(status === 'completed');
  });

  it('gives the winner of a race as the sink', () => {
    const result = simulate(parallel, { tasks, options: { join: 'race' } }, inOrder());
    expect(result.end.output).toEqual({ a: 'a0', sink: 'a0' });
  });

  it('gives the results in declaration order as the sink, null where there is none', () => {
    const result = simulate(parallel, { tasks, options: { join: 'allSettled' } }, inOrder({ b: failing }));
    expect(result.end.output).toEqual({ a: 'a0', c: 'c0', sink: ['a0', null, 'c0'] });
  });

  it.each([
    ['b', 'c', 'completed'],
    ['c', 'b', 'failed'],
  ])('a race is decided by the first of two that end with one event: %s', (first, second, status) => {
    // both end as soon as a has: b over an empty array, c over what is none
    const sources: Record<string, string> = { b: 'a.none', c: 'a.text' };
    const racers = [first, second].map((id) => step(id, [], { forEach: sources[id] ?? '' }));
    const body: CreateWorkflow = { tasks: [step('a'), ...racers], options: { join: 'race' } };
    expect(simulate(parallel, body, inOrder({ a: { output: { none: [], text: 'x' } } })).end.status).toBe(status);
  });

  it('counts chains, not the steps on their way', () => {
    const chains = [step('a1'), step('a2', ['a1']), step('b1'), step('b2', ['b1'])];
    const result = simulate(parallel, { tasks: chains, options: { join: 'any' } }, inOrder({ a1: failing }));
    expect(result.end).toMatchObject({ status: 'completed', output: { b1: 'b10', b2: 'b20', sink: 'b20' } });
  });

  it('fires once, whatever comes late', () => {
    const { workflow, options } = prepare(parallel, fanOut(3, { options: { join: 'any', maxConcurrency: 3 } }));
    const done = (name: string): CoordinationEvent => ({
      type: 'step.completed',
      step: name,
      round: 0,
      atMs: 1,
      output: name,
      taskId: name,
      agentId: null,
      attempts: 1,
      startedAtMs: 0,
    });
    const start = parallel.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    const first = parallel.decide(workflow, options, start.state, done('t1'));
    expect(first.commands.map((command) => command.type)).toEqual(['cancel', 'cancel', 'end']);
    const late = parallel.decide(workflow, options, first.state, done('t2'));
    expect(late.commands).toEqual([]);
    expect(late.state).toBe(first.state);
  });
});

describe('failure of step b in a, b, c (after b), d', () => {
  const tasks = [step('a'), step('b'), step('c', ['b']), step('d')];
  it.each([
    ['sequential', 'fail_fast', 'failed', 'step_failed', 'a/0 b/0', 'c:upstream_failed d:step_failed'],
    ['sequential', 'continue', 'partial', 'all_done', 'a/0 b/0 d/0', 'c:upstream_failed'],
    ['sequential', 'compensate', 'failed', 'compensated', 'a/0 b/0', 'c:upstream_failed d:step_failed'],
    ['parallel', 'fail_fast', 'failed', 'join_unsatisfiable', 'a/0 b/0 d/0', 'c:upstream_failed'],
    ['parallel', 'continue', 'partial', 'all_done', 'a/0 b/0 d/0', 'c:upstream_failed'],
  ] as const)('%s under %s ends %s, %s', (pattern, onFailure, status, stopReason, started, skipped) => {
    const result =
      pattern === 'sequential'
        ? simulate(sequential, { tasks, onFailure }, inOrder({ b: failing }))
        : simulate(parallel, { tasks, onFailure }, inOrder({ b: failing }));
    expect(result.end).toMatchObject({ status, stopReason, error: { code: 'handler_failed', details: { step: 'b' } } });
    expect(keys(result)).toBe(started);
    expect(result.skipped.map(({ step: name, reason }) => `${name}:${reason}`).join(' ')).toBe(skipped);
  });

  it('ends failed under continue when nothing completed', () => {
    const result = simulate(
      sequential,
      { tasks: [step('a'), step('b')], onFailure: 'continue' },
      inOrder({ a: failing, b: failing }),
    );
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'step_failed' });
  });
});

describe('undo', () => {
  it('takes back what finished, last first, with the results in hand', () => {
    const result = simulate(
      sequential,
      booking,
      inOrder({ flight: { output: { id: 1 } }, hotel: { output: { id: 2 } }, payment: failing }),
    );
    expect(result.scheduled.slice(-2).map(({ key, input, capability }) => [key, input, capability])).toEqual([
      ['hotel:undo/0', { booking: 2 }, 'hotel.cancel'],
      ['flight:undo/0', { booking: 1 }, 'flight.cancel'],
    ]);
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'compensated',
      error: { details: { step: 'payment' } },
    });
  });

  it('goes on past an undo that fails, and says so', () => {
    const outcomes = {
      flight: { output: { id: 1 } },
      hotel: { output: { id: 2 } },
      payment: failing,
      'hotel:undo': failing,
    };
    const result = simulate(sequential, booking, inOrder(outcomes));
    expect(keys(result)).toContain('flight:undo/0');
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'compensation_failed' });
  });

  it('follows the order of completion in parallel, and first stops what runs', () => {
    const undo = { compensate: { capability: 'probe.run' } };
    const body: CreateWorkflow = {
      onFailure: 'compensate',
      tasks: [step('a', [], undo), step('b', [], undo), step('c'), step('d', [], undo)],
    };
    const result = simulate(parallel, body, inOrder({ c: failing }));
    expect(result.cancelled).toEqual(['d/0']);
    expect(keys(result)).toBe('a/0 b/0 c/0 d/0 b:undo/0 a:undo/0');
  });

  it('is not begun by a cancel, and a cancel ends it', () => {
    const early = simulate(sequential, booking, { ...inOrder(), interrupt: { after: 3, event: 'cancel' } });
    expect(early.end).toMatchObject({ status: 'cancelled', stopReason: 'cancelled' });
    expect(keys(early)).not.toContain('undo');
    const outcomes = { flight: { output: { id: 1 } }, hotel: { output: { id: 2 } }, payment: failing };
    const during = simulate(sequential, booking, { ...inOrder(outcomes), interrupt: { after: 5, event: 'cancel' } });
    expect(during.cancelled).toEqual(['hotel:undo/0']);
    expect(during.end).toMatchObject({ status: 'cancelled' });
  });
});

describe('conditions', () => {
  const when = { path: 'a', equals: 'go' };
  it.each([
    ['skips the step and what depends on it alone', ['b'], 'a/0', 'b:condition c:upstream_skipped'],
    ['lets a step run that depends on others too', ['a', 'b'], 'a/0 c/0', 'b:condition'],
  ])('%s', (_, dependsOn, started, skipped) => {
    const tasks = [step('a'), step('b', ['a'], { when }), step('c', dependsOn)];
    const result = simulate(sequential, { tasks }, inOrder());
    expect(keys(result)).toBe(started);
    expect(result.skipped.map((one) => `${one.step}:${one.reason}`).join(' ')).toBe(skipped);
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'all_done' });
  });

  it('a reference to a skipped step gives null', () => {
    const tasks = [
      step('a'),
      step('b', ['a'], { when }),
      step('c', ['a'], { input: { maybe: { $from: 'b.deep.field' } } }),
    ];
    const result = simulate(sequential, { tasks }, inOrder());
    expect(result.scheduled.at(-1)?.input).toEqual({ maybe: null });
  });

  it.each<[string, object, boolean]>([
    ['equals, whatever the order of keys', { path: 'a.o', equals: { y: 2, x: 1 } }, true],
    ['equals something else', { path: 'a.o', equals: { x: 1 } }, false],
    ['notEquals of an absent value', { path: 'a.none', notEquals: 1 }, true],
    ['greaterThan', { path: 'a.n', greaterThan: 4 }, true],
    ['greaterThan of a text', { path: 'a.s', greaterThan: 4 }, false],
    ['a range', { path: 'a.n', greaterThan: 4, lessThan: 5 }, false],
    ['exists', { path: 'a.list.0', exists: true }, true],
    ['exists of null', { path: 'a.nil', exists: true }, false],
    ['absent', { path: 'a.list.7', exists: false }, true],
    ['what is inherited does not exist', { path: 'a.constructor', exists: true }, false],
    ['in', { path: 'a.s', in: ['y', 'x'] }, true],
    [
      'all',
      {
        all: [
          { path: 'a.n', equals: 5 },
          { path: 'a.s', equals: 'y' },
        ],
      },
      false,
    ],
    [
      'any',
      {
        any: [
          { path: 'a.n', equals: 5 },
          { path: 'a.s', equals: 'y' },
        ],
      },
      true,
    ],
    ['not', { not: { path: 'a.n', equals: 5 } }, false],
  ])('%s', (_, condition, runs) => {
    const tasks = [step('a'), step('b', ['a'], { when: condition as never })];
    const a = { output: { n: 5, s: 'x', nil: null, o: { x: 1, y: 2 }, list: [0] } };
    const result = simulate(sequential, { tasks }, inOrder({ a }));
    expect(keys(result)).toBe(runs ? 'a/0 b/0' : 'a/0');
  });
});

describe('forEach', () => {
  const tasks = [
    step('a'),
    step('each', [], {
      forEach: 'a.list',
      input: { it: { $item: 'name' }, at: { $index: true }, of: { $from: 'a.list' } },
    }),
  ];
  const list = [{ name: 'x' }, { name: 'y' }, { name: 'z' }];

  it('runs one round per element; its result is the array in their order', () => {
    const result = simulate(
      parallel,
      { tasks, options: { maxConcurrency: 2 } },
      { ...inOrder({ a: { output: { list } } }), schedule: 'random' },
    );
    expect(result.scheduled.map((one) => one.input).slice(1)).toEqual(
      list.map(({ name }, at) => ({ it: name, at, of: list })),
    );
    expect(result.maxInFlight).toBe(2);
    expect(result.end.output).toMatchObject({ sink: ['each0', 'each1', 'each2'] });
  });

  it.each<[string, unknown, object]>([
    ['completes at once over nothing', [], { status: 'completed', output: { sink: [] } }],
    ['fails over what is no array', 'text', { status: 'failed', error: { code: 'invalid_input' } }],
    ['fails when an element lacks the field', [{}], { status: 'failed', error: { code: 'invalid_input' } }],
  ])('%s', (_, value, end) => {
    expect(simulate(sequential, { tasks }, inOrder({ a: { output: { list: value } } })).end).toMatchObject(end);
  });

  it('fails as a whole with one element, and cancels the others in flight', () => {
    const result = simulate(parallel, { tasks }, inOrder({ a: { output: { list } }, 'each/0': failing }));
    expect(result.cancelled).toEqual(['each/1', 'each/2']);
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'join_unsatisfiable' });
  });
});

describe('a loop', () => {
  const body = (maxRounds: number): CreateWorkflow => ({
    tasks: [
      step('a', [], { input: { last: { $from: 'a.n' } }, loop: { until: { path: 'a.n', greaterThan: 1 }, maxRounds } }),
      step('b', ['a'], { input: { $from: 'a' } }),
    ],
  });
  const counting: SimulationOptions = { ...inOrder(), outcome: (_, round) => ({ output: { n: round } }) };

  it('runs again until its condition holds, seeing its last result', () => {
    const result = simulate(sequential, body(10), counting);
    expect(result.scheduled.map((one) => [one.key, one.input])).toEqual([
      ['a/0', { last: null }],
      ['a/1', { last: 0 }],
      ['a/2', { last: 1 }],
      ['b/0', { n: 2 }],
    ]);
  });

  it('ends with its last result when its rounds are used up', () => {
    const result = simulate(sequential, body(2), counting);
    expect(keys(result)).toBe('a/0 a/1 b/0');
    expect(result.end.status).toBe('completed');
    expect(result.decisions).toContainEqual({ kind: 'condition', rule: 'loop_until', chosen: 'a:max_rounds' });
  });
});

describe('order and places', () => {
  it('sequential takes the first declared of those that could run', () => {
    const tasks = [step('z', ['m']), step('m'), step('a'), step('b', ['z'])];
    expect(keys(simulate(sequential, { tasks }, { seed: 3 }))).toBe('m/0 z/0 a/0 b/0');
  });

  it('parallel has no barrier between waves', () => {
    const tasks = [step('slow'), step('fast'), step('next', ['fast']), step('last', ['next'])];
    const { workflow, options } = prepare(parallel, { tasks });
    let { state } = parallel.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    const started: string[] = [];
    for (const name of ['fast', 'next']) {
      const verdict = parallel.decide(workflow, options, state, {
        type: 'step.completed',
        step: name,
        round: 0,
        atMs: 1,
        output: 1,
        taskId: '',
        agentId: null,
        attempts: 1,
        startedAtMs: 0,
      });
      state = verdict.state;
      started.push(...verdict.commands.flatMap((command) => (command.type === 'schedule' ? [command.step] : [])));
    }
    expect(started).toEqual(['next', 'last']);
  });

  it('a diamond hands both results to its end', () => {
    const tasks = (diamond.tasks ?? []).map((task) => (task.id === 'd' ? { ...task, input: { $from: 'deps' } } : task));
    const result = simulate(parallel, { ...diamond, tasks }, inOrder());
    expect(result.scheduled.at(-1)?.input).toEqual({ b: 'b0', c: 'c0' });
    expect(result.end.output).toEqual({ a: 'a0', b: 'b0', c: 'c0', d: 'd0', sink: 'd0' });
  });

  it('a result without the field that is referred to fails the step, naming the reference', () => {
    const tasks = [step('a'), step('b', [], { input: { x: { $from: 'a.nothing' } } })];
    const result = simulate(sequential, { tasks }, inOrder({ a: { output: {} } }));
    expect(result.end).toMatchObject({ status: 'failed', error: { code: 'invalid_input' } });
    expect(result.end.error?.message).toContain('a.nothing');
  });

  it('keeps a field named __proto__ data', () => {
    const input = JSON.parse('{"__proto__": {"$from": "a"}, "x": 1}');
    const result = simulate(sequential, { tasks: [step('a'), step('b', ['a'], { input })] }, inOrder());
    const resolved = result.scheduled[1]?.input as object;
    expect(Object.keys(resolved)).toEqual(['__proto__', 'x']);
    expect(Object.getPrototypeOf(resolved)).toBe(Object.prototype);
  });

  it('runs 10,000 steps in one chain', () => {
    const tasks = Array.from({ length: 10_000 }, (_, index) => step(`t${index}`, index === 0 ? [] : [`t${index - 1}`]));
    const { workflow, options } = prepare(sequential, { tasks });
    let verdict = sequential.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    for (let index = 0; index < tasks.length; index++) {
      verdict = sequential.decide(workflow, options, verdict.state, {
        type: 'step.completed',
        step: `t${index}`,
        round: 0,
        atMs: 1,
        output: index,
        taskId: '',
        agentId: null,
        attempts: 1,
        startedAtMs: 0,
      });
    }
    expect(verdict.commands.at(-1)).toMatchObject({ type: 'end', status: 'completed' });
  });
});
