// What an auction promises, case by case.

import { describe, expect, it } from 'vitest';
import { auction } from '../../patterns/auction.ts';
import type { Candidate, CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import {
  type BidAnswer,
  type Outcome,
  prepare,
  type SimulationOptions,
  type SimulationResult,
  seededRandom,
  simulate,
} from '../kit/coordination-simulator.ts';

interface Award {
  task: string;
  winner: string | null;
  price: number | null;
  secondPrice: number | null;
  bids: {
    agentId: string;
    name: string | null;
    round: number;
    bid: unknown;
    score: number | null;
    outcome: string;
    reason?: string;
  }[];
  result: unknown;
  rounds: number;
  reason?: string;
}
const awardsOf = (result: SimulationResult): Award[] => (result.end.output as { awards: Award[] }).awards;
const outcomes = (award: Award | undefined) => award?.bids.map(({ agentId, outcome }) => `${agentId} ${outcome}`);

const tasks = [{ id: 'a', capability: 'parts.make@2', input: { size: 3 } }];
const agents = (...names: string[]): Candidate[] =>
  names.map((agentId) => ({ agentId, name: agentId.toUpperCase(), load: 0 }));

/** `bids[agentId]`, or per round; `ends[agentId]`: how a task ends with that agent. */
function hold(
  bids: Record<string, BidAnswer | readonly BidAnswer[]>,
  {
    options = {},
    ends = {},
    body = {},
    ...how
  }: {
    options?: object;
    ends?: Record<string, Outcome>;
    body?: Partial<CreateWorkflow>;
  } & Partial<SimulationOptions> = {},
): SimulationResult {
  return simulate(
    auction,
    { tasks, ...body, options: { ...options } },
    {
      seed: 1,
      schedule: 'order',
      duplicates: 0,
      agents: () => agents(...Object.keys(bids)),
      bid: (agentId, _step, round) => {
        const given = bids[agentId];
        return Array.isArray(given) ? (given[round] ?? null) : (given as BidAnswer);
      },
      outcome: (_step, _round, _random, command) => {
        const agentId = command.type === 'schedule' ? command.task.agentId : undefined;
        return ends[agentId ?? 'any'] ?? { output: `by ${agentId ?? 'any'}` };
      },
      ...how,
    },
  );
}

const crash: Outcome = { fails: 'crashed', state: 'dead', code: 'poison' };

describe('one task', () => {
  it('goes to the lowest score; the others have lost; the second price is recorded', () => {
    const result = hold({ ann: { cost: 7 }, bob: { cost: 3 }, cid: { cost: 5 } });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'all_done' });
    expect(awardsOf(result)).toEqual([
      {
        task: 'a',
        winner: 'bob',
        price: 3,
        secondPrice: 5,
        result: 'by bob',
        rounds: 1,
        bids: [
          { agentId: 'ann', name: 'ANN', round: 0, bid: { cost: 7 }, score: 7, outcome: 'lost' },
          { agentId: 'bob', name: 'BOB', round: 0, bid: { cost: 3 }, score: 3, outcome: 'won' },
          { agentId: 'cid', name: 'CID', round: 0, bid: { cost: 5 }, score: 5, outcome: 'lost' },
        ],
      },
    ]);
  });

  it('is called with its input and the time to answer, and pinned to the winner with one attempt', () => {
    const result = hold({ ann: { cost: 7 }, bob: { cost: 3 } }, { options: { replyByMs: 200 } });
    expect(result.commands.map(({ type }) => type)).toEqual(['find', 'call', 'timer', 'close', 'schedule', 'end']);
    expect(result.calls[0]).toMatchObject({
      step: 'a:call',
      capability: 'parts.make',
      input: { size: 3 },
      replyByMs: 200,
      agents: ['ann', 'bob'],
    });
    expect(result.commands[4]).toMatchObject({
      step: 'a',
      round: 0,
      task: { capability: 'parts.make@2', agentId: 'bob', retry: { maxAttempts: 1 }, queueTimeoutMs: 600_000 },
    });
  });

  it('keeps a retry of its own', () => {
    const own = [{ id: 'a', capability: 'parts.make', retry: { maxAttempts: 4 } }];
    const result = hold({ ann: { cost: 1 } }, { body: { tasks: own } });
    expect(result.commands.find(({ type }) => type === 'schedule')).toMatchObject({
      task: { retry: { maxAttempts: 4 } },
    });
  });

  it('goes to the cheapest valid bid 100 times in 100', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = seededRandom(seed);
      const costs = Object.fromEntries(
        Array.from({ length: 8 }, (_, at) => [`agent-${at}`, 1 + Math.floor(random() * 1_000)]),
      );
      const result = hold(Object.fromEntries(Object.entries(costs).map(([name, cost]) => [name, { cost }])), {
        seed,
        schedule: 'random',
      });
      const [award] = awardsOf(result);
      const valid = award?.bids.filter(({ score }) => score !== null).map(({ agentId }) => costs[agentId] ?? 0) ?? [];
      if (award?.winner) expect(award.price).toBe(Math.min(...valid));
      else expect(valid).toEqual([]);
    }
  });

  it('scores by weight: cost, time, doubt', () => {
    const options = { weights: { cost: 1, etaMs: 0.01, confidence: 10 } };
    const result = hold(
      {
        cheap: { cost: 1, etaMs: 2_000, confidence: 1 },
        quick: { cost: 5, etaMs: 100, confidence: 0.9 },
        sure: { cost: 9, etaMs: 100, confidence: 1 },
        vague: { cost: 1 },
      },
      { options },
    );
    expect(awardsOf(result)[0]?.bids.map(({ score }) => score)).toEqual([21, 5 + 1 + 10 * (1 - 0.9), 10, 31]);
    expect(awardsOf(result)[0]?.winner).toBe('quick');
  });

  it.each([
    ['the least loaded', [0.5, 0.2, 0.9], 'bob'],
    ['then the lower id', [0.2, 0.2, 0.2], 'ann'],
  ])('of equal bids goes to %s', (_, loads, winner) => {
    const result = hold(
      { cid: { cost: 1 }, bob: { cost: 1 }, ann: { cost: 1 } },
      { agents: () => ['ann', 'bob', 'cid'].map((agentId, at) => ({ agentId, name: null, load: loads[at] ?? 0 })) },
    );
    expect(awardsOf(result)[0]?.winner).toBe(winner);
  });

  it('closes as soon as all have answered; else after the time', () => {
    const all = hold({ ann: { cost: 1 }, bob: null });
    expect(all.decisions.find(({ kind, rule }) => kind === 'bid' && rule !== 'call')).toMatchObject({
      rule: 'all_answered',
      chosen: 'a: 1 valid of 2',
    });
    const some = hold({ ann: { cost: 9 }, bob: 'silent' });
    expect(some.decisions.find(({ kind, rule }) => kind === 'bid' && rule !== 'call')).toMatchObject({
      rule: 'reply_by',
    });
    expect(awardsOf(some)[0]).toMatchObject({ winner: 'ann', secondPrice: null });
  });

  it('is not awarded to a late bid, however low: it is recorded as late', () => {
    const result = hold({ ann: { cost: 9 }, bob: 'late', cid: null, dan: 'error', eve: { cost: -1 }, fay: 'silent' });
    expect(outcomes(awardsOf(result)[0])).toEqual([
      'ann won',
      'bob late',
      'cid refused',
      'dan refused',
      'eve invalid',
      'fay silent',
    ]);
    expect(awardsOf(result)[0]?.bids.slice(0, 4)).toMatchObject([
      {},
      { bid: { cost: 0 }, score: null },
      {},
      { reason: 'handler_failed' },
    ]);
  });

  it.each<[string, BidAnswer]>([
    ['a negative cost', { cost: -1 }],
    ['no cost', {} as BidAnswer],
    ['a cost that is no number', { cost: '1' } as unknown as BidAnswer],
    ['a negative time', { cost: 1, etaMs: -1 }],
    ['confidence above 1', { cost: 1, confidence: 2 }],
  ])('goes to no bid with %s', (_, bid) => {
    expect(outcomes(awardsOf(hold({ ann: bid, bob: { cost: 99 } }))[0])).toEqual(['ann invalid', 'bob won']);
  });
});

