import { describe, expect, test } from 'vitest';
import {
  countTasks,
  readBidBook,
  readJoin,
  readOrder,
  readPipeline,
  readPlan,
  readSwarm,
  readVotes,
  scatter,
} from '../../../../../../http/inspector/views/workflows/pictures/model.ts';

test.each([undefined, null, 7, 'x', [], {}, { lots: 3, stages: {}, rounds: 'x', members: [null], ballots: [1] }])(
  'a picture of another making is read as an empty one: %j',
  (picture) => {
    for (const read of [readBidBook, readJoin, readOrder, readPipeline, readPlan, readSwarm, readVotes])
      expect(() => read(picture)).not.toThrow();
  },
);

test('the bid book stands by score, those without one last', () => {
  const bid = (agentId: string, score: number | null, outcome: string, round = 0) => ({
    agentId,
    name: agentId,
    round,
    bid: score === null ? null : { cost: score, etaMs: 5, confidence: 0.5 },
    score,
    outcome,
  });
  const bids = [bid('c', 9, 'lost'), bid('a', null, 'refused'), bid('b', 2, 'won'), bid('d', null, 'late', 1)];
  const { lots } = readBidBook({ lots: [{ task: 't', phase: 'done', winner: 'b', price: 2, bids }] });
  expect(lots[0]?.bids.map(({ agentId, cost, outcome }) => [agentId, cost, outcome])).toEqual([
    ['b', 2, 'won'],
    ['c', 9, 'lost'],
    ['a', null, 'refused'],
    ['d', null, 'late'],
  ]);
});

describe('a vote', () => {
  const picture = {
    rule: 'majority',
    quorum: 2,
    round: 1,
    rounds: 2,
    decision: 'A',
    agreement: 0.5,
    dissent: ['vote-2'],
    standings: [{ id: 'A', score: 2 }],
    ballots: [
      { voter: 'vote-1', agentId: 'agt_1', state: 'cast', ballot: 'A', weight: 1 },
      { voter: 'vote-2', agentId: 'agt_2', state: 'cast', ballot: 'B', weight: 1 },
      { voter: 'vote-3', agentId: null, state: 'abstained', reason: 'timed_out' },
    ],
    past: [
      { voter: 'vote-1', round: 0, agentId: 'agt_1', ballot: 'B' },
      { voter: 'vote-3', round: 0, agentId: null, ballot: null, reason: 'failed' },
    ],
  };

  test('has its ballots by round, the oldest first, with dissent and abstentions', () => {
    const { rounds, limit } = readVotes(picture);
    expect(limit).toBe(2);
    expect(rounds.map(({ round, ballots }) => [round, ballots.length])).toEqual([
      [0, 2],
      [1, 3],
    ]);
    expect(rounds[1]?.ballots.map(({ dissents, state }) => [dissents, state])).toEqual([
      [false, 'cast'],
      [true, 'cast'],
      [false, 'abstained'],
    ]);
    expect(rounds[0]?.ballots[1]).toMatchObject({ state: 'abstained', reason: 'failed' });
  });
});

test('members of a swarm are placed within the extent of all; the second axis grows upwards', () => {
  const members = [
    { id: 'p1', iteration: 1, score: 1, x: [0, 0] },
    { id: 'p2', iteration: 1, score: 2, x: [10, 5] },
    { id: 'p3', iteration: 1, score: 3, x: [5, 5] },
    { id: 'blind', iteration: 0, score: null, x: [1] },
  ];
  expect(scatter(members, [0, 1]).map(({ id, x, y }) => [id, x, y])).toEqual([
    ['p1', 0, 1],
    ['p2', 1, 0],
    ['p3', 0.5, 0],
  ]);
});

test('a plan is a tree of rounds and subtasks, with the plans of runs inside', () => {
  const inside = { goal: 'sub', rounds: [{ round: 0, tasks: [{ id: 'deep', status: 'completed' }] }] };
  const { root, limit } = readPlan({
    goal: 'all',
    turns: 2,
    limit: { name: 'maxRounds', message: '' },
    rounds: [
      {
        round: 0,
        tasks: [
          { id: 'a', status: 'failed', error: { message: 'no' } },
          { id: 'b', goal: 'sub', plan: inside },
        ],
      },
      { round: 1, tasks: [{ id: 'c', status: 'running', capability: 'x.y' }] },
    ],
  });
  expect(limit).toBe('maxRounds');
  expect(countTasks(root)).toBe(4);
  expect(root.children[0]?.children[0]).toMatchObject({ title: 'a', state: 'failed', error: 'no' });
  expect(root.children[0]?.children[1]?.children[0]?.children[0]?.title).toBe('deep');
});

test('a pipeline has its stages with their queues', () => {
  const { stages, items, deadLetters, open } = readPipeline({
    stages: [
      { id: 's', capability: 'x.y', concurrency: 2, buffer: 8, queued: 3, running: 2, held: 1, done: 9, failed: 1 },
    ],
    items: { total: 20, waiting: 4, inside: 6, completed: 9, deadLetters: 1, open: true },
    deadLetters: [{ index: 3, stage: 's', code: 'boom' }],
  });
  expect(stages[0]).toMatchObject({ queued: 3, running: 2, held: 1 });
  expect(items.inside).toBe(6);
  expect(open).toBe(true);
  expect(deadLetters).toEqual([{ item: 3, stage: 's', error: 'boom' }]);
});
