// What is kept of the metrics for people who look back: few series, named like those of Prometheus.

import type { Figures } from '../contracts/store-figures.ts';
import { type EventTally, TASK_OUTCOMES } from './event-tally.ts';
import type { MetricSources, TaskCounts } from './metric-sources.ts';
import { processFigures, sum } from './process-figures.ts';

const OPEN_STATES = ['scheduled', 'queued', 'running', 'waiting'] as const;

/** `_total`s since the start of the node, the others as they are. */
export function figuresOf(tally: EventTally, sources: MetricSources, counts: TaskCounts | null): Figures {
  const threads = sources.threads();
  const { byState } = sources.agents();
  const own = processFigures(0);
  return {
    tasks_accepted_total: tally.count('task.accepted'),
    task_retries_total: tally.count('task.retrying'),
    dead_letters_total: tally.count('message.dead_letter'),
    agent_restarts_total: tally.count('supervision.restart'),
    thread_deaths_total: tally.detection.count,
    tokens_total: tally.used.tokens,
    cost_total: tally.used.cost,
    process_cpu_seconds_total: (own.cpuUserMs + own.cpuSystemMs) / 1_000,
    ...labelled('thread_messages_total', 'direction', {
      in: sum(threads.map(({ messagesIn }) => messagesIn)),
      out: sum(threads.map(({ messagesOut }) => messagesOut)),
    }),
    ...labelled(
      'tasks_ended_total',
      'outcome',
      Object.fromEntries(TASK_OUTCOMES.map((outcome) => [outcome, tally.count(`task.${outcome}`)])),
    ),
    ...labelled('workflows_ended_total', 'status', Object.fromEntries(tally.workflowEnds)),
    ...labelled('agents', 'state', byState),
    ...(counts
      ? labelled('tasks', 'state', Object.fromEntries(OPEN_STATES.map((state) => [state, counts.byState[state] ?? 0])))
      : {}),
    queue_tasks: sum((counts?.queues ?? []).map(({ queued }) => queued)),
    task_assignment_p95_seconds: tally.assignment.percentile(0.95) / 1_000,
    task_run_p95_seconds: tally.run.percentile(0.95) / 1_000,
    thread_utilization_ratio: threads.length === 0 ? 0 : sum(threads.map((each) => each.utilization)) / threads.length,
    process_resident_memory_bytes: own.rssBytes,
    event_loop_utilization_ratio: own.eventLoopUtilization,
  };
}

const labelled = (name: string, label: string, values: Readonly<Record<string, number>>): Record<string, number> =>
  Object.fromEntries(Object.entries(values).map(([value, count]) => [`${name}{${label}="${value}"}`, count]));
