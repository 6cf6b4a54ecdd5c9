// The JSON report of `/api/agents/metrics`: agents, orchestration, workflows, as people ask about them.

import type { MetricsReport } from '../contracts/runtime.ts';
import type { CellStats } from '../contracts/wire.ts';
import { type EventTally, TASK_OUTCOMES } from './event-tally.ts';
import type { MetricSources, TaskCounts } from './metric-sources.ts';
import { processFigures, sum } from './process-figures.ts';

const HOUR_MS = 3_600_000;

export interface ReportAsked {
  readonly counts: TaskCounts | null;
  readonly cells: readonly CellStats[] | null;
  readonly uptimeMs: number;
}

export function buildReport(
  tally: EventTally,
  sources: MetricSources,
  { counts, cells, uptimeMs }: ReportAsked,
): MetricsReport {
  const agents = sources.agents();
  const threads = sources.threads();
  const total = sum(Object.values(agents.byState));
  const ended = Object.fromEntries(TASK_OUTCOMES.map((outcome) => [outcome, tally.count(`task.${outcome}`)]));
  const workflowEnds = Object.fromEntries(tally.workflowEnds);
  const workflowsEnded = sum(Object.values(workflowEnds));
  return {
    agents: {
      total,
      byState: agents.byState,
      byType: agents.byType,
      execution: {
        submitted: tally.count('task.accepted'),
        ...ended,
        open: openOf(counts),
        retried: tally.count('task.retrying'),
        runP50Ms: tally.run.percentile(0.5),
        runP95Ms: tally.run.percentile(0.95),
        failureCauses: Object.fromEntries(tally.failureCauses),
        used: { ...tally.used },
      },
      communication: {
        received: sum(threads.map((thread) => thread.messagesIn)),
        sent: sum(threads.map((thread) => thread.messagesOut)),
        deadLetters: tally.count('message.dead_letter'),
        replied: cells && sum(cells.map(({ replied }) => replied)),
        refused: cells && sum(cells.map(({ refused }) => refused)),
        errors: cells && sum(cells.map(({ errors }) => errors)),
        // Each agent knows its own; of all of them the slowest says most.
        slowestDeliveryP95Ms: cells && Math.max(0, ...cells.map(({ deliveryP95Ms }) => deliveryP95Ms)),
      },
      resources: {
        threadHeapBytes: sum(threads.map((thread) => thread.heapBytes)),
        mailbox: cells && sum(cells.map(({ mailbox }) => mailbox)),
        deepestMailbox: cells && Math.max(0, ...cells.map(({ mailbox }) => mailbox)),
        threadUtilization: threads.length === 0 ? 0 : sum(threads.map((thread) => thread.utilization)) / threads.length,
      },
      availability: {
        uptimeMs,
        restarts: tally.count('supervision.restart'),
        terminated: tally.count('agent.terminated'),
        oldestBeatMs: Math.max(0, ...threads.map(({ lastBeatAgoMs }) => lastBeatAgoMs)),
        errors: errorsOf(tally),
        // Of a node younger than an hour, what it has so far.
        errorsPerHour: errorsOf(tally) / Math.max(1, uptimeMs / HOUR_MS),
      },
    },
    orchestration: {
      health: {
        active: total - (agents.byState.error ?? 0) - (agents.byState.terminated ?? 0),
        failed: (agents.byState.error ?? 0) + (agents.byState.terminated ?? 0),
        threads: Object.fromEntries(
          ['idle', 'busy', 'stuck', 'dead'].map((liveness) => [
            liveness,
            threads.filter((thread) => thread.liveness === liveness).length,
          ]),
        ),
      },
      distribution: {
        assignmentP50Ms: tally.assignment.percentile(0.5),
        assignmentP95Ms: tally.assignment.percentile(0.95),
        tasksByState: counts?.byState ?? null,
        queues: counts?.queues ?? null,
        actorsPerThread: threads.map(({ thread, cells, dedicatedTo }) => ({ thread, cells, dedicated: !!dedicatedTo })),
      },
      faultTolerance: {
        restarts: tally.count('supervision.restart'),
        escalations: tally.count('supervision.escalated'),
        threadsLost: tally.count('thread.down'),
        threadsStuck: tally.count('thread.stuck'),
        nodesLost: tally.count('node.lost'),
        detections: tally.detection.count,
        detectionMeanMs: tally.detection.mean(),
        detectionP95Ms: tally.detection.percentile(0.95),
        recoveries: tally.recovery.count,
        recoveryMeanMs: tally.recovery.mean(),
        recoveryP95Ms: tally.recovery.percentile(0.95),
      },
      scaling: { threads: threads.length, threadsStarted: tally.count('thread.up'), events: [...tally.scaling] },
      store: storeOf(sources),
    },
    workflows: {
      created: tally.count('workflow.created'),
      started: tally.count('workflow.started'),
      ended: workflowEnds,
      failureCauses: Object.fromEntries(tally.workflowFailures),
      successRate: workflowsEnded === 0 ? null : (tally.workflowEnds.get('completed') ?? 0) / workflowsEnded,
      byPattern: Object.fromEntries(
        [...tally.workflowWalls].map(([pattern, window]) => [
          pattern,
          {
            ended: window.count,
            wallP50Ms: window.percentile(0.5),
            wallP95Ms: window.percentile(0.95),
            criticalPathP50Ms: tally.criticalPaths.get(pattern)?.percentile(0.5) ?? null,
            overheadP50Ms: tally.overheads.get(pattern)?.percentile(0.5) ?? null,
            overheadP95Ms: tally.overheads.get(pattern)?.percentile(0.95) ?? null,
          },
        ]),
      ),
    },
    process: processFigures(uptimeMs),
  };
}

/** Of all nodes; null while the database does not answer. */
function openOf(counts: TaskCounts | null): number | null {
  if (!counts) return null;
  const { scheduled = 0, queued = 0, running = 0, waiting = 0 } = counts.byState;
  return scheduled + queued + running + waiting;
}

/** Agents that crashed, and tasks that did not complete though nobody cancelled them. */
function errorsOf(tally: EventTally): number {
  return sum([...tally.failureCauses.values()]) + tally.count('supervision.restart');
}

function storeOf({ storeUp, storePressure }: MetricSources) {
  return { up: storeUp?.() ?? true, ...storePressure?.() };
}
