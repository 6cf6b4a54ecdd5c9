// The seven patterns as somebody outside meets them: a node in a process of its own, a token, bodies as they are documented.

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { WorkflowView } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { type RestNode, restNode, STORES } from '../kit/rest-node.ts';

const once = { maxAttempts: 1 };
const probe = (id: string, input: object = {}, more: object = {}) => ({ id, capability: 'probe.run', input, ...more });
const documents = [
  { name: 'actors.md', text: 'Actors exchange messages.\n\nAn actor is supervised: its supervisor restarts it.' },
  { name: 'queues.md', text: 'A queue keeps tasks.\n\nA task in a queue waits until an actor has a place for it.' },
];

interface Vote {
  voter: string;
  agentId: string;
  ballot: unknown;
  abstained?: boolean;
}
interface Bid {
  agentId: string;
  name: string | null;
  round: number;
  bid: { cost: number } | null;
  score: number | null;
  outcome: string;
}
interface Award {
  task: string;
  winner: string | null;
  price: number | null;
  secondPrice: number | null;
  result: unknown;
  bids: Bid[];
}
interface Item {
  index: number;
  status: string;
  result: { answer: unknown } | null;
  stage?: string;
}
interface Stage {
  id: string;
  buffer: number;
  queued: number;
  held: number;
  running: number;
}

