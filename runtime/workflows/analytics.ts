// What a run cost and what bounded it, from the times of its steps. Pure.

import type { WorkflowMetrics } from '../contracts/workflow.ts';
import { criticalPathOf, type GraphStep } from './task-graph.ts';

/** One round of a step, by the clock of the database. `startedAtMs`: when a handler took it; null when none did. */
export interface StepTiming {
  readonly step: string;
  readonly round: number;
  readonly scheduledAtMs: number;
  readonly startedAtMs: number | null;
  readonly endedAtMs: number;
}

export interface RunTimes {
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  readonly timings: readonly StepTiming[];
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
  readonly workMs: number;
}

/**
 * `workMs`: handlers' time of all rounds; `criticalPathMs`: the longest chain of dependent steps, each from its first start to
 * its last end; `overheadMs`: wall time beyond that chain (waiting for places, agents and commits); `speedup`: work by wall;
 * `bottleneck`: the longest step of the chain. Times of a step are never negative, whatever the clocks did.
 */
export function analyse(steps: readonly GraphStep[], { startedAtMs, endedAtMs, timings }: RunTimes): WorkflowMetrics {
  const spans = spansOf(timings);
  const durationOf = (id: string): number => {
    const span = spans.get(id);
    return span ? span.toMs - span.fromMs : 0;
  };
  const ran = steps.filter((step) => spans.has(step.id));
  const path = criticalPathOf(ran, durationOf);
  const wallMs = Math.max(0, endedAtMs - startedAtMs);
  const workMs = [...spans.values()].reduce((sum, span) => sum + span.workMs, 0);
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
  };
}

function spansOf(timings: readonly StepTiming[]): Map<string, Span> {
  const spans = new Map<string, Span>();
  for (const { step, startedAtMs, scheduledAtMs, endedAtMs } of timings) {
    const toMs = endedAtMs;
    const fromMs = Math.min(startedAtMs ?? scheduledAtMs, toMs);
    const known = spans.get(step);
    spans.set(step, {
      fromMs: Math.min(fromMs, known?.fromMs ?? fromMs),
      toMs: Math.max(toMs, known?.toMs ?? toMs),
      workMs: (known?.workMs ?? 0) + (startedAtMs === null ? 0 : toMs - fromMs),
    });
  }
  return spans;
}

const round = (value: number): number => Math.round(value * 1_000) / 1_000;
