// What a run cost, what bounded it and what it waited for, from the times of its steps. Pure.

import type { WorkflowMetrics } from '../contracts/workflow.ts';
import { criticalPathOf, type GraphStep } from './task-graph.ts';

/** One round of a step, by the clock of the database. What is absent was not recorded. */
export interface StepTiming {
  readonly step: string;
  readonly round: number;
  /** Absent: a task. */
  readonly kind?: 'task' | 'run' | 'input';
  /** When the strategy asked for it, if a pause or the budget then kept it back. */
  readonly dueAtMs?: number;
  /** The event that started it. */
  readonly scheduledAtMs: number;
  /** When its row was there. */
  readonly createdAtMs?: number;
  /** When a handler first took it; null when none did. */
  readonly startedAtMs: number | null;
  /** When a handler took it for the last time. */
  readonly lastStartedAtMs?: number;
  readonly attempts?: number;
  readonly endedAtMs: number;
}

export interface Interval {
  readonly fromMs: number;
  readonly toMs: number;
}

export interface RunTimes {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly timings: readonly StepTiming[];
  /** While the run was paused. */
  readonly pauses?: readonly { readonly fromMs: number; readonly toMs: number | null }[];
  /** Questions of the budget: what waits meanwhile waits for a person. */
  readonly budgetStep?: string;
  readonly messages?: { readonly events: number; readonly dispatched: number; readonly calls: number };
}

type Waits = NonNullable<WorkflowMetrics['waits']>;

/**
 * `workMs`: what the last tries of all rounds took; `criticalPathMs`: the longest chain of dependent steps, each as long as something of
 * it ran; `overheadMs`: wall time beyond that chain; `speedup`: work by wall; `bottleneck`: the longest step of the chain. `waits` are
 * summed over the rounds like work: where one round runs at a time, waits and work are the wall time. Never negative, whatever the clocks did.
 */
export function analyse(steps: readonly GraphStep[], times: RunTimes): WorkflowMetrics {
  const { startedAtMs, endedAtMs, timings, messages } = times;
  const busy = busyOf(timings);
  const lengths = new Map([...busy].map(([id, intervals]) => [id, coveredMs(intervals)]));
  const durationOf = (id: string): number => lengths.get(id) ?? 0;
  const path = criticalPathOf(
    steps.filter((step) => busy.has(step.id)),
    durationOf,
  );
  const wallMs = Math.max(0, endedAtMs - startedAtMs);
  const all = [...busy.values()].flat();
  const workMs = all.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0);
  const bottleneck = path.steps.reduce<string | null>(
    (longest, id) => (longest === null || durationOf(id) > durationOf(longest) ? id : longest),
    null,
  );
  return {
    wallMs,
    workMs,
    criticalPathMs: path.lengthMs,
    criticalPath: [...path.steps],
    bottleneck,
    speedup: wallMs > 0 ? round(workMs / wallMs) : 1,
    overheadMs: Math.max(0, wallMs - path.lengthMs),
    amdahl: boundsOf(workMs, path.lengthMs, mostAtOnce(all)),
    waits: waitsOf(times),
    ...(messages ? { messages: { total: messages.events + messages.dispatched + messages.calls, ...messages } } : {}),
  };
}

/**
 * What the dependencies allow (Amdahl 1967, with the critical path as the part that cannot be divided). With `n` at once the speed-up is
 * at most `min(n, work / path)`, and whoever never idles while something is ready reaches `1 / (s + (1 - s) / n)` (Graham 1966, Brent 1974).
 */
export function boundsOf(workMs: number, pathMs: number, parallelism: number): NonNullable<WorkflowMetrics['amdahl']> {
  const serial = workMs > 0 ? Math.min(1, pathMs / workMs) : 1;
  const n = Math.max(1, parallelism);
  const maxSpeedup = serial > 0 ? 1 / serial : n;
  return {
    serialFraction: round(serial),
    maxSpeedup: round(maxSpeedup),
    parallelism,
    maxSpeedupAtParallelism: round(Math.min(n, maxSpeedup)),
    leastSpeedupAtParallelism: round(1 / (serial + (1 - serial) / n)),
  };
}