describe.each(STORES)('over REST, on %s', (_store, database) => {
  let rest: RestNode;
  beforeAll(async () => {
    rest = await restNode(await database());
  });
  afterEach(() => rest.dismiss());
  afterAll(() => rest.stop());

  const crew = (configs: readonly object[], type = 'probe') =>
    Promise.all(configs.map((config) => rest.agent(type, { ...config })));
  const workers = (count: number) => crew(Array.from({ length: count }, () => ({})));
  const outputOf = <T>({ output }: WorkflowView): T => output as T;
  const awardsOf = (view: WorkflowView) => outputOf<{ awards: Award[] }>(view).awards;
  const itemsOf = (view: WorkflowView) => outputOf<{ items: Item[] }>(view).items;
  interface Decided {
    readonly seq: number;
    readonly kind: string;
    readonly rule: string;
    readonly chosen: string;
  }
  const decisionsOf = async (id: string): Promise<Decided[]> => {
    const all: Decided[] = [];
    for (;;) {
      const page = `/workflows/${id}/decisions?limit=500&after=${all.at(-1)?.seq ?? 0}`;
      const items = (await rest.api('GET', page)).body.items as Decided[];
      if (items.length === 0) return all;
      all.push(...items);
    }
  };

  describe('bodies as documented', () => {
    const bodies: [pattern: string, body: object, output: object][] = [
      [
        'sequential',
        {
          pattern: 'sequential',
          tasks: [
            { id: 'a', capability: 'document.search', input: { question: 'Who restarts an actor?', documents } },
            {
              id: 'b',
              capability: 'report.write',
              input: { question: 'Who restarts an actor?', searches: [{ $from: 'a' }] },
              dependsOn: ['a'],
            },
          ],
        },
        {
          a: { passages: expect.any(Array) },
          b: { markdown: expect.any(String) },
          sink: { mode: expect.any(String) },
        },
      ],
      [
        'parallel',
        {
          pattern: 'parallel',
          tasks: [probe('a', { answer: 1 }), probe('b', { answer: 2 })],
          options: { join: 'all', maxConcurrency: 10 },
        },
        { a: { answer: 1 }, b: { answer: 2 }, sink: [{ answer: 1 }, { answer: 2 }] },
      ],
      [
        'pipeline',
        {
          pattern: 'pipeline',
          stages: [
            {
              id: 'clean',
              capability: 'probe.run',
              concurrency: 2,
              buffer: 8,
              input: { answer: { doc: { $item: '' } } },
            },
          ],
          items: ['x', 'y'],
          options: { ordered: true, maxFailedItems: 1 },
        },
        {
          items: ['x', 'y'].map((doc, index) => ({
            index,
            status: 'completed',
            result: { answer: { doc } },
            stages: { clean: { answer: { doc } } },
          })),
        },
      ],
      [
        'hierarchical',
        {
          pattern: 'hierarchical',
          goal: 'Who restarts an actor?',
          input: { documents },
          coordinator: { capability: 'plan.make' },
          options: { maxRounds: 5, maxDepth: 3, maxSubtasks: 50 },
        },
        { result: { report: { markdown: expect.any(String) } }, plan: { rounds: expect.any(Array) } },
      ],
      [
        'consensus',
        {
          pattern: 'consensus',
          task: { capability: 'fact.verify', input: { claim: 'Actors exchange messages', documents } },
          voters: { n: 5 },
          options: { rule: 'majority', ballot: 'verdict', quorum: 3, rounds: 0, tie: 'fail' },
        },
        { decision: 'supported', agreement: 1, votes: expect.any(Array), dissent: [], rounds: 1 },
      ],
      [
        'auction',
        {
          pattern: 'auction',
          tasks: [probe('a', { bid: 7 })],
          options: {
            replyByMs: 5_000,
            maxRounds: 3,
            noBids: 'fail',
            weights: { cost: 1, etaMs: 0, confidence: 0 },
          },
        },
        {
          awards: [
            { task: 'a', winner: expect.stringMatching(/^agt_/), price: 7, secondPrice: 7, bids: expect.any(Array) },
          ],
        },
      ],
      [
        'swarm',
        {
          pattern: 'swarm',
          objective: { capability: 'function.evaluate', input: { function: 'rastrigin' } },
          options: {
            mode: 'pso',
            bounds: [
              [-5, 5],
              [-5, 5],
            ],
            agents: 20,
            seed: 1,
            maxIterations: 10,
            maxEvaluations: 5000,
            target: 0.001,
            stagnation: { iterations: 20, epsilon: 1e-6 },
            minAlive: 0.5,
            synchronous: false,
          },
        },
        { best: [expect.any(Number), expect.any(Number)], bestScore: expect.any(Number), history: expect.any(Array) },
      ],
      [
        'swarm of ants',
        {
          pattern: 'swarm',
          objective: { capability: 'path.cost' },
          options: {
            mode: 'aco',
            graph: {
              nodes: ['a', 'b', 'c'],
              edges: [
                ['a', 'b', 1],
                ['b', 'c', 1],
                ['a', 'c', 1],
              ],
            },
            evaporation: 0.1,
            agents: 3,
            maxIterations: 3,
          },
        },
        { bestScore: 3 },
      ],
    ];

    test.each(bodies)('%s runs and answers in its shape', async (_name, body, output) => {
      await workers(3);
      await Promise.all(['research', 'analysis', 'generation', 'planner'].map((type) => rest.agent(type)));
      const common = { name: 'as documented', deadlineMs: 90_000, budget: { calls: 1_000 } };
      const view = await rest.ran({ ...common, ...body });
      expect(view, JSON.stringify(view.error)).toMatchObject({ name: 'as documented', status: 'completed', output });
      expect(view.stopReason).toEqual(expect.any(String));
      expect(view.progress.done).toBe(view.progress.total);
      expect(view.tasks.length).toBeGreaterThan(0);
      for (const task of view.tasks)
        expect(task).toMatchObject({ id: expect.any(String), state: expect.any(String), dependsOn: expect.any(Array) });
      expect(view.metrics).toMatchObject({
        wallMs: expect.any(Number),
        workMs: expect.any(Number),
        criticalPathMs: expect.any(Number),
        speedup: expect.any(Number),
        overheadMs: expect.any(Number),
        messages: { total: expect.any(Number) },
      });
      const decisions = await decisionsOf(view.id);
      expect(decisions.at(-1)).toMatchObject({ kind: 'stop', chosen: `completed:${view.stopReason}` });
    });
  });

  describe('sequential', () => {
    test('hands on what it found, and skips what waits for a failure', async () => {
      await workers(2);
      const next = probe('b', { answer: { $from: 'a.answer' } }, { dependsOn: ['a'] });
      const good = await rest.ran({ pattern: 'sequential', tasks: [next, probe('a', { answer: 'seen' })] });
      expect(good.output).toMatchObject({ b: { answer: 'seen' }, sink: { answer: 'seen' } });
      const started = good.tasks.map(({ startedAt }) => String(startedAt));
      expect((started[1] ?? '') < (started[0] ?? '')).toBe(true);

      const bad = await rest.ran({
        pattern: 'sequential',
        tasks: [
          probe('research'),
          probe('analysis', { failTimes: 9 }, { dependsOn: ['research'], retry: once }),
          probe('report', {}, { dependsOn: ['analysis'] }),
        ],
      });
      expect(bad).toMatchObject({ status: 'failed', stopReason: 'step_failed', error: { code: expect.any(String) } });
      expect(bad.tasks.map(({ id, state, reason }) => [id, state, reason])).toEqual([
        ['research', 'completed', undefined],
        ['analysis', 'failed', undefined],
        ['report', 'skipped', 'upstream_failed'],
      ]);
    });

    test('goes on with unrelated tasks under "continue", and undoes in reverse under "compensate"', async () => {
      await workers(1);
      const failing = probe('broken', { failTimes: 9 }, { retry: once });
      const partial = await rest.ran({ tasks: [failing, probe('other', { answer: 1 })], onFailure: 'continue' });
      expect(partial).toMatchObject({ status: 'partial', output: { other: { answer: 1 } } });
      const undo = (id: string) =>
        probe(
          id,
          { answer: id },
          { compensate: { capability: 'probe.run', input: { answer: { $from: `${id}.answer` } } } },
        );
      const undone = await rest.ran({
        tasks: [undo('first'), undo('second'), { ...failing, dependsOn: ['second'] }],
        onFailure: 'compensate',
      });
      expect(undone).toMatchObject({ status: 'failed', stopReason: 'compensated' });
      expect(undone.tasks.slice(3).map(({ id, state }) => `${id} ${state}`)).toEqual([
        'second:undo completed',
        'first:undo completed',
      ]);
    });
  });

  describe('parallel', () => {
    const tasks = Array.from({ length: 10 }, (_, at) => probe(`t${at}`, { answer: at, sleepMs: at < 3 ? 0 : 20_000 }));
    const stateCounts = ({ tasks: steps }: WorkflowView) => {
      const counts: Record<string, number> = {};
      for (const { state } of steps) counts[state] = (counts[state] ?? 0) + 1;
      return counts;
    };

    test('a race cancels nine', async () => {
      await workers(10);
      const view = await rest.ran({
        pattern: 'parallel',
        tasks: tasks.map((task, at) => (at === 1 ? task : { ...task, input: { sleepMs: 20_000 } })),
        options: { join: 'race' },
      });
      expect(view).toMatchObject({
        status: 'completed',
        stopReason: 'join_satisfied',
        output: { sink: { answer: 1 } },
      });
      expect(stateCounts(view)).toEqual({ completed: 1, cancelled: 9 });
    });

    test('a quorum of three ends at the third', async () => {
      await workers(10);
      const view = await rest.ran({ pattern: 'parallel', tasks, options: { join: { quorum: 3 } } });
      expect(view).toMatchObject({ status: 'completed', stopReason: 'join_satisfied' });
      expect(stateCounts(view)).toEqual({ completed: 3, cancelled: 7 });
    });

    test('200 tasks of a random graph keep their order', async () => {
      await workers(4);
      let seed = 7;
      const random = () => {
        seed = (seed * 48_271) % 2_147_483_647;
        return seed / 2_147_483_647;
      };
      const graph = Array.from({ length: 200 }, (_, at) => {
        const dependsOn = new Set(
          Array.from({ length: at === 0 ? 0 : 3 }, () => `n${Math.floor(random() * at)}`).filter(() => random() < 0.6),
        );
        return probe(`n${at}`, {}, { dependsOn: [...dependsOn] });
      });
      const view = await rest.ran({ pattern: 'parallel', tasks: graph.toReversed() });
      expect(view).toMatchObject({ status: 'completed', progress: { done: 200, total: 200 } });
      const steps = new Map(view.tasks.map((step) => [step.id, step]));
      const early = view.tasks.filter(({ startedAt, dependsOn }) =>
        dependsOn.some((id) => String(steps.get(id)?.endedAt) > String(startedAt)),
      );
      expect(early.map(({ id }) => id)).toEqual([]);
    });
  });

  describe('pipeline', () => {
    const pass = { answer: { $item: 'answer' } };
    const stages = [
      { id: 'ingest', capability: 'probe.run', concurrency: 2, input: { answer: { $item: 'n' } } },
      {
        id: 'process',
        capability: 'probe.run',
        retry: once,
        input: { ...pass, failTimes: { $from: 'item.fails' }, sleepMs: 20 },
        buffer: 2,
      },
      { id: 'analyse', capability: 'probe.run', concurrency: 2, input: pass, buffer: 2 },
      { id: 'output', capability: 'probe.run', input: pass },
    ];
    const stagesOf = ({ picture }: WorkflowView) => (picture as { stages: Stage[] } | undefined)?.stages ?? [];

    test('keeps the order of 39 of 40 items, the poisoned one is a dead letter, no queue is longer than it may be', async () => {
      await workers(6);
      const items = Array.from({ length: 40 }, (_, n) => ({ n, fails: n === 17 ? 9 : 0 }));
      const { id } = await rest.create({ pattern: 'pipeline', stages, items });
      await rest.api('POST', `/workflows/${id}/start`);
      const over: Stage[] = [];
      const view = await eventually(
        async () => {
          const seen = await rest.view(id);
          over.push(...stagesOf(seen).filter(({ queued, buffer }, at) => at > 0 && queued > buffer));
          return seen.endedAt !== null && seen;
        },
        `${id} to end`,
        100_000,
      );
      expect(over).toEqual([]);
      expect(view).toMatchObject({ status: 'partial', stopReason: 'all_done', progress: { done: 40, total: 40 } });
      expect(itemsOf(view).map(({ result }) => result?.answer ?? null)).toEqual(
        items.map(({ n }) => (n === 17 ? null : n)),
      );
      expect(itemsOf(view)[17]).toMatchObject({ index: 17, status: 'dead_letter', stage: 'process' });
    });

    test('takes items while it runs, and none once its source is closed', async () => {
      await workers(2);
      const { id } = await rest.create({ pattern: 'pipeline', stages: stages.slice(0, 1), open: true });
      const append = (body: object) => rest.api('POST', `/workflows/${id}/items`, body);
      expect((await append({ items: [{ n: 0 }] })).status).toBe(409);
      await rest.api('POST', `/workflows/${id}/start`);
      expect((await append({ items: [{ n: 'a' }, { n: 'b' }], id: 'batch' })).status).toBe(202);
      expect((await append({ items: [{ n: 'a' }, { n: 'b' }], id: 'batch' })).status).toBe(202);
      await eventually(async () => (await rest.view(id)).progress.done === 2);
      expect((await append({ items: [{ n: 'c' }], end: true })).status).toBe(202);
      expect(itemsOf(await rest.ended(id)).map(({ result }) => result?.answer)).toEqual(['a', 'b', 'c']);
      expect(await append({ items: [{ n: 'd' }] })).toMatchObject({ status: 409, body: { code: 'workflow_state' } });
      const fork = await rest.api('POST', `/workflows/${id}/fork`, { fromStep: 'ingest' });
      const again = await rest.ended(String(fork.body.id));
      expect(again.status).toBe('completed');
      expect(itemsOf(again).map(({ result }) => result?.answer)).toEqual(['a', 'b', 'c']);
    });
  });

  test('a hierarchy plans around a subordinate that failed, and its coordinator does none of the work', async () => {
    await workers(3);
    const boss = await rest.agent('chief');
    const view = await rest.ran({
      pattern: 'hierarchical',
      goal: 'five parts',
      coordinator: { capability: 'chief.plan' },
    });
    expect(view, JSON.stringify(view.error)).toMatchObject({ status: 'completed', stopReason: 'plan_done' });
    expect(outputOf<{ result: unknown }>(view).result).toEqual({
      goal: 'five parts',
      parts: ['s1', 's2', 's3-again', 's4', 's5'],
    });
    const { plan } = outputOf<{ plan: { rounds: { tasks: { id: string; status: string }[] }[] } }>(view);
    expect(plan.rounds.map(({ tasks }) => tasks.map(({ id, status }) => `${id} ${status}`))).toEqual([
      ['s1 completed', 's2 completed', 's3 failed', 's4 completed', 's5 completed'],
      ['s3-again completed'],
    ]);
    const subtasks = view.tasks.filter(({ id }) => id !== 'plan');
    expect(subtasks.filter(({ agentId }) => agentId === boss.id)).toEqual([]);
  });

  describe('consensus', () => {
    const vote = (voters: readonly { id: string }[], options: object = {}) => ({
      pattern: 'consensus',
      task: { capability: 'probe.run', input: {}, retry: once },
      voters: { agents: voters.map(({ id }) => id) },
      options: { ballot: 'answer', voteByMs: 60_000, ...options },
    });

    test('A, A, B, A and silence: A, agreement .75, dissent B', async () => {
      // the last A comes when the others are in, so that three equal do not decide before
      const voters = await crew([
        { answer: 'A', sleepMs: 500 },
        { answer: 'A', sleepMs: 500 },
        { answer: 'B' },
        { answer: 'A', sleepMs: 3_000 },
        { failTimes: 9 },
      ]);
      const view = await rest.ran(vote(voters));
      expect(view).toMatchObject({
        status: 'completed',
        stopReason: 'decided',
        output: {
          decision: 'A',
          agreement: 0.75,
          dissent: [{ ballot: 'B', voters: ['vote-3'] }],
          rounds: 1,
        },
      });
      const { votes } = outputOf<{ votes: Vote[] }>(view);
      expect(votes.map(({ agentId }) => agentId)).toEqual(voters.map(({ id }) => id));
      expect(votes[4]).toMatchObject({ ballot: null, abstained: true });
    });

    test('three equal first answers cancel the rest', async () => {
      const late = { answer: 'no', sleepMs: 60_000 };
      const view = await rest.ran(
        vote(await crew([{ answer: 'yes' }, { answer: 'yes' }, { answer: 'yes' }, late, late])),
      );
      expect(view.output).toMatchObject({ decision: 'yes', agreement: 1 });
      expect(view.tasks.map(({ state }) => state)).toEqual([
        ...['completed', 'completed', 'completed'],
        ...['cancelled', 'cancelled'],
      ]);
    });

    test('two of five alive and a quorum of three: no_quorum', async () => {
      const dead = { failTimes: 9 };
      const voters = await crew([{ answer: 1 }, { answer: 1 }, dead, dead, dead]);
      const view = await rest.ran(vote(voters, { quorum: 3 }));
      expect(view).toMatchObject({ status: 'failed', stopReason: 'no_quorum', output: { decision: null } });
    });

    test('a tie fails, or a judge or a person breaks it', async () => {
      const voters = await crew([{ answer: 'yes' }, { answer: 'no' }]);
      expect(await rest.ran(vote(voters, { tie: 'fail' }))).toMatchObject({ status: 'failed', stopReason: 'tie' });

      await rest.agent('judge');
      const judged = await rest.ran(vote(voters, { tie: 'judge', judge: 'judge.decide' }));
      expect(judged).toMatchObject({ status: 'completed', output: { decision: 'yes', agreement: 0.5 } });

      const { id } = await rest.create(vote(voters, { tie: 'ask' }));
      await rest.api('POST', `/workflows/${id}/start`);
      const [asked] = await eventually(async () => {
        const open = (await rest.api('GET', `/workflows/${id}/inputs?state=open`)).body.items as Record<
          string,
          unknown
        >[];
        return open.length > 0 && open;
      });
      expect(asked).toMatchObject({ kind: 'input', schema: { enum: expect.arrayContaining(['yes', 'no']) } });
      const answerAt = String(asked?.answerAt).replace('/api/agents', '');
      expect(await rest.api('POST', answerAt, { value: 'perhaps' })).toMatchObject({
        status: 422,
        body: { errors: [{ path: 'value' }] },
      });
      expect((await rest.api('POST', answerAt, { value: 'no' })).body).toMatchObject({
        state: 'answered',
        value: 'no',
      });
      expect((await rest.ended(id)).output).toMatchObject({ decision: 'no' });
      expect((await rest.api('POST', answerAt, { value: 'yes' })).status).toBe(409);
    });
  });

  describe('auction', () => {
    const options = { replyByMs: 10_000, maxConcurrency: 4 };

    test('the cheapest wins, a hundred times of a hundred, and the book has every bid', async () => {
      const bidders = await crew([{ bid: 12 }, { bid: 11 }, { bid: 13 }, {}]);
      const tasks = Array.from({ length: 100 }, (_, at) => probe(`lot${at}`, { answer: at }));
      const view = await rest.ran({ pattern: 'auction', tasks, options: { ...options, replyByMs: 60_000 } });
      expect(view).toMatchObject({ status: 'completed', stopReason: 'all_done' });
      const awards = awardsOf(view);
      expect(awards.map(({ winner }) => winner)).toEqual(tasks.map(() => bidders[1]?.id));
      expect(new Set(awards.map(({ price, secondPrice }) => `${price} ${secondPrice}`))).toEqual(new Set(['11 12']));
      for (const { bids } of awards) {
        const book = new Map(bids.map(({ agentId, outcome, score }) => [agentId, [outcome, score]]));
        expect(bidders.map(({ id }) => book.get(id))).toEqual([
          ['lost', 12],
          ['won', 11],
          ['lost', 13],
          ['refused', null],
        ]);
      }
    });

    test('a late bid is late, however low', async () => {
      const [prompt] = await crew([{ cost: 9, workMs: 4_000 }], 'merchant');
      const [tardy] = await crew([{ cost: 1, bidMs: 2_500 }], 'merchant');
      const view = await rest.ran({
        pattern: 'auction',
        tasks: [{ id: 'a', capability: 'merchant.deliver' }],
        options: { replyByMs: 2_000 },
      });
      expect(view).toMatchObject({ status: 'completed' });
      const [award] = awardsOf(view);
      expect(award).toMatchObject({ winner: prompt?.id, price: 9, secondPrice: null });
      expect(award?.bids.find(({ agentId }) => agentId === tardy?.id)).toMatchObject({ outcome: 'late' });
    });

    test('a winner that crashes is followed by the runner-up', async () => {
      const [first, second] = await crew([{ bid: 1, exit: 'throw' }, { bid: 2 }]);
      const view = await rest.ran({ pattern: 'auction', tasks: [probe('a')], options });
      const [award] = awardsOf(view);
      expect(award).toMatchObject({ winner: second?.id, price: 2 });
      expect(award?.bids.find(({ agentId }) => agentId === first?.id)).toMatchObject({ outcome: 'failed' });
    });

    test('nobody bids: no_bids, or the task is given away', async () => {
      await workers(2);
      const body = { pattern: 'auction', tasks: [probe('a', { answer: 'done' })] };
      expect(await rest.ran({ ...body, options })).toMatchObject({ status: 'failed', stopReason: 'no_bids' });
      const direct = await rest.ran({ ...body, options: { ...options, noBids: 'direct' } });
      expect(awardsOf(direct)).toMatchObject([{ price: null, result: { answer: 'done' } }]);
    });
  });

  describe('swarm', () => {
    const sphere = (options: object, more: object = {}) => ({
      pattern: 'swarm',
      objective: { capability: 'function.evaluate', input: { function: 'sphere' } },
      options: { bounds: Array.from({ length: 5 }, () => [-10, 10]), agents: 20, seed: 1, ...options },
      ...more,
    });

    test('finds the minimum of the sphere in five dimensions', async () => {
      await crew([{}, {}], 'analysis');
      const view = await rest.ran(sphere({ maxIterations: 100, target: 1e-3 }));
      expect(view).toMatchObject({ status: 'completed', stopReason: 'target_reached' });
      expect(view.output).toMatchObject({ bestScore: expect.toSatisfy((score) => score <= 1e-3) });
      expect(outputOf<{ evaluations: number }>(view).evaluations).toBeLessThanOrEqual(2_000);
    });

    test('has the same history for the same seed, when it is synchronous', async () => {
      await crew([{}, {}, {}], 'analysis');
      const limits = { maxIterations: 5, agents: 6 };
      const views = [
        await rest.ran(sphere({ ...limits, synchronous: true })),
        await rest.ran(sphere(limits, { synchronous: true })),
        await rest.ran(sphere({ ...limits, seed: 2, synchronous: true })),
      ];
      expect(views[1]?.output).toEqual(views[0]?.output);
      expect(views[2]?.output).not.toEqual(views[0]?.output);
    });

    test('stops when it gains nothing', async () => {
      await rest.agent('analysis');
      // no gain is above 1e9
      const view = await rest.ran(
        sphere({ agents: 4, maxIterations: 1_000, stagnation: { iterations: 3, epsilon: 1e9 } }),
      );
      expect(view).toMatchObject({ status: 'completed', stopReason: 'stagnation' });
      expect(outputOf<{ evaluations: number }>(view).evaluations).toBeLessThan(40);
    });
  });
});
