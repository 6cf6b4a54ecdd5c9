// Every shipped pattern under the kit that users run on theirs: one body per way it can go.

import { expect, it } from 'vitest';
import { auction } from '../../patterns/auction.ts';
import { consensus } from '../../patterns/consensus.ts';
import { hierarchical } from '../../patterns/hierarchical.ts';
import { parallel } from '../../patterns/parallel.ts';
import { pipeline } from '../../patterns/pipeline.ts';
import { sequential } from '../../patterns/sequential.ts';
import { swarm } from '../../patterns/swarm.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { type ConformanceOptions, strategyConformance } from '../../runtime/testing/conformance.ts';
import type { BidAnswer, Outcome, SimulationOptions, Start } from '../../runtime/testing/simulation-options.ts';
import { booking, diamond, fanOut, researchReport, richGraph, step } from '../kit/workflows.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);
const LIMIT_MS = 60_000 + SEEDS * 60;

interface Subject extends ConformanceOptions {
  /** Ways to end that the runs must have met, beside cancel and deadline. */
  readonly ends: readonly string[];
}

const subject = <Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  options: Subject,
): [string, CoordinationStrategy, Subject] => [strategy.name, strategy as CoordinationStrategy, options];

const inputOf = (command: Start) =>
  (command.type === 'schedule' ? command.task.input : null) as Record<string, unknown>;
const task = (id: string, more: object = {}) => ({ id, capability: 'probe.run', ...more });
const stage = (id: string, more: object = {}) => ({ id, capability: 'probe.run', ...more });

/** Votes of a small choice: most agree, some fail. */
const vote: SimulationOptions['outcome'] = (_step, _round, random) => {
  if (random() < 0.15) return { fails: 'by chance' };
  const verdict = random() < 0.6 ? 'yes' : random() < 0.5 ? 'no' : 'maybe';
  return {
    output: { verdict, value: Math.floor(random() * 10), order: ['a', 'b', 'c'].toSorted(() => random() - 0.5) },
  };
};

/** A coordinator that plans a chain, over what the round before gave, and is done by chance. */
const coordinator: SimulationOptions['outcome'] = (name, _round, random, command) => {
  if (name !== 'plan') return random() < 0.15 ? { fails: 'by chance' } : { output: { name } };
  const { round, final, results } = inputOf(command) as { round: number; final?: boolean; results: { id: string }[] };
  const dice = random();
  if (dice < 0.05) return { fails: 'by chance' };
  if (dice < 0.1) return { output: { tasks: [] } };
  if (final || dice < 0.35) return { output: { done: true, output: round } };
  const last = results.at(-1)?.id;
  const first = task(`r${round}-a`, last === undefined ? {} : { input: { before: { $from: last } } });
  return {
    output: {
      tasks: [first, task(`r${round}-b`, { dependsOn: [`r${round}-a`] }), { id: `r${round}-c`, goal: 'part' }],
    },
  };
};

/** The sphere: the sum of squares; every twentieth evaluation is lost. */
const sphere: SimulationOptions['outcome'] = (_step, _round, random, command): Outcome => {
  const { x, path } = inputOf(command) as { x?: number[]; path?: unknown[] };
  if (random() < 0.05) return { fails: 'lost' };
  return { output: { score: x ? x.reduce((sum, one) => sum + one * one, 0) : (path?.length ?? 0) + random() } };
};

const offer = (agentId: string, _step: string, _round: number, random: () => number): BidAnswer => {
  const dice = random();
  if (dice < 0.1) return null;
  if (dice < 0.2) return 'error';
  if (dice < 0.3) return 'silent';
  if (dice < 0.4) return 'late';
  return { cost: 1 + Math.floor(random() * 9), etaMs: agentId.length, confidence: random() };
};

