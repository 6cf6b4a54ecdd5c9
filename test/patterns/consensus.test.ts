// What a vote promises, case by case.

import { describe, expect, it } from 'vitest';
import { consensus } from '../../patterns/consensus.ts';
import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import { type Outcome, prepare, type SimulationResult, simulate } from '../kit/coordination-simulator.ts';

type Answers = readonly (Outcome | string)[];
const crash: Outcome = { fails: 'crashed', state: 'dead' };
const task = { capability: 'fact.verify' };

interface Vote {
  voter: string;
  agentId: string | null;
  round: number;
  ballot: unknown;
  answer?: unknown;
  abstained?: boolean;
  reason?: string;
}
interface Output {
  decision: unknown;
  agreement: number;
  votes: Vote[];
  dissent: { ballot: unknown; voters: string[] }[];
  rounds: number;
  reason?: string;
}
const outputOf = (result: SimulationResult): Output => result.end.output as Output;

/** Voters answer in the order of their seats; `rounds[r][seat]`. Text stands for the verdict. */
function vote(body: Partial<CreateWorkflow>, rounds: readonly Answers[], others: Record<string, Outcome> = {}) {
  return simulate(
    consensus,
    { task, question: 'true?', ...body, options: { ballot: 'verdict', ...body.options } },
    {
      seed: 1,
      schedule: 'order',
      duplicates: 0,
      outcome: (step, round) => {
        const given = others[step] ?? rounds[round]?.[Number(step.slice(5)) - 1] ?? 'never';
        return typeof given === 'string' && given !== 'never' ? { output: { verdict: given } } : (given as Outcome);
      },
    },
  );
}

describe('five voters under majority', () => {
  it('decide A of A, A, B, A and a crash: agreement .75, dissent B', () => {
    const result = vote({}, [['B', crash, 'A', 'A', 'A']]);
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'decided' });
    expect(outputOf(result)).toMatchObject({
      decision: 'A',
      agreement: 0.75,
      dissent: [{ ballot: 'B', voters: ['vote-1'] }],
      rounds: 1,
    });
    expect(outputOf(result).votes[1]).toEqual({
      voter: 'vote-2',
      agentId: 'agent-2',
      round: 0,
      ballot: null,
      abstained: true,
      reason: 'dead',
    });
  });

  it('cancel the rest after three equal first answers, and report them', () => {
    const result = vote({}, [['A', 'a ', 'A', 'B', 'B']]);
    expect(result.cancelled).toEqual(['vote-4/0', 'vote-5/0']);
    expect(outputOf(result)).toMatchObject({ decision: 'A', agreement: 1, dissent: [] });
    expect(outputOf(result).votes.map(({ reason }) => reason)).toEqual([
      undefined,
      undefined,
      undefined,
      'not_needed',
      'not_needed',
    ]);
  });

  it('fail with no_quorum when two of five are alive, as soon as that is sure', () => {
    const result = vote({ options: { quorum: 3 } }, [['A', crash, crash, crash, 'A']]);
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'no_quorum',
      error: { details: { valid: 1, quorum: 3, voters: 5 } },
    });
    expect(result.cancelled).toEqual(['vote-5/0']);
  });

  it('wait for the quorum although the count is clear', () => {
    const result = vote({ options: { quorum: 4 } }, [['A', 'A', 'A', 'A', 'B']]);
    expect(result.cancelled).toEqual(['vote-5/0']);
    expect(vote({ options: { quorum: 4 } }, [['A', 'A', 'A', crash, crash]]).end.stopReason).toBe('no_quorum');
  });

  it('count who is late as an abstention', () => {
    const result = vote({}, [['A', 'A', 'B', 'never', 'never']]);
    expect(outputOf(result)).toMatchObject({ decision: 'A' });
    expect(
      outputOf(result)
        .votes.slice(3)
        .map(({ reason }) => reason),
    ).toEqual(['late', 'late']);
    expect(result.cancelled).toEqual(['vote-4/0', 'vote-5/0']);
  });

  it('count an answer without a ballot as an abstention', () => {
    const result = vote({}, [[{ output: { other: 1 } }, 'A', 'A', { output: null }, 'A']]);
    expect(outputOf(result).votes[0]).toMatchObject({ abstained: true, reason: 'no_ballot' });
    expect(outputOf(result)).toMatchObject({ decision: 'A', agreement: 1 });
  });
});

