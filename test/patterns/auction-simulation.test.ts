// Thousands of seeded auctions: bids in any order, late, doubled, missing; winners that fail; crashes between events. The promises are
// checked against the journal and the commands, not against what the strategy says of itself.

import { expect, it } from 'vitest';
import { auction } from '../../patterns/auction.ts';
import type { Bid } from '../../runtime/contracts/coordination.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { strategyConformance } from '../../runtime/testing/conformance.ts';
import type { BidAnswer, Outcome, SimulationResult } from '../kit/coordination-simulator.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);

function answer(_agentId: string, _step: string, _round: number, random: () => number): BidAnswer {
  const drawn = random();
  if (drawn < 0.15) return null;
  if (drawn < 0.25) return 'late';
  if (drawn < 0.35) return 'silent';
  if (drawn < 0.4) return 'error';
  if (drawn < 0.45) return { cost: -1 };
  // few different costs, so that ties are frequent
  return { cost: Math.floor(random() * 4), etaMs: Math.floor(random() * 100), confidence: random() };
}

const outcome = (step: string, round: number, random: () => number): Outcome =>
  random() < 0.35 ? { fails: 'by chance', state: 'dead' } : { output: { step, round } };

interface Award {
  task: string;
  winner: string | null;
  price: number | null;
  secondPrice: number | null;
  bids: { agentId: string; round: number; bid: Bid | null; score: number | null; outcome: string }[];
  rounds: number;
}

/** One winner at a time per task, and never more tasks at once than allowed: read off the commands in the order of the journal. */
function checkWinners({ commands, scheduled, journal }: SimulationResult, body: CreateWorkflow): void {
  const limit = Number(body.options?.maxConcurrency ?? 10);
  const endedAt = new Map<string, number>();
  journal.forEach((event, at) => {
    if (event.type !== 'step.completed' && event.type !== 'step.failed') return;
    const key = `${event.step}/${event.round}`;
    if (!endedAt.has(key)) endedAt.set(key, at + 1);
  });
  for (const [at, one] of scheduled.entries()) {
    const task = one.key.split('/')[0];
    const before = scheduled.slice(0, at).filter(({ key }) => key.startsWith(`${task}/`));
    for (const { key } of before)
      expect(endedAt.get(key), `${key} has ended before ${one.key}`).toBeLessThanOrEqual(one.after);
    const running = scheduled.filter(
      ({ key, after }) => after <= one.after && (endedAt.get(key) ?? Infinity) > one.after,
    );
    expect(running.length).toBeLessThanOrEqual(limit);
  }
  const pinned = scheduled.filter(({ agentId }) => agentId !== undefined);
  expect(commands.filter(({ type }) => type === 'schedule').length).toBe(scheduled.length);
  if (body.options?.noBids !== 'direct') expect(pinned).toHaveLength(scheduled.length);
}

/** Every award is to the lowest bid that was in before the close, of agents that had not failed the task. */
function checkAwards({ scheduled, commands, calls, end }: SimulationResult): void {
  for (const call of calls) {
    const task = call.step.slice(0, -':call'.length);
    const before = commands.slice(0, commands.indexOf(call));
    // who had the task before was not able to do it
    for (const { key, agentId } of scheduled)
      if (
        key.startsWith(`${task}/`) &&
        agentId !== undefined &&
        before.some((one) => one.type === 'schedule' && key === `${one.step}/${one.round}`)
      )
        expect(call.agents).not.toContain(agentId);
    expect(call.round, 'the round grows').toBe(
      before.filter((one) => one.type === 'call' && one.step === call.step).length,
    );
  }
  const { awards } = end.output as { awards: Award[] };
  for (const award of awards) {
    const names = award.bids.map(({ agentId, round }) => `${agentId}/${round}`);
    expect(new Set(names).size, 'one entry per agent and round').toBe(names.length);
    expect(award.bids.filter((bid) => bid.outcome === 'won').length).toBeLessThanOrEqual(1);
    const won = award.bids.find((bid) => bid.outcome === 'won');
    if (award.winner === null || !won) continue;
    expect(won.agentId).toBe(award.winner);
    expect(award.price).toBe(won.bid?.cost);
    const others = award.bids.filter((bid) => bid.round === won.round && bid.outcome === 'lost');
    for (const other of others) expect(won.score).toBeLessThanOrEqual(other.score ?? -1);
    expect(award.secondPrice === null).toBe(others.length === 0);
    for (const failed of award.bids.filter((bid) => bid.round === won.round && bid.outcome === 'failed'))
      expect(failed.score).toBeLessThanOrEqual(won.score ?? -1);
    for (const late of award.bids.filter((bid) => bid.outcome === 'late')) expect(late.score).toBeNull();
  }
}

it(`keeps its promises for ${SEEDS} seeds`, () => {
  const task = (id: string) => ({ id, capability: 'parts.make@1' });
  const some = ['a', 'b', 'c'].map(task);
  const bodies: CreateWorkflow[] = [
    { tasks: [task('a')] },
    { tasks: some, onFailure: 'continue', options: { maxRounds: 2, weights: { cost: 1, etaMs: 0.01, confidence: 1 } } },
    { tasks: some, onFailure: 'continue', options: { maxConcurrency: 2, noBids: 'widen' } },
    { tasks: some, options: { maxConcurrency: 1, noBids: 'direct' } },
    { tasks: some, onFailure: 'continue', options: { maxRounds: 1, maxBidders: 2 } },
  ];
  let late = 0;
  let runnersUp = 0;
  let again = 0;
  const report = strategyConformance(auction, {
    bodies,
    seeds: Math.ceil(SEEDS / bodies.length),
    outcome,
    bid: answer,
    agents: (_capability, random) =>
      [1, 2, 3, 4].map((number) => ({ agentId: `agent-${number}`, name: null, load: Math.floor(random() * 3) / 2 })),
    inspect: (result, body) => {
      checkWinners(result, body);
      checkAwards(result);
      late += result.decisions.filter(({ rule }) => rule === 'late').length;
      runnersUp += result.decisions.filter(({ kind }) => kind === 'retry').length;
      again += result.decisions.filter(({ kind }) => kind === 'round').length;
    },
  });
  expect(Math.min(late, runnersUp, again), 'late bids, runners-up and further rounds all happen').toBeGreaterThan(20);
  for (const kind of [
    'completed:all_done',
    'partial:all_done',
    'failed:no_bids',
    'failed:rounds_used_up',
    'failed:deadline',
    'cancelled:cancelled',
  ])
    expect(report.ends[kind], `${kind} of ${JSON.stringify(report.ends)}`).toBeGreaterThan(2);
});

/** Read off the journal alone: a bid that came after its round was closed is never awarded. */
it('never awards a bid that came after the close', () => {
  let tempting = 0;
  strategyConformance(auction, {
    bodies: [{ tasks: [{ id: 'a', capability: 'parts.make' }], options: { maxRounds: 2 } }],
    seeds: Math.ceil(SEEDS / 4),
    bid: (agentId, _step, round) => (agentId === `agent-${round + 1}` ? { cost: 50 } : 'late'),
    outcome: (_step, round) => (round === 0 ? { fails: 'by chance' } : { output: 1 }),
    inspect: ({ scheduled, journal }) => {
      for (const { key, agentId } of scheduled) expect(agentId).toBe(`agent-${Number(key.slice(2)) + 1}`);
      tempting += journal.filter((event) => event.type === 'bid' && event.bid?.cost === 0).length;
    },
  });
  expect(tempting).toBeGreaterThan(SEEDS / 4);
});
