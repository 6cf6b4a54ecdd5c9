// What an agent's attempts came to: counts and percentiles, in all and by capability, since the incarnation began.

import type { AgentMetrics } from '../../runtime/contracts/agent.ts';
import type { TaskOutcome } from '../../runtime/contracts/task.ts';
import { DurationHistogram } from './histogram.ts';

interface CapabilityFigures {
  completed: number;
  failed: number;
  readonly durations: DurationHistogram;
}

/** started = completed + failed + timedOut + cancelled + running, at every moment. */
export class ExecutionMetrics {
  #started = 0;
  #completed = 0;
  #failed = 0;
  #timedOut = 0;
  #cancelled = 0;
  readonly #durations = new DurationHistogram();
  readonly #byCapability = new Map<string, CapabilityFigures>();

  started(): void {
    this.#started++;
  }

  /** `byCapability.failed` counts every end but completion. */
  ended(capability: string, outcome: TaskOutcome): void {
    // One that asks a person is run again from its start: that attempt counts.
    if (outcome.type === 'released' || outcome.type === 'waiting') {
      this.#started--;
      return;
    }
    const figures = this.#figuresOf(capability);
    // The part of a task that was this agent's is done when it hands the task on.
    if (outcome.type === 'completed' || outcome.type === 'handed_off') {
      this.#completed++;
      figures.completed++;
    } else {
      figures.failed++;
      if (outcome.type === 'timed_out') this.#timedOut++;
      else if (outcome.type === 'cancelled') this.#cancelled++;
      else this.#failed++;
    }
    this.#durations.record(outcome.runMs);
    figures.durations.record(outcome.runMs);
  }

  /** The typical duration of one attempt, for estimates such as a bid. */
  p50Ms(capability?: string): number {
    const durations = capability === undefined ? this.#durations : this.#byCapability.get(capability)?.durations;
    return durations?.percentile(0.5) ?? 0;
  }

  report(): AgentMetrics['execution'] {
    return {
      started: this.#started,
      completed: this.#completed,
      failed: this.#failed,
      timedOut: this.#timedOut,
      cancelled: this.#cancelled,
      running: this.#started - this.#completed - this.#failed - this.#timedOut - this.#cancelled,
      p50Ms: this.#durations.percentile(0.5),
      p95Ms: this.#durations.percentile(0.95),
      byCapability: Object.fromEntries(
        [...this.#byCapability].map(([name, figures]) => [
          name,
          {
            completed: figures.completed,
            failed: figures.failed,
            p50Ms: figures.durations.percentile(0.5),
            p95Ms: figures.durations.percentile(0.95),
          },
        ]),
      ),
    };
  }

  #figuresOf(capability: string): CapabilityFigures {
    let figures = this.#byCapability.get(capability);
    if (figures === undefined) {
      figures = { completed: 0, failed: 0, durations: new DurationHistogram() };
      this.#byCapability.set(capability, figures);
    }
    return figures;
  }
}
