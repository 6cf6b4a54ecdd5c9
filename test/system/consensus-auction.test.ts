// Votes and auctions over real agents, threads and a real store: what the rules promise on paper, seen from outside.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CreateWorkflow, Troupe, WorkflowView } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { testTroupe } from '../kit/troupe.ts';

const kitAgents = fileURLToPath(new URL('../kit/actors/bidder.ts', import.meta.url));
let troupe: Troupe;
beforeAll(async () => {
  troupe = await testTroupe({ agentRoots: [kitAgents] });
});
afterAll(() => troupe.stop());

let made = 0;
/** A probe with a name of its own that does as its config says. */
async function agent(config: Record<string, unknown>) {
  made += 1;
  const ref = await troupe.agents.spawn('probe', { name: `member-${made}`, config });
  return ref;
}

async function ran(body: CreateWorkflow): Promise<WorkflowView> {
  return (await troupe.workflows.run(body)).result();
}

interface Vote {
  voter: string;
  agentId: string;
  ballot: unknown;
  reason?: string;
}
interface Award {
  task: string;
  winner: string | null;
  price: number | null;
  secondPrice: number | null;
  rounds: number;
  bids: { agentId: string; name: string; outcome: string; score: number | null }[];
}

describe('consensus', () => {
  const vote = (agents: { id: string }[], options: object = {}): CreateWorkflow => ({
    pattern: 'consensus',
    task: { capability: 'probe.run', input: {}, retry: { maxAttempts: 1 } },
    voters: { agents: agents.map(({ id }) => id) },
    options: { ballot: 'answer', voteByMs: 20_000, ...options },
  });

  test('A, A, B, A and a crash: A, agreement .75, dissent B', async () => {
    // slower than the others, so that all ballots are in before three are equal
    const members = await Promise.all([
      agent({ answer: 'B' }),
      agent({ failTimes: 9 }),
      agent({ answer: 'A', sleepMs: 300 }),
      agent({ answer: ' a ', sleepMs: 300 }),
      agent({ answer: 'A', sleepMs: 900 }),
    ]);
    const view = await ran(vote(members));
    expect(view).toMatchObject({ status: 'completed', stopReason: 'decided' });
    expect(view.output).toMatchObject({
      decision: 'A',
      agreement: 0.75,
      dissent: [{ ballot: 'B', voters: ['vote-1'] }],
    });
    const { votes } = view.output as { votes: Vote[] };
    expect(votes.map(({ agentId }) => agentId)).toEqual(members.map(({ id }) => id));
    expect(votes[1]).toMatchObject({ ballot: null, abstained: true });
  });

  test('three equal first answers cancel the rest', async () => {
    const members = await Promise.all([
      ...[1, 2, 3].map(() => agent({ answer: 'yes' })),
      ...[1, 2].map(() => agent({ answer: 'no', sleepMs: 20_000 })),
    ]);
    const view = await ran(vote(members));
    expect(view.output).toMatchObject({ decision: 'yes', agreement: 1 });
    expect(view.tasks.slice(3).map(({ state, reason }) => `${state} ${reason}`)).toEqual([
      'cancelled not_needed',
      'cancelled not_needed',
    ]);
  });

  test('two of five alive and a quorum of three: no_quorum', async () => {
    const members = await Promise.all([
      ...[1, 2].map(() => agent({ answer: 'yes' })),
      ...[1, 2, 3].map(() => agent({ failTimes: 9 })),
    ]);
    const view = await ran(vote(members, { quorum: 3 }));
    expect(view).toMatchObject({
      status: 'failed',
      stopReason: 'no_quorum',
      error: { details: { quorum: 3, voters: 5 } },
    });
  });

  test('a person breaks a tie', async () => {
    const members = await Promise.all([agent({ answer: 'yes' }), agent({ answer: 'no' })]);
    const run = await troupe.workflows.run(vote(members, { tie: 'ask' }));
    await eventually(async () => (await run.view()).tasks.some(({ id, state }) => id === 'tie' && state === 'waiting'));
    const [open] = await run.inputs();
    expect(open).toMatchObject({ kind: 'input', schema: { enum: ['yes', 'no'] } });
    await run.answer('tie', { value: 'no' });
    expect((await run.result()).output).toMatchObject({ decision: 'no', agreement: 0.5 });
  });

  test('agents that are found vote once each', async () => {
    const view = await ran({
      pattern: 'consensus',
      task: { capability: 'probe.run', input: { answer: 1 } },
      voters: { n: 5 },
      options: { ballot: 'answer' },
    });
    const { votes } = view.output as { votes: Vote[] };
    expect(new Set(votes.map(({ agentId }) => agentId)).size).toBe(5);
  });
});

