// What a hierarchy promises, case by case: who is told what, what a plan may hold, what limits do.

import { describe, expect, it } from 'vitest';
import { hierarchical } from '../../patterns/hierarchical.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import type { Start } from '../../runtime/testing/simulation-options.ts';
import {
  type Outcome,
  prepare,
  type SimulationOptions,
  type SimulationResult,
  simulate,
} from '../kit/coordination-simulator.ts';

const base: CreateWorkflow = { goal: 'know it all', coordinator: { capability: 'plan.make' } };
const sub = (id: string, more: object = {}) => ({ id, capability: 'probe.run', ...more });
const plan = (...tasks: object[]) => ({ output: { tasks } });
const done = (output: unknown = 'all of it') => ({ output: { done: true, output } });

interface Told {
  goal: string;
  round: number;
  depth: number;
  results: { id: string; round: number; status: string; result?: unknown; error?: { code: string }; reason?: string }[];
  error?: string;
  final?: boolean;
  reason?: string;
  input?: unknown;
}
const told = (command: Start): Told => (command.type === 'schedule' ? command.task.input : null) as Told;

/** The coordinator answers by turn; subtasks by id, else with `{ id }`. */
const script = (turns: readonly Outcome[], subtasks: Record<string, Outcome> = {}): SimulationOptions => ({
  seed: 1,
  schedule: 'order',
  duplicates: 0,
  views: 1,
  outcome: (step, round) => {
    if (step === 'plan') return turns[round] ?? { fails: `no turn ${round}` };
    return subtasks[`${step}/${round}`] ?? subtasks[step] ?? { output: { id: step } };
  },
});
const keys = ({ scheduled }: SimulationResult) => scheduled.map(({ key }) => key).join(' ');
const turnOf = (result: SimulationResult, turn: number): Told =>
  result.scheduled.find(({ key }) => key === `plan/${turn}`)?.input as Told;
const outputOf = (result: SimulationResult) =>
  result.end.output as {
    result: unknown;
    plan: { goal: string; rounds: { round: number; tasks: Record<string, unknown>[] }[] };
  };

