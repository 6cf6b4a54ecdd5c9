import { describe, expect, it, test } from 'vitest';
import { sequential } from '../../patterns/sequential.ts';
import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { analyse, boundsOf, type StepTiming } from '../../runtime/workflows/analytics.ts';
import { define, strategiesByName } from '../../runtime/workflows/definition.ts';
import { remember, timesOf } from '../../runtime/workflows/remember.ts';
import type { RunMemory } from '../../runtime/workflows/run-memory.ts';
import { chain, step } from '../kit/workflows.ts';

const ID = 'wfl_01h455vb4pex5vsknk084sn02q' as WorkflowId;

/** Runs one step after the other by events alone; each `Leg` says how the next outcome came about, relative to the event before. */
interface Leg {
  readonly createdMs?: number;
  readonly startMs?: number;
  /** When the last of several tries began. */
  readonly lastStartMs?: number;
  readonly endMs: number;
}

function drive(body: CreateWorkflow, script: (Leg | 'pause' | 'resume' | { waitMs: number } | { grants: object })[]) {
  const definition = define(strategiesByName([sequential]), body);
  let memory: RunMemory | null = null;
  let now = 1_000;
  const take = (event: CoordinationEvent) => {
    ({ memory } = remember(definition, ID, memory, event));
  };
  take({ type: 'started', atMs: now, seed: 1 });
  const run = () => memory as unknown as RunMemory;
  for (const part of script) {
    if (part === 'pause' || part === 'resume') take({ type: part, atMs: now });
    else if ('waitMs' in part) now += part.waitMs;
    else {
      const [one] = run().inFlight;
      if (!one) throw new Error('nothing is in flight');
      const { step: name, round, taskId } = one;
      const base = { step: name, round, taskId, agentId: null };
      if ('grants' in part) {
        take({ type: 'step.completed', ...base, atMs: now, attempts: 1, startedAtMs: null, output: part.grants });
        continue;
      }
      const { startMs, createdMs = startMs ?? 0, lastStartMs = startMs, endMs } = part;
      const scheduled = one.scheduledAtMs;
      now = scheduled + endMs;
      take({
        type: 'step.completed',
        ...base,
        output: null,
        atMs: now,
        attempts: lastStartMs === startMs ? 1 : 2,
        startedAtMs: startMs === undefined ? null : scheduled + startMs,
        createdAtMs: scheduled + createdMs,
        lastStartedAtMs: lastStartMs === undefined ? null : scheduled + lastStartMs,
      });
    }
  }
  const { strategy, spec, options } = definition;
  const metrics = analyse(strategy.steps(spec, options, run().state), timesOf(run(), now));
  return { memory: run(), metrics };
}

const sum = (waits: object | undefined): number => Object.values(waits ?? {}).reduce((all, one) => all + one, 0);

describe('where the time of a run went', () => {
  const approved = step('b', ['a'], {
    capability: undefined,
    approval: { prompt: 'go on?' },
  } as never);
  test.each<[string, CreateWorkflow, Parameters<typeof drive>[1], object]>([
    [
      'queue and coordination',
      chain(2),
      [
        { createdMs: 3, startMs: 10, endMs: 30 },
        { createdMs: 4, startMs: 5, endMs: 45 },
      ],
      { coordinationMs: 7, queueMs: 8 },
    ],
    [
      'a retry with its back-off',
      chain(1),
      [{ startMs: 1, lastStartMs: 51, endMs: 71 }],
      { coordinationMs: 1, retryMs: 50 },
    ],
    [
      'a pause, of which only what kept a step back counts',
      chain(2),
      ['pause', { waitMs: 5 }, { startMs: 0, endMs: 20 }, { waitMs: 100 }, 'resume', { startMs: 0, endMs: 10 }],
      { pausedMs: 100 },
    ],
    [
      'a person',
      { tasks: [step('a'), approved, step('c', ['b'])] },
      [{ startMs: 0, endMs: 10 }, { endMs: 500 }, { startMs: 2, createdMs: 2, endMs: 12 }],
      { humanMs: 500, coordinationMs: 2 },
    ],
    [
      'a person who is asked for more budget, counted once',
      { ...chain(2), budget: { calls: 1, onBreach: 'ask' } },
      [{ startMs: 0, endMs: 10 }, { waitMs: 300 }, { grants: { calls: 1 } }, { startMs: 0, endMs: 10 }],
      { humanMs: 300 },
    ],
  ])('tells %s', (_, body, script, expected) => {
    const { metrics, memory } = drive(body, script);
    const none = { queueMs: 0, coordinationMs: 0, humanMs: 0, pausedMs: 0, budgetMs: 0, retryMs: 0 };
    expect(metrics.waits).toEqual({ ...none, ...expected });
    expect(memory.ended).toBe(true);
    // A chain has one round at a time: nothing of its wall time is left unexplained.
    expect(sum(metrics.waits) + metrics.criticalPathMs).toBe(metrics.wallMs);
    expect(metrics.workMs).toBe(metrics.criticalPathMs);
  });

  it('counts events, rounds and calls as messages', () => {
    const { metrics } = drive(chain(3), [
      { startMs: 0, endMs: 1 },
      { startMs: 0, endMs: 1 },
      { startMs: 0, endMs: 1 },
    ]);
    expect(metrics.messages).toEqual({ total: 7, events: 4, dispatched: 3, calls: 0 });
  });

  it('says what waits for budget that others hold', () => {
    const timings: StepTiming[] = [
      { step: 'a', round: 0, scheduledAtMs: 0, startedAtMs: 0, endedAtMs: 40 },
      { step: 'b', round: 0, dueAtMs: 0, scheduledAtMs: 40, startedAtMs: 40, endedAtMs: 50 },
    ];
    const steps = ['a', 'b'].map((id) => ({ id, dependsOn: [] }));
    expect(analyse(steps, { startedAtMs: 0, endedAtMs: 50, timings }).waits).toMatchObject({ budgetMs: 40 });
  });
});

describe('the bounds that dependencies set', () => {
  test.each([
    [
      'two chains, two at once',
      10,
      5,
      2,
      { maxSpeedup: 2, maxSpeedupAtParallelism: 2, leastSpeedupAtParallelism: 1.333 },
    ],
    [
      'a chain',
      10,
      10,
      4,
      { serialFraction: 1, maxSpeedup: 1, maxSpeedupAtParallelism: 1, leastSpeedupAtParallelism: 1 },
    ],
    [
      'a hundred alike, ten at once',
      100,
      1,
      10,
      { maxSpeedup: 100, maxSpeedupAtParallelism: 10, leastSpeedupAtParallelism: 9.174 },
    ],
    ['no work at all', 0, 0, 0, { serialFraction: 1, maxSpeedup: 1, maxSpeedupAtParallelism: 1 }],
  ])('%s', (_, workMs, pathMs, parallelism, expected) => {
    expect(boundsOf(workMs, pathMs, parallelism)).toMatchObject(expected);
  });

  it('sees how many ran at once, a start at the end of another not among them', () => {
    const timings = [
      [0, 10],
      [5, 20],
      [10, 30],
    ].map(([from = 0, to = 0], at) => ({
      step: `s${at}`,
      round: 0,
      scheduledAtMs: from,
      startedAtMs: from,
      endedAtMs: to,
    }));
    const steps = timings.map(({ step: id }) => ({ id, dependsOn: [] }));
    expect(analyse(steps, { startedAtMs: 0, endedAtMs: 30, timings }).amdahl?.parallelism).toBe(2);
  });
});
