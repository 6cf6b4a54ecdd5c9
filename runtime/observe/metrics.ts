// Metrics of a node: Prometheus series in a registry of their own, and the JSON report of the API. Counters and histograms follow the
// event feed; gauges are read from their owners when somebody asks, so an idle node pays nothing.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Clock, EventFeed, Logger } from '../contracts/ports.ts';
import type { MetricsReport } from '../contracts/runtime.ts';
import type { TaskState } from '../contracts/task.ts';
import type { ThreadStats } from '../contracts/wire.ts';
import { EventTally, TASK_OUTCOMES } from './event-tally.ts';

/** Where the gauges are read, at most once per scrape. */
export interface MetricSources {
  agents(): {
    readonly byState: Readonly<Record<string, number>>;
    readonly byType: Readonly<Record<string, number>>;
  };
  /** The type of an agent of this node; undefined: not known here (any more). Asked when an attempt reports what it used. */
  typeOf?(agentId: string): string | undefined;
  threads(): readonly ThreadStats[];
  tasks(): Promise<{
    readonly byState: Readonly<Partial<Record<TaskState, number>>>;
    readonly queues: readonly { readonly queue: string; readonly queued: number; readonly oldestMs: number }[];
  }>;
}

export interface MetricsOptions {
  readonly feed: EventFeed;
  readonly clock: Clock;
  readonly log: Logger;
  readonly version: string;
  readonly sources: MetricSources;
}

export interface Metrics {
  /** Prometheus text exposition, version 0.0.4. */
  prometheus(): Promise<string>;
  report(): Promise<MetricsReport>;
  /** Stops listening to the feed. */
  close(): void;
}

const SHORT_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 5_000, 30_000];
const LONG_MS = [5, 10, 50, 100, 500, 1_000, 5_000, 15_000, 60_000, 300_000, 1_800_000, 86_400_000];

