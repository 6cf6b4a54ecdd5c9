// Thousands of seeded runs: random graphs, random order of ends, doubled and late events, crashes between events.

import { describe, expect, it } from 'vitest';
import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { type Outcome, prepare, type SimulationResult, seededRandom, simulate } from '../kit/coordination-simulator.ts';
import { randomGraph, richGraph } from '../kit/workflows.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_500);
const POLICIES = ['fail_fast', 'continue', 'compensate'] as const;
const JOINS = ['all', 'allSettled', 'any', 'race', { quorum: 2 }] as const;

const pick = <T>(from: readonly T[], random: () => number): T | undefined => from[Math.floor(random() * from.length)];

function mostlyFine(step: string, round: number, random: () => number): Outcome {
  if (random() < (step.endsWith(':undo') ? 0.4 : 0.12)) return { fails: 'by chance' };
  return { output: { step, round, list: Array.from({ length: Math.floor(random() * 4) }, (_, index) => index) } };
}

/** A body the strategy accepts; the generator may ask for pairs that are refused. */
function bodyOf(strategy: CoordinationStrategy<never, unknown>, seed: number): CreateWorkflow {
  const random = seededRandom(seed);
  const onFailure = pick(POLICIES, random) ?? 'fail_fast';
  const options =
    strategy.name === 'sequential' ? {} : { join: pick(JOINS, random), maxConcurrency: 1 + Math.floor(random() * 5) };
  const body: CreateWorkflow = { tasks: richGraph(seed), onFailure, options };
  try {
    prepare(strategy, body);
    return body;
  } catch {
    return { ...body, onFailure: 'fail_fast', options: strategy.name === 'sequential' ? {} : { join: 'all' } };
  }
}

function interruptOf(seed: number) {
  if (seed % 7 === 0) return { interrupt: { after: 1 + (seed % 5), event: 'cancel' as const } };
  return seed % 11 === 0 ? { interrupt: { after: 1 + (seed % 4), event: 'deadline' as const } } : {};
}

/** Dependencies by name, those that a reference implies included. */
function dependenciesOf(
  strategy: CoordinationStrategy<never, unknown>,
  body: CreateWorkflow,
): Map<string, readonly string[]> {
  const { workflow, options } = prepare(strategy, body);
  return new Map(strategy.steps(workflow, options, null).map((view) => [view.id, view.dependsOn]));
}

/** No step starts before what it waits for has ended and was reported. */
function checkOrder(result: SimulationResult, dependencies: Map<string, readonly string[]>): void {
  const skipped = new Set(result.skipped.map((one) => one.step));
  const endedAt = new Map<string, number>();
  result.journal.forEach((event, at) => {
    const key = event.type === 'step.completed' ? `${event.step}/${event.round}` : '';
    if (!endedAt.has(key)) endedAt.set(key, at);
  });
  const scheduled = result.scheduled.map((one) => ({ ...one, step: one.key.slice(0, one.key.indexOf('/')) }));
  for (const { key, step, after } of scheduled) {
    for (const before of dependencies.get(step) ?? []) {
      if (skipped.has(before)) continue;
      for (const earlier of scheduled.filter((one) => one.step === before))
        expect(endedAt.get(earlier.key), `${earlier.key} ends before ${key} starts`).toBeLessThan(after);
    }
  }
}

describe.each([
  ['sequential', sequential as unknown as CoordinationStrategy<never, unknown>],
  ['parallel', parallel as unknown as CoordinationStrategy<never, unknown>],
])('%s under a random scheduler', (name, strategy) => {
  it(`keeps its promises for ${SEEDS} seeds`, () => {
    const ends = new Map<string, number>();
    for (let seed = 1; seed <= SEEDS; seed++) {
      const body = bodyOf(strategy, seed);
      try {
        const result = simulate(strategy, body, { seed, outcome: mostlyFine, ...interruptOf(seed) });
        const limit = name === 'sequential' ? 1 : Number(body.options?.maxConcurrency ?? 10);
        expect(result.maxInFlight).toBeLessThanOrEqual(limit);
        checkOrder(result, dependenciesOf(strategy, body));
        expect(result.decisions.filter((one) => one.kind === 'join').length).toBeLessThanOrEqual(1);
        expect(result.decisions.filter((one) => one.kind === 'stop')).toHaveLength(1);
        const kind = `${result.end.status}:${result.end.stopReason}`;
        ends.set(kind, (ends.get(kind) ?? 0) + 1);
      } catch (thrown) {
        throw new Error(`seed ${seed}: ${JSON.stringify(body)}`, { cause: thrown });
      }
    }
    // the generator reaches every way to end, else it proves less than it seems
    for (const kind of [
      'completed:all_done',
      'failed:compensated',
      'failed:compensation_failed',
      'cancelled:cancelled',
      'failed:deadline',
    ])
      expect(ends.get(kind), `${kind} of ${JSON.stringify([...ends])}`).toBeGreaterThan(5);
  });

  it('has the same history for the same seed', () => {
    const run = () => simulate(strategy, bodyOf(strategy, 42), { seed: 42, outcome: mostlyFine });
    expect(run()).toEqual(run());
  });
});

describe('a graph of 200 steps', () => {
  it.each(Array.from({ length: 20 }, (_, index) => index + 1))(
    'runs sequentially in topological order (seed %i)',
    (seed) => {
      const body: CreateWorkflow = { tasks: randomGraph(200, seed) };
      const result = simulate(sequential, body, { seed });
      expect(result.end).toMatchObject({ status: 'completed', stopReason: 'all_done' });
      expect(result.maxInFlight).toBe(1);
      const { workflow } = prepare(sequential, body);
      const started = new Map(result.scheduled.map(({ key }, at) => [key.slice(0, -2), at]));
      for (const task of workflow.tasks)
        for (const before of task.dependsOn) expect(started.get(before)).toBeLessThan(started.get(task.id) ?? -1);
    },
  );

  it.each(Array.from({ length: 20 }, (_, index) => index + 1))(
    'runs in parallel and ends complete (seed %i)',
    (seed) => {
      const result = simulate(parallel, { tasks: randomGraph(200, seed), options: { maxConcurrency: 16 } }, { seed });
      expect(result.end).toMatchObject({ status: 'completed', stopReason: 'all_done' });
      expect(result.scheduled).toHaveLength(200);
      expect(result.maxInFlight).toBeGreaterThan(1);
    },
  );
});