describe('a winner that fails', () => {
  it('is followed by the runner-up, with its price', () => {
    const result = hold({ ann: { cost: 1 }, bob: { cost: 2 }, cid: { cost: 3 } }, { ends: { ann: crash } });
    expect(awardsOf(result)[0]).toMatchObject({ winner: 'bob', price: 2, secondPrice: 3, result: 'by bob', rounds: 1 });
    expect(outcomes(awardsOf(result)[0])).toEqual(['ann failed', 'bob won', 'cid lost']);
    expect(result.scheduled.map(({ key, agentId }) => `${key} ${agentId}`)).toEqual(['a/0 ann', 'a/1 bob']);
    expect(result.decisions.find(({ kind }) => kind === 'retry')).toEqual({
      kind: 'retry',
      rule: 'runner_up',
      chosen: 'a: bob',
      candidates: [
        { id: 'bob', score: 2 },
        { id: 'cid', score: 3 },
      ],
    });
  });

  it('without a runner-up is followed by another call, to the others', () => {
    const result = hold({ ann: { cost: 1 }, bob: [null, { cost: 9 }] }, { ends: { ann: crash } });
    expect(result.calls.map((call) => call.agents)).toEqual([['ann', 'bob'], ['bob']]);
    expect(awardsOf(result)[0]).toMatchObject({ winner: 'bob', price: 9, rounds: 2 });
    expect(awardsOf(result)[0]?.bids).toHaveLength(3);
  });

  it('loses the task when the rounds are used up', () => {
    const ends = { ann: crash, bob: crash, cid: crash };
    const bids = { ann: [{ cost: 1 }], bob: [null, { cost: 1 }], cid: [null, null, { cost: 1 }] };
    const result = hold(bids, { ends });
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'rounds_used_up',
      error: { details: { task: 'a', rounds: 3, lastError: 'poison' } },
    });
    expect(result.calls).toHaveLength(3);
    expect(hold(bids, { ends, options: { maxRounds: 1 } }).calls).toHaveLength(1);
    expect(awardsOf(result)[0]).toMatchObject({ winner: null, price: null, result: null, reason: 'rounds_used_up' });
  });
});

