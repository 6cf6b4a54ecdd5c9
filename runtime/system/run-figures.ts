// What the metrics are told of runs: which this node holds, and what those that end here came to. Works around the store of workflows and
// behind its observer, as the traces do.

import type { Advance, WorkflowStore } from '../contracts/store.ts';
import type { Metrics } from '../observe/metrics.ts';
import type { RunObserver } from '../workflows/ports.ts';

export type RunMetrics = Pick<Metrics, 'runHeld' | 'runEnded'>;

export function measuredRuns(store: WorkflowStore, metrics: () => RunMetrics): WorkflowStore {
  const ended = (advance: Advance, outcome: string): void => {
    if (!advance.end || outcome !== 'committed') return;
    const { wallMs, criticalPathMs, overheadMs } = (advance.end.metrics ?? {}) as Readonly<Record<string, unknown>>;
    metrics().runEnded(advance.workflowId, {
      ...(typeof wallMs === 'number' ? { wallMs } : {}),
      ...(typeof criticalPathMs === 'number' ? { criticalPathMs } : {}),
      ...(typeof overheadMs === 'number' ? { overheadMs } : {}),
    });
  };
  return {
    ...store,
    async createDecided(workflow, first) {
      const answer = await store.createDecided(workflow, first);
      ended(first, answer.advanced.outcome);
      return answer;
    },
    async advance(advance) {
      const answer = await store.advance(advance);
      ended(advance, answer.outcome);
      return answer;
    },
    async settleDecided(ends, advance) {
      const answer = await store.settleDecided(ends, advance);
      ended(advance, answer.advanced.outcome);
      return answer;
    },
  };
}

export function measuredObserver(observer: RunObserver, metrics: () => RunMetrics): RunObserver {
  return {
    ...observer,
    runStarted(run) {
      metrics().runHeld(run.id, run.pattern);
      observer.runStarted?.(run);
    },
  };
}