describe('voters', () => {
  const seats = (result: SimulationResult) => result.scheduled.map(({ agentId }) => agentId ?? 'any');
  const run = (voters: CreateWorkflow['voters'], agents: number) =>
    simulate(
      consensus,
      { task, ...(voters ? { voters } : {}) },
      {
        seed: 1,
        schedule: 'order',
        outcome: () => ({ output: 'A' }),
        agents: () =>
          Array.from({ length: agents }, (_, at) => ({
            agentId: `id-${at}`,
            name: `name-${at}`,
            load: at === 0 ? 1 : 0,
          })),
      },
    );

  it('are distinct agents while there are enough, the least loaded first', () => {
    expect(seats(run({ n: 3 }, 4))).toEqual(['id-1', 'id-2', 'id-3']);
    expect(seats(run({ n: 4 }, 2))).toEqual(['id-1', 'id-0', 'any', 'any']);
    expect(seats(run(undefined, 0))).toEqual(Array(5).fill('any'));
  });

  it('are those named, without asking who there is', () => {
    const result = run({ agents: ['ann', 'bob', 'cid'] }, 9);
    expect(seats(result)).toEqual(['ann', 'bob', 'cid']);
    expect(result.commands.some(({ type }) => type === 'find')).toBe(false);
  });

  it('weigh by id or name, whoever is not named one', () => {
    const result = simulate(
      consensus,
      { task, voters: { n: 4 }, options: { rule: { weighted: { 'name-0': 3, 'id-1': 0.5 } } } },
      {
        seed: 1,
        schedule: 'order',
        agents: () => [0, 1, 2].map((at) => ({ agentId: `id-${at}`, name: `name-${at}`, load: 0 })),
        outcome: (step) => ({
          output: step === 'vote-1' ? 'A' : 'B',
          ...(step === 'vote-4' ? { agentId: 'id-0' } : {}),
        }),
      },
    );
    // B: 0.5 + 1 + 3 of the unpinned seat that the heavy agent took
    expect(outputOf(result)).toMatchObject({ decision: 'B', agreement: 4.5 / 7.5 });
  });

  it('that are one agent under two names have one voice', () => {
    const result = simulate(
      consensus,
      { task, voters: { agents: ['ann', 'ann-id', 'bob'] }, options: { quorum: 2 } },
      {
        seed: 1,
        schedule: 'order',
        outcome: (step) => ({
          output: step === 'vote-3' ? 'B' : 'A',
          agentId: step === 'vote-3' ? 'bob-id' : 'ann-id',
        }),
      },
    );
    expect(result.end.stopReason).toBe('tie');
    expect(outputOf(result).votes[1]).toMatchObject({ abstained: true, reason: 'double_vote' });
  });
});