describe('without a valid bid', () => {
  const refusing = { ann: null, bob: 'silent' } as const;

  it('the task fails', () => {
    const result = hold(refusing);
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'no_bids' });
    expect(result.calls).toHaveLength(1);
  });

  it('or nobody to call, it fails without a call', () => {
    const result = hold({});
    expect(result.end.stopReason).toBe('no_bids');
    expect(awardsOf(result)[0]).toMatchObject({ rounds: 0, bids: [] });
  });

  it('it is given to whoever offers the capability', () => {
    const result = hold(refusing, { options: { noBids: 'direct' }, ends: { any: { output: 1, agentId: 'zoe' } } });
    expect(result.scheduled[0]).not.toHaveProperty('agentId');
    expect(awardsOf(result)[0]).toMatchObject({ winner: 'zoe', price: null, secondPrice: null, result: 1 });
    const failing = hold(refusing, { options: { noBids: 'direct' }, ends: { any: crash } });
    expect(failing.end.stopReason).toBe('rounds_used_up');
    expect(failing.scheduled).toHaveLength(3);
  });

  it('the call is widened: any version, twice the time', () => {
    const result = hold({ ann: [null, null, { cost: 4 }] }, { options: { noBids: 'widen', replyByMs: 100 } });
    expect(result.calls.map(({ capability, replyByMs, round }) => [capability, replyByMs, round])).toEqual([
      ['parts.make', 100, 0],
      ['parts.make', 200, 1],
      ['parts.make', 400, 2],
    ]);
    expect(result.commands.filter(({ type }) => type === 'find')).toMatchObject([
      { capability: 'parts.make@2' },
      { capability: 'parts.make' },
      { capability: 'parts.make' },
    ]);
    expect(awardsOf(result)[0]).toMatchObject({ winner: 'ann', price: 4, rounds: 3 });
    expect(result.scheduled[0]?.capability).toBe('parts.make');
    const inVain = hold({ ann: null }, { options: { noBids: 'widen' } });
    expect(inVain.end.stopReason).toBe('no_bids');
    expect(inVain.calls).toHaveLength(3);
  });

  it.each(['fail', 'widen', 'direct'] as const)(
    '%s: agents that come back within the time of a call are called',
    (noBids) => {
      let looks = 0;
      const back = () => (++looks > 2 ? agents('ann') : []);
      const result = hold({ ann: { cost: 4 } }, { options: { noBids, replyByMs: 100 }, agents: back });
      const timers = result.commands.filter(({ type }) => type === 'timer');
      expect(timers).toMatchObject([{ afterMs: 25 }, { afterMs: 25 }, { afterMs: 100 }]);
      expect(awardsOf(result)[0]).toMatchObject({ winner: 'ann', rounds: 1 });
    },
  );

  it.each([
    ['fail', [25, 25, 25, 25]],
    ['widen', [25, 25, 25, 25, 50, 50, 50, 50, 100, 100, 100, 100]],
  ] as const)('%s: that nobody is there is concluded once the time of every call is over', (noBids, waits) => {
    const never = hold({}, { options: { noBids, replyByMs: 100 } });
    expect(never.end).toMatchObject({
      stopReason: 'no_bids',
      error: { message: expect.stringContaining('nobody_offers_it') },
    });
    const timers = never.commands.flatMap((command) => (command.type === 'timer' ? [command.afterMs] : []));
    expect(timers).toEqual(waits);
  });

  it('says so while nobody is there, and takes each look once', () => {
    const { workflow, options } = prepare(auction, { tasks });
    const { state } = auction.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    const empty = { type: 'found', atMs: 1, key: 'a:0', agents: [] } as const;
    const absent = auction.decide(workflow, options, state, empty).state;
    expect(auction.steps(workflow, options, absent)).toMatchObject([{ reason: 'no_agent_offers_capability' }]);
    expect(auction.decide(workflow, options, absent, empty)).toEqual({ state: absent, commands: [], decisions: [] });
    const timer = { type: 'timer', atMs: 2, key: 'a:0.1' } as const;
    const again = auction.decide(workflow, options, absent, timer);
    expect(again.commands).toEqual([{ type: 'find', key: 'a:0.1', capability: 'parts.make@2' }]);
    expect(auction.decide(workflow, options, again.state, timer).state).toBe(again.state);
  });
});