describe('a hierarchy', () => {
  it('plans, dispatches, is told the results, and ends with the synthesis of its coordinator', () => {
    const turns = [
      plan(sub('a'), sub('b'), sub('c', { dependsOn: ['a', 'b'], input: { of: { $from: 'a.id' } } })),
      done(),
    ];
    const result = simulate(hierarchical, { ...base, input: { folder: 'docs' } }, script(turns));
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'plan_done' });
    expect(keys(result)).toBe('plan/0 a/0 b/0 c/0 plan/1');
    expect(turnOf(result, 0)).toEqual({
      goal: 'know it all',
      input: { folder: 'docs' },
      round: 0,
      depth: 0,
      results: [],
    });
    expect(turnOf(result, 1)).toMatchObject({
      round: 1,
      results: ['a', 'b', 'c'].map((id) => ({ id, round: 0, status: 'completed', result: { id } })),
    });
    expect(result.scheduled[3]?.input).toEqual({ of: 'a' });
    expect(outputOf(result)).toMatchObject({
      result: 'all of it',
      plan: {
        goal: 'know it all',
        rounds: [{ round: 0, tasks: [{ id: 'a' }, { id: 'b' }, { id: 'c', dependsOn: ['a', 'b'] }] }],
      },
    });
  });

  it('ends at once when the coordinator needs no subtask', () => {
    const result = simulate(hierarchical, base, script([done(42)]));
    expect(keys(result)).toBe('plan/0');
    expect(result.end).toMatchObject({ status: 'completed', output: { result: 42, plan: { rounds: [] } } });
  });

  it('tells of failures, skips what hung on them, and goes on by a new plan over earlier results', () => {
    const again = sub('b2', { input: { a: { $from: 'a.id' } }, dependsOn: ['a'] });
    const turns = [plan(sub('a'), sub('b'), sub('c', { dependsOn: ['b'] })), plan(again), done()];
    const result = simulate(hierarchical, base, script(turns, { b: { fails: 'no' } }));
    expect(keys(result)).toBe('plan/0 a/0 b/0 plan/1 b2/0 plan/2');
    expect(turnOf(result, 1).results).toMatchObject([
      { id: 'a', status: 'completed' },
      { id: 'b', status: 'failed', error: { code: 'handler_failed' } },
      { id: 'c', status: 'skipped', reason: 'upstream_failed' },
    ]);
    expect(result.scheduled[4]?.input).toEqual({ a: 'a' });
    expect(turnOf(result, 2).results).toHaveLength(4);
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'plan_done' });
    expect(result.skipped).toEqual([{ step: 'c', reason: 'upstream_failed' }]);
  });

  it.each<[string, object, object]>([
    ['what failed', sub('x', { dependsOn: ['b'] }), { status: 'skipped', reason: 'upstream_failed' }],
    ['what was skipped behind it', sub('x', { dependsOn: ['c'] }), { status: 'skipped', reason: 'upstream_failed' }],
    ['what its condition skipped', sub('x', { dependsOn: ['d'] }), { status: 'skipped', reason: 'upstream_skipped' }],
    [
      'a field that is not there',
      sub('x', { input: { $from: 'a.nothing' } }),
      { status: 'failed', error: { code: 'invalid_input' } },
    ],
    ['a condition over an earlier result', sub('x', { when: { path: 'a.id', equals: 'a' } }), { status: 'completed' }],
  ])('a later subtask may hang on earlier ones: %s', (_, task, expected) => {
    const never = sub('d', { when: { path: 'a.id', equals: 'z' } });
    const turns = [plan(sub('a'), sub('b'), sub('c', { dependsOn: ['b'] }), never), plan(task), done()];
    const result = simulate(hierarchical, base, script(turns, { b: { fails: 'no' } }));
    expect(turnOf(result, 2).results.at(-1)).toMatchObject({ id: 'x', ...expected });
  });

  it('holds maxConcurrency', () => {
    const tasks = Array.from({ length: 9 }, (_, at) => sub(`t${at}`));
    const run = (options: Record<string, unknown>) =>
      simulate(hierarchical, { ...base, options }, script([plan(...tasks), done()]));
    expect(run({ maxConcurrency: 2 }).maxInFlight).toBe(2);
    expect(run({}).maxInFlight).toBe(9);
  });

  it('runs a subtask with a coordinator as a run one level below, and shows its plan', () => {
    const inside = {
      result: 'deep',
      plan: { goal: 'part', rounds: [{ round: 0, tasks: [{ id: 'y', status: 'completed' }] }] },
    };
    const turns = [
      plan(
        { id: 'part', goal: 'part', coordinator: { capability: 'plan.other' } },
        { id: 'own', goal: 'mine', input: 7 },
      ),
      done(),
    ];
    const body = { ...base, input: { folder: 'docs' }, seed: 9, options: { maxRounds: 4 } };
    const result = simulate(hierarchical, body, script(turns, { part: { output: inside } }));
    const [, part, own] = result.scheduled;
    expect(part).toMatchObject({
      type: 'spawn',
      input: {
        pattern: 'hierarchical',
        goal: 'part',
        coordinator: { capability: 'plan.other' },
        input: { folder: 'docs' },
        options: { depth: 1, maxRounds: 4, maxDepth: 3 },
        seed: 9,
      },
    });
    expect(own?.input).toMatchObject({ coordinator: { capability: 'plan.make' }, input: 7 });
    expect(turnOf(result, 1).results[0]).toEqual({ id: 'part', round: 0, status: 'completed', result: 'deep' });
    expect(outputOf(result).plan.rounds[0]?.tasks[0]).toMatchObject({
      id: 'part',
      goal: 'part',
      result: 'deep',
      plan: inside.plan,
    });
    const { workflow, options } = prepare(hierarchical, body);
    const shown = JSON.stringify(hierarchical.picture?.(workflow, options, result.state as never));
    expect(shown).toContain('"id":"y"');
    expect(shown).not.toContain('deep');
  });

  it('makes the result by the synthesis when there is one', () => {
    const body = { ...base, options: { synthesis: { capability: 'report.write', input: { title: 'T' } } } };
    const result = simulate(
      hierarchical,
      body,
      script([plan(sub('a')), done('raw')], { synthesis: { output: 'fine' } }),
    );
    expect(result.scheduled.at(-1)).toMatchObject({
      key: 'synthesis/0',
      capability: 'report.write',
      input: { title: 'T', goal: 'know it all', output: 'raw', results: [{ id: 'a' }] },
    });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'plan_done', output: { result: 'fine' } });
    const failed = simulate(hierarchical, body, script([done('raw')], { synthesis: { fails: 'no' } }));
    expect(failed.end).toMatchObject({
      status: 'failed',
      stopReason: 'step_failed',
      error: { details: { step: 'synthesis' } },
    });
  });

  it('gives the coordinator the fields of its own input too', () => {
    const coordinator = { capability: 'plan.make', agentId: 'boss', input: { style: { $input: 'style' } } };
    const result = simulate(hierarchical, { ...base, coordinator, input: { style: 'short' } }, script([done()]));
    expect(result.scheduled[0]).toMatchObject({ agentId: 'boss', input: { style: 'short', goal: 'know it all' } });
  });
});