describe('a debate', () => {
  it('asks again with the others’ answers until more than half agree', () => {
    const result = vote({ options: { rounds: 2 } }, [
      ['A', 'A', 'B', 'B', 'C'],
      ['A', 'A', 'A', 'B', 'B'],
    ]);
    expect(outputOf(result)).toMatchObject({ decision: 'A', rounds: 2 });
    expect(outputOf(result).votes.map(({ round }) => round)).toEqual([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    const second = result.scheduled.filter(({ key }) => key.endsWith('/1')).map(({ input }) => input);
    const { peers, previous, question } = second[4] as {
      peers: { verdict: string }[];
      previous: unknown;
      question: string;
    };
    expect(peers.map(({ verdict }) => verdict).sort()).toEqual(['A', 'A', 'B', 'B']);
    expect({ previous, question }).toEqual({ previous: { verdict: 'C' }, question: 'true?' });
    expect(JSON.stringify(second)).not.toContain('agent-');
    expect(result.scheduled[0]?.input).toEqual({ question: 'true?' });
  });

  it('ends with the most ballots when no round is left', () => {
    const round = ['A', 'A', 'B', 'C', 'D'];
    expect(outputOf(vote({ options: { rounds: 1 } }, [round, round]))).toMatchObject({ decision: 'A', rounds: 2 });
  });

  it('ends at once when the first round is clear', () => {
    expect(outputOf(vote({ options: { rounds: 3 } }, [['A', 'A', 'A']]))).toMatchObject({ rounds: 1 });
  });

  it('shows peers in an order that the seed decides', () => {
    const orders = [1, 2, 3, 4].map((seed) => {
      const { scheduled } = simulate(
        consensus,
        { task, voters: { n: 8 }, options: { rounds: 1 } },
        { seed, schedule: 'order', outcome: (step, round) => ({ output: round === 0 ? step : 'A' }) },
      );
      return JSON.stringify(scheduled.find(({ key }) => key === 'vote-1/1')?.input);
    });
    expect(new Set(orders).size).toBeGreaterThan(1);
  });
});

describe('without a decision', () => {
  const split = [['A', 'A', 'B', 'B', crash]] as Answers[];

  it.each<[string, object, Answers[], string]>([
    ['a tie', {}, split, 'tie'],
    ['a share that is missed', { rule: { supermajority: 0.8 } }, [['A', 'A', 'A', 'B', 'B']], 'rounds_used_up'],
    [
      'unanimity that is missed',
      { rule: 'unanimity', rounds: 1 },
      [
        ['A', 'B', 'A', 'A', 'A'],
        ['A', 'A', 'A', 'A', 'B'],
      ],
      'rounds_used_up',
    ],
  ])('%s fails the run', (_, options, rounds, stopReason) => {
    const result = vote({ options: { ...options } }, rounds);
    expect(result.end).toMatchObject({ status: 'failed', stopReason, output: { decision: null } });
  });

  it('unanimity stops at the first dissent once there is a quorum', () => {
    const result = vote({ options: { rule: 'unanimity' } }, [['A', 'A', 'B', 'A', 'A']]);
    expect(result.cancelled).toEqual(['vote-4/0', 'vote-5/0']);
  });

  it('a judge decides among the tied, without names', () => {
    const result = vote({ options: { tie: 'judge', judge: 'fact.judge' } }, split, {
      judge: { output: { decision: 'b', reason: 'better sources' } },
    });
    expect(outputOf(result)).toMatchObject({ decision: 'B', agreement: 0.5, reason: 'better sources' });
    const judge = result.scheduled.at(-1);
    expect(judge).toMatchObject({
      capability: 'fact.judge',
      input: { options: ['A', 'B'], input: { question: 'true?' } },
    });
    expect(judge?.input).toHaveProperty('answers.length', 4);
    expect(JSON.stringify(judge?.input)).not.toContain('agent-');
  });

  it.each<[string, Outcome]>([
    ['chooses what is no option', { output: { decision: 'C' } }],
    ['says nothing', { output: {} }],
    ['fails', crash],
    ['is late', 'never'],
  ])('a judge that %s fails the run', (_, outcome) => {
    const result = vote({ options: { tie: 'judge', judge: 'fact.judge' } }, split, { judge: outcome });
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'judge_failed' });
  });

  it('a person decides among the tied', () => {
    const result = vote({ options: { tie: 'ask' } }, split, { tie: { output: 'B' } });
    expect(outputOf(result)).toMatchObject({ decision: 'B', agreement: 0.5 });
    expect(result.scheduled.at(-1)?.input).toMatchObject({ kind: 'input', schema: { enum: ['A', 'B'] } });
  });

  it('a person who does not answer leaves the tie', () => {
    const expired: Outcome = { fails: 'no answer', code: 'input_expired' };
    expect(vote({ options: { tie: 'ask' } }, split, { tie: expired }).end.stopReason).toBe('tie');
  });

  it('a judge may be the rule itself', () => {
    const result = vote({ options: { rule: { judge: 'fact.judge' } } }, [['A', 'B', 'C', crash, 'B']], {
      judge: { output: { decision: 'B' } },
    });
    expect(outputOf(result)).toMatchObject({ decision: 'B', agreement: 0.5 });
    expect(outputOf(result).dissent.map(({ ballot }) => ballot)).toEqual(['A', 'C']);
  });
});