describe('several tasks', () => {
  const many = Array.from({ length: 5 }, (_, at) => ({ id: `t${at}`, capability: 'parts.make' }));

  it('are auctioned at the same time, as many as may be', () => {
    const bids = { ann: { cost: 1 }, bob: { cost: 1 } };
    expect(hold(bids, { body: { tasks: many } }).maxInFlight).toBe(5);
    expect(hold(bids, { body: { tasks: many }, options: { maxConcurrency: 2 } }).maxInFlight).toBeLessThanOrEqual(2);
  });

  it('of equal bids go round among the agents', () => {
    const result = hold({ ann: { cost: 1 }, bob: { cost: 1 } }, { body: { tasks: many } });
    expect(awardsOf(result).map(({ winner }) => winner)).toEqual(['ann', 'bob', 'ann', 'bob', 'ann']);
  });

  const bid: NonNullable<SimulationOptions['bid']> = (_agentId, step) => (step === 't1:call' ? null : { cost: 1 });

  it('end with the first that is lost', () => {
    const result = hold({ ann: { cost: 1 } }, { body: { tasks: many }, bid });
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'no_bids', error: { details: { task: 't1' } } });
    expect(result.cancelled).toContain('t0/0');
  });

  it('go on under continue and end partial, or failed if all are lost', () => {
    const body = { tasks: many, onFailure: 'continue' as const };
    const result = hold({ ann: { cost: 1 } }, { body, bid });
    expect(result.end).toMatchObject({ status: 'partial', stopReason: 'all_done' });
    expect(awardsOf(result).map(({ winner }) => winner)).toEqual(['ann', null, 'ann', 'ann', 'ann']);
    expect(hold({ ann: null }, { body }).end).toMatchObject({ status: 'failed', stopReason: 'no_bids' });
  });

  it('note a late bid of a task that is done while others run', () => {
    const result = hold({ ann: { cost: 1 }, bob: 'late' }, { body: { tasks: many }, options: { maxConcurrency: 1 } });
    expect(outcomes(awardsOf(result)[0])).toEqual(['ann won', 'bob late']);
  });
});