describe('auction', () => {
  const task = (id: string, input: object = {}) => ({ id, capability: 'probe.run', input });
  const awardsOf = (view: WorkflowView) => (view.output as { awards: Award[] }).awards;

  test('known bids: the cheapest wins, the book has everybody', async () => {
    const members = await Promise.all([agent({ bid: 1_002 }), agent({ bid: 1_001 }), agent({ bid: 1_003 })]);
    const view = await ran({ pattern: 'auction', tasks: [task('a')], options: { replyByMs: 3_000 } });
    expect(view).toMatchObject({ status: 'completed', stopReason: 'all_done' });
    const [award] = awardsOf(view);
    expect(award).toMatchObject({ winner: members[1]?.id, price: 1_001, secondPrice: 1_002, rounds: 1 });
    const outcomes = new Map(award?.bids.map(({ agentId, outcome }) => [agentId, outcome]));
    expect(members.map(({ id }) => outcomes.get(id))).toEqual(['lost', 'won', 'lost']);
    // the others that offer the capability were asked too and have no price
    expect([...outcomes.values()].filter((one) => one === 'refused').length).toBeGreaterThan(5);
    await Promise.all(members.map((member) => member.stop({ mode: 'force' })));
  });

  test('a winner that crashes is followed by the runner-up', async () => {
    const [first, second] = await Promise.all([agent({ bid: 1, exit: 'throw' }), agent({ bid: 2 })]);
    const view = await ran({ pattern: 'auction', tasks: [task('a')], options: { replyByMs: 3_000 } });
    const [award] = awardsOf(view);
    expect(award).toMatchObject({ winner: second?.id, price: 2, rounds: 1 });
    expect(award?.bids.find(({ agentId }) => agentId === first?.id)).toMatchObject({ outcome: 'failed' });
    await Promise.all([first, second].map((member) => member?.stop({ mode: 'force' })));
  });

  test('nobody bids: no_bids', async () => {
    const view = await ran({ pattern: 'auction', tasks: [task('a'), task('b')], options: { replyByMs: 3_000 } });
    expect(view).toMatchObject({ status: 'failed', stopReason: 'no_bids' });
  });

  test('a versioned capability is called and awarded', async () => {
    const member = await agent({ bid: 5, answer: 'done' });
    const view = await ran({
      pattern: 'auction',
      tasks: [{ id: 'a', capability: 'probe.run@1' }],
      options: { replyByMs: 3_000 },
    });
    expect(awardsOf(view)[0]).toMatchObject({ winner: member.id, result: { answer: 'done' } });
    await member.stop({ mode: 'force' });
  });

  test('a bid after the close is late, however low', async () => {
    await troupe.agents.spawn('bidder', { name: 'prompt', config: { cost: 9, workMs: 3_000 } });
    await troupe.agents.spawn('bidder', { name: 'tardy', config: { cost: 1, bidMs: 1_300 } });
    const tasks = [{ id: 'a', capability: 'bidder.work' }];
    const [award] = awardsOf(await ran({ pattern: 'auction', tasks, options: { replyByMs: 1_000 } }));
    expect(award).toMatchObject({ price: 9, secondPrice: null, result: { by: 'prompt' } });
    expect(award?.bids.map(({ name, outcome }) => `${name} ${outcome}`).sort()).toEqual(['prompt won', 'tardy late']);
  });
});