/** Starts counting at once: what happened before is not in the counters. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { feed, clock, log, sources } = options;
  const registry = new Registry();
  const series = makeSeries(registry);
  const startedAt = clock.monotonicMs();
  series.info.set({ version: options.version }, 1);

  const tally = new EventTally({
    counted: ({ type, data }) => {
      series.events.inc({ type });
      if (type === 'message.dead_letter') series.deadLetters.inc({ reason: String(data.reason ?? 'unknown') });
    },
    assigned: (waitMs) => series.assignment.observe(waitMs),
    taskEnded: (outcome, runMs) => {
      series.tasks.inc({ outcome });
      if (runMs !== null) series.run.observe({ outcome }, runMs);
    },
    recovered: (tookMs) => series.recovery.observe(tookMs),
    used: (agentId, { tokens, cost, messages }) => {
      const type = (agentId === null ? undefined : sources.typeOf?.(agentId)) ?? 'unknown';
      if (tokens > 0) series.tokens.inc({ type }, tokens);
      if (cost > 0) series.cost.inc({ type }, cost);
      if (messages > 0) series.messages.inc({ type }, messages);
    },
    workflowEnded: (pattern, status, wallMs) => series.workflows.observe({ pattern, status }, wallMs),
  });
  const stopListening = feed.subscribe((event) => tally.add(event));

  const taskCounts = async () => {
    try {
      return await sources.tasks();
    } catch (error) {
      log.warn('task figures are missing from the metrics', { error });
      return null;
    }
  };

  return {
    async prometheus() {
      const counts = await taskCounts();
      setGauges(series, sources, counts, clock.monotonicMs() - startedAt);
      return registry.metrics();
    },
    async report() {
      const counts = await taskCounts();
      return buildReport(tally, sources, counts, clock.monotonicMs() - startedAt);
    },
    close: stopListening,
  };
}

function makeSeries(registry: Registry) {
  const registers = [registry];
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name: `troupe_${name}`, help, labelNames, registers });
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name: `troupe_${name}`, help, labelNames, registers });
  const histogram = <Label extends string>(name: string, help: string, buckets: number[], labelNames: Label[] = []) =>
    new Histogram({ name: `troupe_${name}`, help, buckets, labelNames, registers });
  return {
    info: gauge('build_info', 'Version of this node.', ['version']),
    events: counter('events_total', 'Events seen by this node, by type.', ['type']),
    tasks: counter('tasks_ended_total', 'Tasks that reached a terminal state.', ['outcome']),
    tokens: counter('tokens_total', 'Tokens used by attempts of tasks, by type of the agent.', ['type']),
    cost: counter('cost_total', 'Cost reported by attempts of tasks, by type of the agent.', ['type']),
    messages: counter('task_messages_total', 'Messages sent by handlers of tasks, by type of the agent.', ['type']),
    deadLetters: counter('dead_letters_total', 'Messages nobody took.', ['reason']),
    assignment: histogram('task_assignment_milliseconds', 'From acceptance of a task to its first start.', SHORT_MS),
    run: histogram('task_run_milliseconds', 'Run time of the last attempt.', LONG_MS, ['outcome']),
    recovery: histogram('agent_recovery_milliseconds', 'From a crash of an agent to its being idle again.', SHORT_MS),
    workflows: histogram('workflow_wall_milliseconds', 'From start to end of a workflow.', LONG_MS, [
      'pattern',
      'status',
    ]),
    agents: gauge('agents', 'Agents by state.', ['state']),
    agentTypes: gauge('agents_by_type', 'Agents by type.', ['type']),
    openTasks: gauge('tasks', 'Tasks in the store, by state.', ['state']),
    queueDepth: gauge('queue_depth', 'Tasks waiting in a queue (the deepest 100).', ['queue']),
    queueAge: gauge('queue_oldest_milliseconds', 'Age of the oldest waiting task.', ['queue']),
    threads: gauge('threads', 'Threads by liveness.', ['liveness']),
    utilization: gauge('thread_utilization', 'Event loop utilization of a thread, 0 to 1.', ['thread']),
    threadHeap: gauge('thread_heap_bytes', 'V8 heap of a thread.', ['thread']),
    threadCells: gauge('thread_actors', 'Actors in a thread.', ['thread']),
    threadMessages: gauge('thread_messages', 'Messages of a thread since it began.', ['thread', 'direction']),
    uptime: gauge('uptime_milliseconds', 'Since the node started.'),
    resident: gauge('process_resident_memory_bytes', 'Resident memory.'),
    heapUsed: gauge('process_heap_used_bytes', 'Heap in use on the main thread.'),
    cpu: gauge('process_cpu_seconds', 'Processor time of the process since it began.', ['mode']),
    loop: gauge('event_loop_utilization', 'Share of time the main event loop was busy since the start, 0 to 1.'),
  };
}

type Series = ReturnType<typeof makeSeries>;
type TaskCounts = Awaited<ReturnType<MetricSources['tasks']>> | null;

function setGauges(series: Series, sources: MetricSources, counts: TaskCounts, uptimeMs: number): void {
  // What is gone must not stay: a labelled gauge keeps its last value until it is reset.
  for (const gauge of [series.agents, series.agentTypes, series.openTasks, series.queueDepth, series.queueAge])
    gauge.reset();
  for (const gauge of [
    series.threads,
    series.utilization,
    series.threadHeap,
    series.threadCells,
    series.threadMessages,
  ])
    gauge.reset();
  const agents = sources.agents();
  for (const [state, count] of Object.entries(agents.byState)) series.agents.set({ state }, count);
  for (const [type, count] of Object.entries(agents.byType)) series.agentTypes.set({ type }, count);
  for (const [state, count] of Object.entries(counts?.byState ?? {})) series.openTasks.set({ state }, count);
  for (const { queue, queued, oldestMs } of counts?.queues ?? []) {
    series.queueDepth.set({ queue }, queued);
    series.queueAge.set({ queue }, oldestMs);
  }
  for (const stats of sources.threads()) {
    const thread = String(stats.thread);
    series.threads.inc({ liveness: stats.liveness });
    series.utilization.set({ thread }, stats.utilization);
    series.threadHeap.set({ thread }, stats.heapBytes);
    series.threadCells.set({ thread }, stats.cells);
    series.threadMessages.set({ thread, direction: 'in' }, stats.messagesIn);
    series.threadMessages.set({ thread, direction: 'out' }, stats.messagesOut);
  }
  const own = processFigures(uptimeMs);
  series.uptime.set(own.uptimeMs);
  series.resident.set(own.rssBytes);
  series.heapUsed.set(own.heapUsedBytes);
  series.cpu.set({ mode: 'user' }, own.cpuUserMs / 1_000);
  series.cpu.set({ mode: 'system' }, own.cpuSystemMs / 1_000);
  series.loop.set(own.eventLoopUtilization);
}

function buildReport(tally: EventTally, sources: MetricSources, counts: TaskCounts, uptimeMs: number): MetricsReport {
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
      },
      resources: {
        threadHeapBytes: sum(threads.map((thread) => thread.heapBytes)),
        threadUtilization: threads.length === 0 ? 0 : sum(threads.map((thread) => thread.utilization)) / threads.length,
      },
      availability: {
        uptimeMs,
        restarts: tally.count('supervision.restart'),
        terminated: tally.count('agent.terminated'),
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
        recoveries: tally.recovery.count,
        recoveryMeanMs: tally.recovery.mean(),
        recoveryP95Ms: tally.recovery.percentile(0.95),
      },
      scaling: { threads: threads.length, threadsStarted: tally.count('thread.up') },
    },
    workflows: {
      created: tally.count('workflow.created'),
      started: tally.count('workflow.started'),
      ended: workflowEnds,
      successRate: workflowsEnded === 0 ? null : (tally.workflowEnds.get('completed') ?? 0) / workflowsEnded,
      byPattern: Object.fromEntries(
        [...tally.workflowWalls].map(([pattern, window]) => [
          pattern,
          { ended: window.count, wallP50Ms: window.percentile(0.5), wallP95Ms: window.percentile(0.95) },
        ]),
      ),
    },
    process: processFigures(uptimeMs),
  };
}

function processFigures(uptimeMs: number) {
  const memory = process.memoryUsage();
  const cpu = process.cpuUsage();
  return {
    uptimeMs,
    rssBytes: memory.rss,
    heapUsedBytes: memory.heapUsed,
    externalBytes: memory.external,
    cpuUserMs: cpu.user / 1_000,
    cpuSystemMs: cpu.system / 1_000,
    eventLoopUtilization: performance.eventLoopUtilization().utilization,
  };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