it('takes the median of numbers and names the outliers', () => {
  const numbers = [10, 11, 500, 12, 13].map((verdict): Outcome => ({ output: { verdict } }));
  const result = vote({ options: { rule: { median: { trim: 0.2 } } } }, [numbers]);
  expect(outputOf(result)).toMatchObject({
    decision: 11.5,
    agreement: 0.8,
    dissent: [{ ballot: 500, voters: ['vote-3'] }],
  });
});

it('stops a median when the open ballots cannot move it', () => {
  const numbers = [7, 7, 7, 8, 9].map((verdict): Outcome => ({ output: { verdict } }));
  const result = vote({ options: { rule: { median: {} } } }, [numbers]);
  expect(outputOf(result).decision).toBe(7);
  expect(result.cancelled).toEqual(['vote-4/0', 'vote-5/0']);
});

it('counts rankings to the end', () => {
  const ranking = (...verdict: string[]): Outcome => ({ output: { verdict } });
  const result = vote({ options: { rule: { ranked: 'irv' } } }, [
    [ranking('a', 'b'), ranking('a'), ranking('b', 'c'), ranking('c', 'b'), ranking('b', 'a')],
  ]);
  expect(outputOf(result)).toMatchObject({ decision: 'b', agreement: 0.4 });
});

describe('an event that means nothing', () => {
  it.each<[string, CoordinationEvent]>([
    ['a vote of another round', ended('vote-1', 1)],
    ['a vote of nobody', ended('vote-9', 0)],
    ['a judge nobody called', ended('judge', 0)],
    ['an answer nobody asked for', ended('tie', 0)],
    ['a timer of another round', { type: 'timer', atMs: 1, key: 'round-1' }],
    ['who there is, again', { type: 'found', atMs: 1, key: 'voters', agents: [] }],
    ['a signal', { type: 'input', atMs: 1, key: 'x', value: 1 }],
  ])('changes nothing: %s', (_, event) => {
    const { workflow, options } = prepare(consensus, { task, voters: { agents: ['a', 'b', 'c'] } });
    const { state } = consensus.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    const verdict = consensus.decide(workflow, options, state, event);
    expect(verdict.state).toBe(state);
    expect(verdict.commands).toEqual([]);
  });

  function ended(step: string, round: number): CoordinationEvent {
    return {
      type: 'step.completed',
      atMs: 1,
      step,
      round,
      output: 'A',
      taskId: 't',
      agentId: null,
      attempts: 1,
      startedAtMs: 0,
    };
  }
});

it('cancels judge and person with the run', () => {
  for (const options of [{ tie: 'judge', judge: 'fact.judge' }, { tie: 'ask' }]) {
    const body = { task, question: '?', voters: { n: 2 }, options };
    for (const event of ['cancel', 'deadline'] as const) {
      const result = simulate(consensus, body, {
        seed: 1,
        schedule: 'order',
        duplicates: 0,
        outcome: (step) => (step.startsWith('vote') ? { output: step } : 'never'),
        interrupt: { after: 4, event },
      });
      expect(result.end.stopReason).toBe(event === 'cancel' ? 'cancelled' : 'deadline');
      expect(result.cancelled).toHaveLength(1);
    }
  }
});

it('logs the rule, the chosen and the losing options with their scores', () => {
  const result = vote({}, [['A', 'B', 'A', 'C', 'A']]);
  expect(result.decisions.find(({ kind }) => kind === 'vote')).toEqual({
    kind: 'vote',
    rule: 'majority',
    chosen: 'A',
    candidates: [
      { id: 'A', score: 3 },
      { id: 'B', score: 1 },
      { id: 'C', score: 1 },
    ],
  });
});