describe('a plan that cannot be carried out', () => {
  const cases: [string, unknown, string][] = [
    ['is no object', 'do this', 'answer { "tasks"'],
    ['has no tasks', { tasks: [] }, 'answer { "tasks"'],
    ['is not done', { done: false, output: 1 }, 'answer { "tasks"'],
    ['has a task without a capability', { tasks: [{ id: 'a' }] }, 'tasks[0].capability: give exactly one'],
    ['has a field of no meaning', { tasks: [sub('a', { agent: 'x' })] }, 'tasks[0]: Unrecognized key'],
    ['has a bad id', { tasks: [sub('a b')] }, 'tasks[0].id: letters, digits'],
    ['uses an id twice', { tasks: [sub('a'), sub('a')] }, 'tasks[1].id: duplicate'],
    [
      'uses the id of an earlier round',
      { tasks: [sub('b'), sub('old')] },
      'tasks[1].id: "old" was a subtask of an earlier round',
    ],
    ['uses a reserved id', { tasks: [sub('plan')] }, 'tasks[0].id: "plan" is a reserved word'],
    [
      'depends on nothing there is',
      { tasks: [sub('a', { dependsOn: ['x'] })] },
      'tasks[0].dependsOn[0]: task "a" depends on "x"',
    ],
    [
      'refers to nothing there is',
      { tasks: [sub('a', { input: { v: { $from: 'x.y' } } })] },
      'tasks[0].input.v.$from: task "a" refers to "x"',
    ],
    [
      'has a cycle',
      { tasks: [sub('a', { dependsOn: ['b'] }), sub('b', { dependsOn: ['a'] })] },
      'wait for each other: a → b → a',
    ],
    [
      'has an undo',
      { tasks: [sub('a', { compensate: { capability: 'x.y' } })] },
      'tasks[0].compensate: nothing is undone here',
    ],
    ['has a run without a goal', { tasks: [{ id: 'a', coordinator: { capability: 'plan.make' } }] }, 'tasks[0].goal:'],
  ];

  it.each(cases)('goes back once, and the run goes on: it %s', (_, answer, words) => {
    const turns = [plan(sub('old')), { output: answer }, plan(sub('fine')), done()];
    const result = simulate(hierarchical, base, script(turns));
    expect(turnOf(result, 2).error).toContain(words);
    expect(turnOf(result, 2).round).toBe(1);
    expect(turnOf(result, 3)).not.toHaveProperty('error');
    expect(keys(result)).toBe('plan/0 old/0 plan/1 plan/2 fine/0 plan/3');
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'plan_done' });
  });

  it.each(cases)('twice in a row ends the run: it %s', (_, answer, words) => {
    const result = simulate(hierarchical, base, script([plan(sub('old')), { output: answer }, { output: answer }]));
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'coordinator_failed',
      error: { code: 'invalid_output', message: expect.stringContaining(words) },
      output: { plan: { rounds: [{ tasks: [{ id: 'old', status: 'completed', result: { id: 'old' } }] }] } },
    });
  });

  it('ends the run when the coordinator gives no answer at all', () => {
    const result = simulate(hierarchical, base, script([plan(sub('a')), { fails: 'dead', state: 'dead' }]));
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'coordinator_failed',
      error: { message: 'dead' },
    });
  });
});

