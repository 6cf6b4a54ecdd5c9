// Thousands of seeded votes: answers in any order, lost, late, doubled; crashes between events. Counted again by simpler means.

import { describe, expect, it } from 'vitest';
import { consensus } from '../../patterns/consensus.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { strategyConformance } from '../../runtime/testing/conformance.ts';
import { type Outcome, type SimulationResult, seededRandom, simulate } from '../kit/coordination-simulator.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);
const task = { capability: 'fact.verify', input: { claim: 'x' } };

interface Output {
  decision: unknown;
  agreement: number;
  votes: { voter: string; round: number; ballot: unknown; reason?: string }[];
  dissent: { voters: string[] }[];
  rounds: number;
}
const outputOf = (result: SimulationResult): Output => result.end.output as Output;

/** A voter leans towards A; a few crash, a few never answer, a few say nothing of use. */
function opinion(step: string, _round: number, random: () => number): Outcome {
  if (step === 'judge') return random() < 0.2 ? { fails: 'by chance' } : { output: { decision: 'a' } };
  if (step === 'tie') return random() < 0.2 ? { fails: 'expired', code: 'input_expired' } : { output: 'a' };
  const drawn = random();
  if (drawn < 0.1) return { fails: 'by chance', state: 'timed_out' };
  if (drawn < 0.15) return 'never';
  if (drawn < 0.2) return { output: {} };
  const order = random() < 0.5 ? ['a', 'b', 'c'] : random() < 0.5 ? ['b', 'a'] : ['c', 'b', 'a'];
  return { output: { first: order[0], order, number: Math.floor(random() * 4) } };
}

const RULES = [
  { ballot: 'first' },
  { ballot: 'first', rounds: 2 },
  { ballot: 'first', tie: 'judge', judge: 'fact.judge' },
  { ballot: 'first', tie: 'ask', rule: 'unanimity', rounds: 1 },
  { ballot: 'first', rule: { supermajority: 0.66 }, rounds: 1 },
  { ballot: 'first', rule: { weighted: { 'agent-1': 2.5, 'agent-2': 0.5 } }, rounds: 1 },
  { ballot: 'order', rule: { ranked: 'borda' }, choices: ['a', 'b', 'c'] },
  { ballot: 'order', rule: { ranked: 'irv' } },
  { ballot: 'number', rule: { median: { trim: 0.2 } } },
  { ballot: 'number', rule: { median: {} } },
  { ballot: 'first', rule: { judge: 'fact.judge' }, rounds: 1 },
] as const;

/** At most one vote per round and voter, and the output agrees with itself. */
function checkVotes(result: SimulationResult, body: CreateWorkflow): void {
  const { decision, votes, dissent, rounds, agreement } = outputOf(result);
  const names = votes.map(({ round, voter }) => `${round}/${voter}`);
  expect(new Set(names).size).toBe(names.length);
  const voters = (body.voters as { n: number } | undefined)?.n ?? 5;
  if (rounds > 0) expect(votes).toHaveLength(rounds * voters);
  const decided = result.end.stopReason === 'decided';
  expect(decision === null).toBe(!decided);
  expect(result.decisions.filter(({ kind }) => kind === 'stop')).toHaveLength(1);
  const valid = votes.filter(({ round, ballot }) => round === rounds - 1 && ballot !== null);
  if (!decided) return;
  expect(valid.length).toBeGreaterThanOrEqual(Number(body.options?.quorum ?? Math.floor(voters / 2) + 1));
  expect(agreement).toBeGreaterThanOrEqual(0);
  expect(agreement).toBeLessThanOrEqual(1);
  const against = dissent.flatMap((one) => one.voters);
  expect(new Set(against).size).toBe(against.length);
  if (!('rule' in (body.options ?? {}))) {
    const agree = valid.filter(({ ballot }) => ballot === decision).length;
    expect(agreement).toBeCloseTo(agree / valid.length);
    expect(against).toHaveLength(valid.length - agree);
  }
}

describe('a vote under a random scheduler', () => {
  it(`keeps its promises for ${SEEDS} seeds`, () => {
    const bodies = RULES.flatMap((options): CreateWorkflow[] => [
      { task, voters: { n: 5 }, options },
      { task, voters: { n: 7 }, options: { ...options, quorum: 2 } },
    ]);
    const report = strategyConformance(consensus, {
      bodies,
      seeds: Math.ceil(SEEDS / bodies.length),
      outcome: opinion,
      inspect: checkVotes,
    });
    for (const kind of [
      'completed:decided',
      'failed:no_quorum',
      'failed:tie',
      'failed:rounds_used_up',
      'failed:judge_failed',
      'failed:deadline',
      'cancelled:cancelled',
    ])
      expect(report.ends[kind], `${kind} of ${JSON.stringify(report.ends)}`).toBeGreaterThan(2);
  });
});

/** The first event after which the plain count cannot change any more: the most is ahead by more than all who are out. */
function decidedAfter({ journal }: SimulationResult, voters: number): number {
  const seen = new Map<string, unknown>();
  for (const [at, event] of journal.entries()) {
    if (event.type === 'timer') return at + 1;
    if (event.type !== 'step.completed' && event.type !== 'step.failed') continue;
    if (!seen.has(event.step)) seen.set(event.step, event.type === 'step.completed' ? event.output : null);
    const ballots = [...seen.values()].filter((one) => one !== null);
    const open = voters - seen.size;
    const quorum = Math.floor(voters / 2) + 1;
    if (ballots.length + open < quorum) return at + 1;
    const counts = ['a', 'b', 'c', 'unseen']
      .map((name) => ballots.filter((one) => one === name).length)
      .sort((x, y) => y - x);
    if (ballots.length >= quorum && (counts[0] ?? 0) > (counts[1] ?? 0) + open) return at + 1;
    if (open === 0) return at + 1;
  }
  return journal.length;
}

it('ends at the first event that decides, in every run', () => {
  let early = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const voters = 3 + Math.floor(seededRandom(seed)() * 7);
    const result = simulate(
      consensus,
      { task, voters: { n: voters } },
      {
        seed,
        outcome: (_step, _round, random) =>
          random() < 0.15 ? { fails: 'by chance' } : { output: random() < 0.6 ? 'a' : random() < 0.5 ? 'b' : 'c' },
      },
    );
    expect(result.endedAfter, `seed ${seed}`).toBe(decidedAfter(result, voters));
    if (result.cancelled.length > 0) early += 1;
  }
  expect(early).toBeGreaterThan(SEEDS / 3);
});

it('decides the same whatever the order of the ballots, as far as it waits for them', () => {
  for (let seed = 1; seed <= 200; seed++) {
    const drawn = seededRandom(seed);
    const opinions = Array.from({ length: 7 }, () => Math.floor(drawn() * 5));
    const runs = [1, 2, 3].map((shuffle) =>
      simulate(
        consensus,
        { task, voters: { n: 7 }, options: { rule: { median: { trim: 0.3 } } } },
        // timers only after all answers: otherwise who is late is part of the input
        { seed: shuffle, outcome: (step) => ({ output: opinions[Number(step.slice(5)) - 1] }) },
      ),
    );
    const whole = runs.filter((run) => outputOf(run).votes.every(({ reason }) => reason === undefined));
    expect(
      new Set(whole.map((run) => JSON.stringify([outputOf(run).decision, outputOf(run).dissent]))).size,
    ).toBeLessThanOrEqual(1);
  }
});