it.each([
  subject(sequential, {
    bodies: [researchReport, booking, { tasks: richGraph(3), onFailure: 'continue' }],
    ends: ['completed:all_done', 'partial:all_done', 'failed:step_failed', 'failed:compensated'],
  }),
  subject(parallel, {
    bodies: [
      diamond,
      fanOut(5, { options: { join: { quorum: 2 } } }),
      { tasks: richGraph(5), onFailure: 'compensate' },
    ],
    ends: ['completed:all_done', 'completed:join_satisfied', 'failed:join_unsatisfiable'],
  }),
  subject(pipeline, {
    bodies: [
      { stages: [stage('a', { concurrency: 2 }), stage('b', { buffer: 2 })], items: [1, 2, 3, 4, 5, 6] },
      { stages: [stage('a'), stage('b')], items: [1, 2, 3], options: { maxFailedItems: 0, ordered: false } },
      { stages: [stage('a')], items: [1], open: true },
    ],
    interrupts: [
      { after: 4, event: { type: 'items', items: [7, 8], end: false } },
      { after: 9, event: { type: 'items', items: [9], end: true } },
    ],
    ends: ['completed:all_done', 'partial:all_done', 'failed:items_failed'],
  }),
  subject(hierarchical, {
    bodies: [
      { goal: 'all of it' },
      {
        goal: 'all of it',
        coordinator: { capability: 'plan.make' },
        options: { maxRounds: 2, maxSubtasks: 5, maxConcurrency: 2 },
      },
      { goal: 'all of it', options: { synthesis: { capability: 'report.write' }, depth: 2 } },
    ],
    outcome: coordinator,
    ends: ['completed:plan_done', 'partial:plan_limits', 'failed:coordinator_failed'],
  }),
  subject(consensus, {
    bodies: [
      { task: { capability: 'fact.verify' }, voters: { n: 5 }, options: { ballot: 'verdict', quorum: 3 } },
      {
        task: { capability: 'fact.verify', input: {} },
        voters: { agents: ['a', 'b', 'c'] },
        options: { rule: 'unanimity', ballot: 'verdict', rounds: 2 },
      },
      {
        task: { capability: 'fact.verify' },
        voters: { n: 4 },
        options: { rule: { median: { trim: 0.25 } }, ballot: 'value' },
      },
      { task: { capability: 'fact.verify' }, voters: { n: 3 }, options: { rule: { ranked: 'irv' }, ballot: 'order' } },
    ],
    outcome: vote,
    ends: ['completed:decided', 'failed:no_quorum'],
  }),
  subject(auction, {
    bodies: [
      { tasks: [task('a'), task('b'), task('c')], options: { maxConcurrency: 2 }, onFailure: 'continue' },
      { tasks: [task('a')], options: { noBids: 'widen', weights: { cost: 1, confidence: 2 } } },
      { tasks: [task('a'), task('b')], options: { noBids: 'direct', maxRounds: 1 } },
    ],
    bid: offer,
    ends: ['completed:all_done', 'failed:rounds_used_up'],
  }),
  subject(swarm, {
    bodies: [
      {
        objective: { capability: 'function.evaluate' },
        options: {
          bounds: [
            [-5, 5],
            [-5, 5],
          ],
          agents: 4,
          maxIterations: 8,
          target: 0.5,
        },
      },
      {
        objective: { capability: 'function.evaluate' },
        options: { bounds: [[-1, 1]], agents: 3, maxEvaluations: 20, stagnation: { iterations: 2 } },
      },
    ],
    outcome: sphere,
    ends: ['completed:target_reached', 'completed:evaluations_used_up', 'completed:stagnation'],
  }),
])(
  `%s keeps its promises for ${SEEDS} seeds`,
  (_, strategy, { ends, bodies, ...options }) => {
    const report = strategyConformance(strategy, { bodies, seeds: Math.ceil(SEEDS / bodies.length), ...options });
    for (const kind of [...ends, 'cancelled:cancelled'])
      expect(report.ends[kind], `${kind} of ${JSON.stringify(report.ends)}`).toBeGreaterThan(0);
    expect(
      Object.keys(report.ends).some((kind) => kind.endsWith(':deadline')),
      JSON.stringify(report.ends),
    ).toBe(true);
  },
  LIMIT_MS,
);

it('refuses a body that could not be created', () => {
  expect(() => strategyConformance(sequential, { bodies: [{ tasks: [step('a', ['x'])] }] })).toThrow(
    /tasks\[0\]\.dependsOn\[0\]/,
  );
});