describe('a limit', () => {
  const nested = { id: 'n', goal: 'deeper' };
  it.each<[string, Record<string, unknown>, Outcome[], string, string]>([
    [
      'maxRounds',
      { maxRounds: 2 },
      [plan(sub('a')), plan(sub('b'))],
      'plan/0 a/0 plan/1 b/0 plan/2',
      '2 rounds are used up',
    ],
    [
      'maxSubtasks',
      { maxSubtasks: 2 },
      [plan(sub('a')), plan(sub('b'), sub('c'))],
      'plan/0 a/0 plan/1 plan/2',
      '3 subtasks of 2',
    ],
    ['maxDepth', { depth: 2 }, [plan(sub('a')), plan(nested)], 'plan/0 a/0 plan/1 plan/2', 'level 4 of 3'],
  ])('%s asks for what there is, and ends partial', (limit, options, turns, started, reason) => {
    for (const [last, result] of [
      [done('what there is'), 'what there is'],
      [plan(sub('more')), null],
      [{ fails: 'no' }, null],
    ] as const) {
      const run = simulate(hierarchical, { ...base, options }, script([...turns, last]));
      expect(keys(run)).toBe(started);
      expect(turnOf(run, 2)).toMatchObject({ final: true, reason: expect.stringContaining(reason) });
      expect(run.end).toMatchObject({ status: 'partial', stopReason: 'plan_limits', output: { result } });
      expect(run.decisions.some(({ kind, rule }) => kind === 'plan' && rule === limit)).toBe(true);
    }
  });

  it('asks the synthesis at once where there is one', () => {
    const options = { maxRounds: 1, synthesis: { capability: 'report.write' } };
    const result = simulate(
      hierarchical,
      { ...base, options },
      script([plan(sub('a'))], { synthesis: { output: 's' } }),
    );
    expect(keys(result)).toBe('plan/0 a/0 synthesis/0');
    expect(result.end).toMatchObject({ status: 'partial', stopReason: 'plan_limits', output: { result: 's' } });
  });

  it('ends failed when there is nothing at all', () => {
    const result = simulate(
      hierarchical,
      { ...base, options: { maxSubtasks: 1 } },
      script([plan(sub('a'), sub('b')), { fails: 'x' }]),
    );
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'plan_limits' });
  });
});

describe('a definition that cannot run', () => {
  it.each<[string, CreateWorkflow, string, string]>([
    ['no goal', { coordinator: { capability: 'plan.make' } }, 'goal', 'needs a goal'],
    ['tasks of its own', { ...base, tasks: [sub('a')] }, 'tasks', 'no use for "tasks"'],
    ['voters', { ...base, voters: { n: 3 } }, 'voters', 'no use'],
    ['compensate', { ...base, onFailure: 'compensate' }, 'onFailure', 'told to the coordinator'],
    ['continue', { ...base, onFailure: 'continue' }, 'onFailure', 'no meaning'],
    ['too deep', { ...base, options: { depth: 3 } }, 'options.depth', 'deeper than maxDepth 3'],
    [
      'a text as extra',
      { ...base, coordinator: { capability: 'plan.make', input: 'x' } },
      'coordinator.input',
      'is an object',
    ],
    [
      'a reference to no step',
      { ...base, coordinator: { capability: 'plan.make', input: { a: { $from: 'b' } } } },
      'coordinator.input.a.$from',
      'no meaning',
    ],
    [
      'a missing input',
      { ...base, options: { synthesis: { capability: 'x.y', input: { a: { $input: 'b' } } } } },
      'options.synthesis.input',
      'nothing for',
    ],
  ])('is refused: %s', (_, body, path, words) => {
    const workflow = createWorkflowSchema.parse({ pattern: 'hierarchical', ...body });
    const problem = hierarchical.check(workflow, hierarchical.options.parse(workflow.options));
    expect(problem).toMatchObject({ code: 'workflow_invalid', path });
    expect(problem?.message).toContain(words);
  });

  it('names its capabilities with their places', () => {
    const { workflow, options } = prepare(hierarchical, {
      ...base,
      options: { synthesis: { capability: 'report.write' } },
    });
    expect(hierarchical.capabilities?.(workflow, options)).toEqual([
      { capability: 'plan.make', path: 'coordinator.capability' },
      { capability: 'report.write', path: 'options.synthesis.capability' },
    ]);
  });
});