it('shows a step per seat, the count and the judge', () => {
  const { workflow, options } = prepare(consensus, {
    task,
    voters: { n: 2 },
    options: { tie: 'judge', judge: 'a.judge' },
  });
  expect(consensus.steps(workflow, options, null).map(({ id, state }) => `${id} ${state}`)).toEqual([
    'vote-1 blocked',
    'vote-2 blocked',
    'judge blocked',
  ]);
  expect(consensus.capabilities?.(workflow, options)).toEqual([
    { capability: 'fact.verify', path: 'task.capability' },
    { capability: 'a.judge', path: 'options.judge' },
  ]);
});

describe('a vote that cannot run is refused with its place', () => {
  it.each<[string, CreateWorkflow, string]>([
    ['no task', { question: '?' }, 'task'],
    ['a question twice', { task: { ...task, input: {} }, question: '?' }, 'question'],
    ['a pinned task', { task: { ...task, agentId: 'ann' } }, 'task.agentId'],
    ['a quorum above the voters', { task, voters: { n: 3 }, options: { quorum: 4 } }, 'options.quorum'],
    ['a voter twice', { task, voters: { agents: ['a', 'b', 'a'] } }, 'voters.agents[2]'],
    ['tasks', { task, tasks: [{ id: 'a', capability: 'a.b' }] }, 'tasks'],
    ['a failure policy', { task, onFailure: 'continue' }, 'onFailure'],
    ['a judge that is missing', { task, options: { tie: 'judge' } }, 'options.judge'],
    ['a judge without a use', { task, options: { judge: 'a.judge' } }, 'options.judge'],
    ['a tie that cannot be', { task, options: { rule: { median: {} }, tie: 'ask' } }, 'options.tie'],
    ['a choice twice', { task, options: { choices: ['A', 'a'] } }, 'options.choices[1]'],
    ['no weights', { task, options: { rule: { weighted: {} } } }, 'options.rule.weighted'],
    ['no path', { task, options: { ballot: 'a..b' } }, 'options.ballot'],
    ['a reference to a step', { task: { ...task, input: { x: { $from: 'a.b' } } } }, 'task.input.x.$from'],
    ['an input that is not there', { task: { ...task, input: { $input: 'x' } } }, 'task.input'],
    ['a debate over no object', { task: { ...task, input: [1] }, options: { rounds: 1 } }, 'task.input'],
  ])('%s', (_, body, path) => {
    const workflow = createWorkflowSchema.parse({ pattern: 'consensus', ...body });
    expect(consensus.check(workflow, consensus.options.parse(workflow.options))).toMatchObject({ path });
  });

  it.each([[{ rule: 'most' }], [{ rule: { supermajority: 0.5 } }], [{ rounds: 99 }], [{ unknown: 1 }]])(
    'options %j',
    (options) => {
      expect(consensus.options.safeParse(options).success).toBe(false);
    },
  );

  it('passes the shortest', () => {
    expect(() => prepare(consensus, { task, question: '?' })).not.toThrow();
    expect(() =>
      prepare(consensus, { task: { ...task, input: { $input: 'a' } }, input: { a: { b: 1 } } }),
    ).not.toThrow();
  });
});

it('runs hundreds of voters', () => {
  const result = simulate(
    consensus,
    { task, voters: { n: 400 }, options: { rounds: 1 } },
    {
      seed: 1,
      schedule: 'order',
      crashes: 0,
      views: 0,
      noise: 0,
      outcome: (_step, round, random) => ({ output: round === 1 || random() < 0.4 ? 'A' : `${random()}` }),
    },
  );
  expect(outputOf(result)).toMatchObject({ decision: 'A', rounds: 2 });
  expect(result.scheduled.at(-1)?.input).toHaveProperty('peers.length', 20);
});