it('calls no more agents than maxBidders, the least loaded', () => {
  const crowd = Array.from({ length: 50 }, (_, at) => ({ agentId: `agent-${at}`, name: null, load: at % 7 }));
  const result = hold({}, { agents: () => crowd, bid: () => ({ cost: 1 }), options: { maxBidders: 5 } });
  expect(result.calls[0]?.agents).toEqual(['agent-0', 'agent-14', 'agent-21', 'agent-28', 'agent-35']);
});

describe('sealed', () => {
  it('until the close: neither picture nor output shows a bid', () => {
    const { workflow, options } = prepare(auction, { tasks });
    let { state } = auction.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    for (const event of [
      { type: 'found', atMs: 1, key: 'a:0', agents: agents('ann', 'bob') },
      { type: 'bid', atMs: 2, step: 'a:call', round: 0, agentId: 'ann', bid: { cost: 77 } },
    ] satisfies CoordinationEvent[])
      ({ state } = auction.decide(workflow, options, state, event));
    expect(JSON.stringify(auction.picture?.(workflow, options, state))).not.toContain('77');
    expect(auction.steps(workflow, options, state)).toMatchObject([
      { id: 'a', state: 'waiting', reason: 'under_the_hammer' },
    ]);
    const { commands } = auction.decide(workflow, options, state, { type: 'cancel', atMs: 3, reason: 'user' });
    expect(commands.map(({ type }) => type)).toEqual(['close', 'end']);
    expect(JSON.stringify(commands)).not.toContain('77');
  });
});

describe('an event that means nothing', () => {
  it.each<[string, CoordinationEvent]>([
    ['a bid of nobody who was called', bidOf('zoe', 0)],
    ['a bid of another round', bidOf('ann', 1)],
    ['a second bid', bidOf('bob', 0)],
    ['a bid for another step', { ...bidOf('ann', 0), step: 'a' }],
    ['a timer of another round', { type: 'timer', atMs: 1, key: 'a:1' }],
    ['a timer of no task', { type: 'timer', atMs: 1, key: 'b:0' }],
    ['who there is, again', { type: 'found', atMs: 1, key: 'a:0', agents: [] }],
    [
      'an outcome before an award',
      {
        type: 'step.completed',
        atMs: 1,
        step: 'a',
        round: 0,
        output: 1,
        taskId: 't',
        agentId: null,
        attempts: 1,
        startedAtMs: 0,
      },
    ],
  ])('changes nothing: %s', (_, event) => {
    const { workflow, options } = prepare(auction, { tasks });
    let { state } = auction.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    for (const before of [
      { type: 'found', atMs: 1, key: 'a:0', agents: agents('ann', 'bob') } as const,
      bidOf('bob', 0),
    ])
      ({ state } = auction.decide(workflow, options, state, before));
    const verdict = auction.decide(workflow, options, state, event);
    expect(verdict.state).toBe(state);
    expect(verdict.commands).toEqual([]);
  });

  function bidOf(agentId: string, round: number): CoordinationEvent & { type: 'bid' } {
    return { type: 'bid', atMs: 1, step: 'a:call', round, agentId, bid: { cost: 1 } };
  }
});

