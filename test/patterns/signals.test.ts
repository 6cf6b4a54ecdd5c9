// Steps of a graph that wait for a signal: it is taken once, holds for the whole run, and its lack is a failure in the end.

import { describe, expect, it } from 'vitest';
import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { strategyConformance } from '../../runtime/testing/conformance.ts';
import { prepare } from '../kit/coordination-simulator.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);
const gate = (id: string, key = 'go', more: object = {}) => ({ id, signal: { key }, ...more });
const work = (id: string, more: object = {}) => ({ id, capability: 'probe.run', ...more });
const signal = (key: string, value: unknown = 1): CoordinationEvent => ({ type: 'input', atMs: 5, key, value });
const done = (step: string): CoordinationEvent => ({
  type: 'step.completed',
  atMs: 6,
  step,
  round: 0,
  output: { by: step },
  taskId: 't',
  agentId: null,
  attempts: 1,
  startedAtMs: 1,
});

function run(strategy: typeof parallel | typeof sequential, body: object) {
  const { workflow, options } = prepare(strategy as typeof parallel, body);
  let verdict = strategy.start(workflow, options as never, { type: 'started', atMs: 0, seed: 1 });
  const commands = [...verdict.commands];
  return {
    commands,
    state: () => verdict.state,
    steps: () => strategy.steps(workflow, options as never, verdict.state),
    tell(event: CoordinationEvent) {
      verdict = strategy.decide(workflow, options as never, verdict.state, event);
      commands.push(...verdict.commands);
      return verdict;
    },
  };
}

describe('a step that waits for a signal', () => {
  it('starts no task, says what it waits for, and gives the value of the signal', () => {
    const tasks = [
      gate('approved', 'go', { dependsOn: ['draft'] }),
      work('draft'),
      work('send', { input: { $from: 'approved' } }),
    ];
    const it = run(sequential, { tasks });
    it.tell(done('draft'));
    expect(it.commands).toMatchObject([
      { type: 'schedule', step: 'draft' },
      { type: 'timer', key: 'approved:signal', afterMs: 604_800_000 },
    ]);
    expect(it.steps()[0]).toMatchObject({ id: 'approved', state: 'waiting', reason: 'signal:go' });
    const { commands, decisions } = it.tell(signal('go', { by: 'ann' }));
    expect(commands).toMatchObject([{ type: 'schedule', step: 'send', task: { input: { by: 'ann' } } }]);
    expect(decisions[0]).toEqual({ kind: 'input', rule: 'signal', chosen: 'go', candidates: [{ id: 'approved' }] });
    expect(it.tell(done('send')).commands).toMatchObject([
      { type: 'end', status: 'completed', output: { approved: { by: 'ann' }, send: { by: 'send' } } },
    ]);
  });

  it('goes on at once where the signal came before it started', () => {
    const it = run(sequential, { tasks: [work('first'), gate('gate', 'go', { dependsOn: ['first'] })] });
    expect(it.tell(signal('go', 'early')).commands).toEqual([]);
    expect(it.tell(done('first')).commands).toMatchObject([{ type: 'end', output: { gate: 'early' } }]);
  });

  it('is one of several that one signal lets go', () => {
    const it = run(parallel, { tasks: [gate('a'), gate('b'), gate('c', 'other')] });
    it.tell(signal('go', 7));
    expect(it.steps().map(({ state }) => state)).toEqual(['completed', 'completed', 'waiting']);
    expect(it.tell(signal('other', null)).commands).toMatchObject([{ type: 'end', output: { a: 7, b: 7, c: null } }]);
  });

  it.each([
    ['a second signal of a key', [signal('go', 'first')], signal('go', 'second')],
    ['a signal that no step waits for', [], signal('come')],
    ['a signal named like a property of every object', [], signal('constructor')],
    ['a timer of another step', [], { type: 'timer', atMs: 1, key: 'b:signal' } satisfies CoordinationEvent],
    [
      'a timer after the signal',
      [signal('go')],
      { type: 'timer', atMs: 1, key: 'a:signal' } satisfies CoordinationEvent,
    ],
  ])('is not changed by %s', (_, before, event) => {
    const it = run(parallel, { tasks: [gate('a'), work('b')] });
    for (const one of before) it.tell(one);
    const state = it.state();
    expect(it.tell(event)).toEqual({ state, commands: [], decisions: [] });
    expect(it.state()).toBe(state);
  });

  it('fails when its time is over, and its dependants are skipped', () => {
    const it = run(parallel, { tasks: [gate('a'), work('b', { dependsOn: ['a'] })] });
    const { commands } = it.tell({ type: 'timer', atMs: 9, key: 'a:signal' });
    expect(commands.at(-1)).toMatchObject({
      type: 'end',
      status: 'failed',
      error: { code: 'input_expired', details: { key: 'go' } },
    });
    expect(commands.map(({ type }) => type)).not.toContain('cancel');
  });

  it('is left with the run, without a task to cancel', () => {
    const it = run(parallel, { tasks: [gate('a'), work('b')] });
    const { commands } = it.tell({ type: 'cancel', atMs: 9, reason: 'user' });
    expect(commands.filter(({ type }) => type === 'cancel')).toMatchObject([{ step: 'b' }]);
    expect(it.steps().map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
  });
});

it.each([
  ['input', { input: 1 }],
  ['forEach', { forEach: 'b.list' }],
  ['loop', { loop: { until: { path: 'a', exists: true }, maxRounds: 2 } }],
  ['retry', { retry: { maxAttempts: 2 } }],
  ['agentId', { agentId: 'ann' }],
  ['reserve', { reserve: { tokens: 1 } }],
])('has no use for %s', (field, more) => {
  expect(() => prepare(parallel, { tasks: [gate('a', 'go', more), work('b')] })).toThrow(`tasks[0].${field}`);
});

it(
  `keeps the promises of graphs for ${SEEDS} seeds`,
  () => {
    const tasks = [
      work('draft'),
      gate('approved', 'go', { dependsOn: ['draft'] }),
      gate('paid', 'money', { signal: { key: 'money', expiresMs: 50 } }),
      work('send', { dependsOn: ['approved'], input: { $from: 'approved' } }),
      work('ship', { dependsOn: ['paid'] }),
    ];
    const interrupts = [
      { after: 1, event: { type: 'input' as const, key: 'go', value: 'early' } },
      { after: 3, event: { type: 'input' as const, key: 'money', value: 3 } },
      { after: 4, event: { type: 'input' as const, key: 'go', value: 'late' } },
    ];
    const bodies = [{ tasks, onFailure: 'continue' as const }, { tasks }, { tasks, options: { join: { quorum: 1 } } }];
    const report = strategyConformance(parallel, { bodies, seeds: Math.ceil(SEEDS / bodies.length), interrupts });
    for (const kind of [
      'completed:all_done',
      'partial:all_done',
      'failed:join_unsatisfiable',
      'completed:join_satisfied',
    ])
      expect(report.ends[kind], JSON.stringify(report.ends)).toBeGreaterThan(0);
  },
  60_000 + SEEDS * 30,
);