describe('under a random scheduler', () => {
  const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);
  const LIMIT_MS = 30_000 + SEEDS * 60;

  /** A coordinator that plans at random: good plans and bad ones, nested, over what earlier rounds gave. */
  function plans(random: () => number, { round, results, final }: Told): Outcome {
    const dice = random();
    if (dice < 0.04) return { fails: 'by chance' };
    if (final || dice < 0.2) return done({ round });
    if (dice < 0.32) return { output: { tasks: [{ id: 'plan' }] } };
    const earlier = results.map(({ id }) => id);
    const count = 1 + Math.floor(random() * 5);
    const tasks = Array.from({ length: count }, (_, at) => {
      const before = [...earlier, ...Array.from({ length: at }, (__, index) => `r${round}-${index}`)];
      const on = before.filter(() => random() < 0.25);
      const from = on[0] === undefined ? {} : { input: { from: { $from: on[0] } } };
      const id = `r${round}-${at}`;
      return random() < 0.1 ? { id, goal: 'deeper', dependsOn: on } : sub(id, { dependsOn: on, ...from });
    });
    return { output: { tasks } };
  }

  it(
    `keeps its invariants for ${SEEDS} seeds`,
    () => {
      const ends = new Map<string, number>();
      for (let seed = 1; seed <= SEEDS; seed++) {
        const after = 1 + (seed % 13);
        const options = { maxRounds: 1 + (seed % 4), maxSubtasks: 12, maxConcurrency: 1 + (seed % 3), depth: seed % 3 };
        const result = simulate(
          hierarchical,
          { ...base, options },
          {
            seed,
            ...(seed % 7 === 0 ? { interrupt: { after, event: seed % 2 === 0 ? 'cancel' : 'deadline' } } : {}),
            outcome: (step, _round, random, command) => {
              if (step === 'plan') return plans(random, told(command));
              return random() < 0.15 ? { fails: 'by chance' } : { output: { step } };
            },
          },
        );
        const subtasks = result.scheduled.filter(({ key }) => !key.startsWith('plan/')).map(({ key }) => key);
        const why = `seed ${seed}`;
        expect(result.maxInFlight, why).toBeLessThanOrEqual(options.maxConcurrency);
        expect(subtasks.length, why).toBeLessThanOrEqual(options.maxSubtasks);
        expect(new Set(subtasks).size, why).toBe(subtasks.length);
        const { rounds } = outputOf(result).plan;
        expect(rounds.length, why).toBeLessThanOrEqual(options.maxRounds);
        // no orphan: whatever was planned has an end, and in time: nothing of a round starts before the round before it is over
        for (const { tasks } of rounds)
          for (const { status } of tasks)
            expect(['completed', 'failed', 'skipped', 'cancelled'], why).toContain(status);
        const order = result.scheduled
          .map(({ key }) => /^r(\d+)-/.exec(key)?.[1])
          .filter((round) => round !== undefined);
        expect(order.map(Number), why).toEqual(order.map(Number).toSorted((a, b) => a - b));
        const kind = `${result.end.status}:${result.end.stopReason}`;
        ends.set(kind, (ends.get(kind) ?? 0) + 1);
      }
      for (const kind of [
        'completed:plan_done',
        'partial:plan_limits',
        'failed:coordinator_failed',
        'cancelled:cancelled',
        'failed:deadline',
      ])
        expect(ends.get(kind), `${kind} of ${JSON.stringify([...ends])}`).toBeGreaterThan(SEEDS / 200);
    },
    LIMIT_MS,
  );
});