describe('an auction that cannot run is refused with its place', () => {
  const task = tasks[0] as { id: string; capability: string };
  it.each<[string, CreateWorkflow, string]>([
    ['no tasks', {}, 'tasks'],
    ['too many tasks', { tasks: Array.from({ length: 1_001 }, (_, at) => ({ ...task, id: `t${at}` })) }, 'tasks[1000]'],
    ['a task twice', { tasks: [task, task] }, 'tasks[1].id'],
    ['a dependency', { tasks: [task, { ...task, id: 'b', dependsOn: ['a'] }] }, 'tasks[1].dependsOn'],
    ['a loop', { tasks: [{ ...task, loop: { until: { path: 'a.x', equals: 1 }, maxRounds: 2 } }] }, 'tasks[0].loop'],
    ['elements', { tasks: [{ ...task, forEach: 'x.y' }] }, 'tasks[0].forEach'],
    ['a condition', { tasks: [{ ...task, when: { path: 'a.x', exists: true } }] }, 'tasks[0].when'],
    ['a workflow', { tasks: [{ id: 'a', workflow: {} }] }, 'tasks[0].workflow'],
    ['an approval', { tasks: [{ id: 'a', approval: { prompt: '?' } }] }, 'tasks[0].approval'],
    ['a question', { tasks: [{ id: 'a', ask: { prompt: '?' } }] }, 'tasks[0].ask'],
    ['a pinned task', { tasks: [{ ...task, agentId: 'ann' }] }, 'tasks[0].agentId'],
    ['an undo', { tasks: [{ ...task, compensate: { capability: 'a.b' } }] }, 'tasks[0].compensate'],
    ['a reference', { tasks: [{ ...task, input: { x: { $from: 'b' } } }] }, 'tasks[0].input.x.$from'],
    ['compensation', { tasks, onFailure: 'compensate' }, 'onFailure'],
    ['voters', { tasks, voters: { n: 3 } }, 'voters'],
    ['no weight', { tasks, options: { weights: { cost: 0 } } }, 'options.weights'],
  ])('%s', (_, body, path) => {
    const workflow = createWorkflowSchema.parse({ pattern: 'auction', ...body });
    expect(auction.check(workflow, auction.options.parse(workflow.options))).toMatchObject({ path });
  });
});

it('auctions 1,000 tasks', () => {
  const body = { tasks: Array.from({ length: 1_000 }, (_, at) => ({ id: `t${at}`, capability: 'parts.make' })) };
  const { workflow, options } = prepare(auction, body);
  let verdict = auction.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
  const coming: CoordinationEvent[] = [];
  let ended = false;
  for (let atMs = 1; !ended; atMs++) {
    for (const command of verdict.commands) {
      if (command.type === 'find') coming.push({ type: 'found', atMs, key: command.key, agents: agents('ann', 'bob') });
      if (command.type === 'call')
        for (const agentId of command.agents) coming.push({ ...command, type: 'bid', atMs, agentId, bid: { cost: 1 } });
      if (command.type === 'schedule')
        coming.push({
          type: 'step.completed',
          atMs,
          step: command.step,
          round: command.round,
          output: 1,
          taskId: 't',
          agentId: null,
          attempts: 1,
          startedAtMs: 0,
        });
      if (command.type === 'end') ended = true;
    }
    const next = coming.shift();
    if (next) verdict = auction.decide(workflow, options, verdict.state, next);
    else break;
  }
  expect(ended).toBe(true);
});