/** When something of a step ran. A step that only waited has no time, and one that is a question to a person neither. */
function busyOf(timings: readonly StepTiming[]): Map<string, Interval[]> {
  const busy = new Map<string, Interval[]>();
  for (const timing of timings) {
    const { step, kind, endedAtMs, scheduledAtMs } = timing;
    const list = busy.get(step) ?? [];
    busy.set(step, list);
    const from = kind === 'run' ? scheduledAtMs : kind === 'input' ? null : lastStartOf(timing);
    if (from !== null && from < endedAtMs) list.push({ fromMs: from, toMs: endedAtMs });
  }
  return busy;
}

const lastStartOf = ({ startedAtMs, lastStartedAtMs }: StepTiming): number | null =>
  startedAtMs === null ? null : Math.max(startedAtMs, lastStartedAtMs ?? startedAtMs);

function waitsOf({ timings, pauses = [], endedAtMs, budgetStep }: RunTimes): Waits {
  const waits = { queueMs: 0, coordinationMs: 0, humanMs: 0, pausedMs: 0, budgetMs: 0, retryMs: 0 };
  const paused = pauses.map(({ fromMs, toMs }) => ({ fromMs, toMs: toMs ?? endedAtMs }));
  const asked = timings
    .filter(({ step }) => step === budgetStep)
    .map((timing) => ({ fromMs: timing.scheduledAtMs, toMs: timing.endedAtMs }));
  for (const timing of timings) {
    const { kind, dueAtMs, scheduledAtMs, createdAtMs, startedAtMs, endedAtMs: toMs } = timing;
    if (dueAtMs !== undefined && dueAtMs < scheduledAtMs) {
      const held = { fromMs: dueAtMs, toMs: scheduledAtMs };
      const forPause = overlapMs(held, paused);
      waits.pausedMs += forPause;
      waits.budgetMs += Math.max(0, between(dueAtMs, scheduledAtMs) - forPause - overlapMs(held, asked));
    }
    if (kind === 'run') continue;
    if (kind === 'input') {
      waits.humanMs += between(scheduledAtMs, toMs);
      continue;
    }
    const from = Math.min(startedAtMs ?? toMs, toMs);
    const created = Math.min(Math.max(scheduledAtMs, createdAtMs ?? scheduledAtMs), Math.max(scheduledAtMs, from));
    waits.coordinationMs += created - scheduledAtMs;
    waits.queueMs += between(created, from);
    const last = lastStartOf(timing);
    if (last !== null) waits.retryMs += between(from, Math.min(last, toMs));
  }
  return waits;
}

const between = (fromMs: number, toMs: number): number => Math.max(0, toMs - fromMs);

const overlapMs = (one: Interval, others: readonly Interval[]): number =>
  others.reduce((sum, other) => sum + between(Math.max(one.fromMs, other.fromMs), Math.min(one.toMs, other.toMs)), 0);

/** Time covered by at least one of them. */
function coveredMs(intervals: readonly Interval[]): number {
  let covered = 0;
  let until = Number.NEGATIVE_INFINITY;
  for (const { fromMs, toMs } of [...intervals].sort((a, b) => a.fromMs - b.fromMs)) {
    covered += between(Math.max(fromMs, until), toMs);
    until = Math.max(until, toMs);
  }
  return covered;
}

/** How many ran at the same time, at the busiest moment. */
function mostAtOnce(intervals: readonly Interval[]): number {
  // Of an end and a start at one moment the end comes first.
  const moments = intervals
    .flatMap(({ fromMs, toMs }) => [
      { atMs: fromMs, change: 1 },
      { atMs: toMs, change: -1 },
    ])
    .sort((a, b) => a.atMs - b.atMs || a.change - b.change);
  let open = 0;
  let most = 0;
  for (const { change } of moments) {
    open += change;
    most = Math.max(most, open);
  }
  return most;
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000;
