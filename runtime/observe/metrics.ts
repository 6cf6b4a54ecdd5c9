// Metrics of a node: Prometheus series in a registry of their own, the JSON report of the API, and the figures that are kept. Counters and
// histograms follow the event feed; what others count is read from them when somebody asks, so an idle node pays nothing.

import { Registry } from 'prom-client';
import type { Clock, Dispose, EventFeed, Logger } from '../contracts/ports.ts';
import type { MetricsReport } from '../contracts/runtime.ts';
import type { Figures } from '../contracts/store-figures.ts';
import { EventTally, type RunEnd } from './event-tally.ts';
import { figuresOf } from './figures.ts';
import { buildReport } from './metric-report.ts';
import type { MetricSources, TaskCounts } from './metric-sources.ts';
import { readSources } from './read-sources.ts';
import { makeSeries } from './series.ts';

export type { MetricSources } from './metric-sources.ts';

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
  /** What is kept of this moment; see {@link Figures}. Here `_total`s are sums since the start. */
  figures(): Promise<Figures>;
  /** Grows with everything that happens. */
  activity(): number;
  /** A run is held by this node from now on. */
  runHeld(id: string, pattern: string): void;
  /** A run has ended here; told before its event. */
  runEnded(id: string, end: RunEnd): void;
  /** Stops listening. */
  close(): void;
}

/** Starts counting at once: what happened before is not in the counters. */
export function createMetrics(options: MetricsOptions): Metrics {
  const { feed, clock, log, sources } = options;
  const registry = new Registry();
  const series = makeSeries(registry);
  const startedAt = clock.monotonicMs();
  const uptimeMs = (): number => clock.monotonicMs() - startedAt;
  series.info.set({ version: options.version }, 1);
  let happened = 0;

  const tally = new EventTally({
    counted: ({ type, data }) => {
      happened += 1;
      series.events.inc({ type });
      if (type === 'task.accepted') series.accepted.inc();
      if (type === 'task.retrying') series.retries.inc();
      if (type === 'supervision.restart') series.restarts.inc();
      if (type === 'message.dead_letter') series.deadLetters.inc({ reason: String(data.reason ?? 'unknown') });
    },
    assigned: (waitMs) => series.assignment.observe(waitMs / 1_000),
    taskEnded: (outcome, runMs) => {
      series.tasks.inc({ outcome });
      if (runMs !== null) series.run.observe({ outcome }, runMs / 1_000);
    },
    recovered: (tookMs) => series.recovery.observe(tookMs / 1_000),
    threadLost: (reason, detectedAfterMs) => {
      series.deaths.inc({ reason });
      if (detectedAfterMs !== null) series.detection.observe(detectedAfterMs / 1_000);
    },
    used: (agentId, { tokens, cost, messages }) => {
      const type = (agentId === null ? undefined : sources.typeOf?.(agentId)) ?? 'unknown';
      if (tokens > 0) series.tokens.inc({ type }, tokens);
      if (cost > 0) series.cost.inc({ type }, cost);
      if (messages > 0) series.messages.inc({ type }, messages);
    },
    workflowEnded: (pattern, status, wallMs) => series.workflows.observe({ pattern, status }, wallMs / 1_000),
    overhead: (pattern, overheadMs) => series.overhead.observe({ pattern }, overheadMs / 1_000),
  });
  const stops: Dispose[] = [feed.subscribe((event) => tally.add(event))];
  if (sources.onFlush)
    stops.push(
      sources.onFlush(({ operations, tookMs, failed }) => {
        series.flush.observe(tookMs / 1_000);
        series.flushSize.observe(operations);
        if (failed) series.flushFailures.inc();
      }),
    );

  /** Null when it cannot be had now. */
  const had = async <T>(what: string, asked: (() => Promise<T>) | undefined): Promise<T | null> => {
    if (!asked) return null;
    try {
      return await asked();
    } catch (error) {
      log.warn(`${what} are missing from the metrics`, { error });
      return null;
    }
  };
  const taskCounts = (): Promise<TaskCounts | null> => had('task figures', () => sources.tasks());
  const cells = () => had('figures of agents', sources.cells && (() => sources.cells?.() ?? Promise.resolve([])));

  return {
    async prometheus() {
      const [counts, stats, backlog] = await Promise.all([
        taskCounts(),
        cells(),
        had('figures of durable messages', sources.backlog),
      ]);
      readSources(series, sources, { counts, cells: stats, backlog, uptimeMs: uptimeMs() });
      return registry.metrics();
    },
    async report() {
      const [counts, stats] = await Promise.all([taskCounts(), cells()]);
      return buildReport(tally, sources, { counts, cells: stats, uptimeMs: uptimeMs() });
    },
    figures: async () => figuresOf(tally, sources, await taskCounts()),
    activity: () => happened + movedMessages(sources),
    runHeld: (id, pattern) => tally.runHeld(id, pattern),
    runEnded: (id, end) => tally.runEnded(id, end),
    close() {
      for (const stop of stops) stop();
    },
  };
}

function movedMessages({ threads }: MetricSources): number {
  return threads().reduce((sum, { messagesIn, messagesOut }) => sum + messagesIn + messagesOut, 0);
}
