// Brings the series up to date with what others count, right before they are shown.

import type { Counter, Gauge } from 'prom-client';
import type { CellStats } from '../contracts/wire.ts';
import type { MetricSources, TaskCounts } from './metric-sources.ts';
import { processFigures, sum } from './process-figures.ts';
import type { Series } from './series.ts';

export interface Asked {
  readonly counts: TaskCounts | null;
  readonly cells: readonly CellStats[] | null;
  readonly backlog: { readonly messages: number; readonly oldestMs: number } | null;
  readonly uptimeMs: number;
}

export function readSources(series: Series, sources: MetricSources, asked: Asked): void {
  readTasks(series, sources, asked);
  readAgents(series, sources, asked);
  readMessages(series, sources, asked);
  readCluster(series, sources);
  readStore(series, sources);
  const own = processFigures(asked.uptimeMs);
  series.uptime.set(own.uptimeMs / 1_000);
  series.resident.set(own.rssBytes);
  series.heapUsed.set(own.heapUsedBytes);
  fill(series.cpu, 'mode', { user: own.cpuUserMs / 1_000, system: own.cpuSystemMs / 1_000 });
  series.loop.set(own.eventLoopUtilization);
}

/** What is gone must not stay: a labelled series keeps its last value until it is reset. */
function fill<Label extends string>(
  metric: Gauge<Label> | Counter<Label>,
  label: Label,
  values: Readonly<Record<string, number>>,
): void {
  metric.reset();
  for (const [value, count] of Object.entries(values))
    metric.inc({ [label]: value } as Partial<Record<Label, string>>, count);
}

/** A counter that somebody else keeps. */
function follow(counter: Counter, count: number): void {
  counter.reset();
  counter.inc(count);
}

function readTasks(series: Series, { attempts }: MetricSources, { counts }: Asked): void {
  fill(series.openTasks, 'state', counts?.byState ?? {});
  const depth: Record<string, number> = {};
  const age: Record<string, number> = {};
  for (const { queue, queued, oldestMs } of counts?.queues ?? []) {
    const name = queue.startsWith('agent:') ? 'agent' : queue;
    depth[name] = (depth[name] ?? 0) + queued;
    age[name] = Math.max(age[name] ?? 0, oldestMs / 1_000);
  }
  fill(series.queueDepth, 'queue', depth);
  fill(series.queueAge, 'queue', age);
  if (attempts) fill(series.attempts, 'result', { ...attempts() });
}

function readAgents(series: Series, sources: MetricSources, { cells }: Asked): void {
  const { byState, byType } = sources.agents();
  fill(series.agents, 'state', byState);
  fill(series.agentTypes, 'type', byType);
  series.mailboxes.set(sum((cells ?? []).map(({ mailbox }) => mailbox)));
  const { threads, utilization, threadHeap, threadCells, threadMessages } = series;
  for (const metric of [threads, utilization, threadHeap, threadCells, threadMessages]) metric.reset();
  for (const stats of sources.threads()) {
    const thread = String(stats.thread);
    threads.inc({ liveness: stats.liveness });
    utilization.set({ thread }, stats.utilization);
    threadHeap.set({ thread }, stats.heapBytes);
    threadCells.set({ thread }, stats.cells);
    threadMessages.inc({ thread, direction: 'in' }, stats.messagesIn);
    threadMessages.inc({ thread, direction: 'out' }, stats.messagesOut);
  }
}

function readMessages(series: Series, { messages, durable }: MetricSources, { backlog }: Asked): void {
  const said = messages?.();
  if (said) {
    fill(series.sent, 'protocol', said.sent);
    follow(series.attempted, said.attempted);
    fill(series.filtered, 'how', { refused: said.filtered.refused, left_out: said.filtered.leftOut });
    follow(series.lateReplies, said.lateReplies);
    follow(series.replayedReplies, said.replayedReplies);
  }
  const kept = durable?.();
  if (kept) {
    const { deadLettered, ...rest } = kept;
    fill(series.durable, 'outcome', { ...rest, dead_lettered: deadLettered });
  }
  series.backlog.set(backlog?.messages ?? 0);
  series.backlogAge.set((backlog?.oldestMs ?? 0) / 1_000);
}

function readCluster(series: Series, { cluster, bus }: MetricSources): void {
  const links = cluster?.();
  if (links) {
    series.peers.set(links.peers);
    fill(series.clusterMessages, 'direction', { in: links.messagesIn, out: links.messagesOut });
    fill(series.clusterFrames, 'direction', { in: links.framesIn, out: links.framesOut });
    fill(series.framesDropped, 'reason', { duplicate: links.duplicates, garbage: links.garbage });
    follow(series.framesResent, links.resent);
    fill(series.clusterLost, 'outcome', { refused: links.refused, unknown: links.unknown });
    series.clusterWaiting.set(links.waiting);
  }
  const hints = bus?.();
  if (!hints) return;
  fill(series.busUp, 'kind', { [hints.kind]: hints.healthy ? 1 : 0 });
  fill(series.hints, 'direction', { published: hints.published, received: hints.received });
}

function readStore(series: Series, { storeUp, storePressure }: MetricSources): void {
  series.storeUp.set((storeUp?.() ?? true) ? 1 : 0);
  const pressure = storePressure?.();
  if (!pressure) return;
  const { connections, idle, waiting, gathering } = pressure;
  fill(series.connections, 'state', { idle, used: connections - idle });
  fill(series.storeWaiting, 'for', { connection: waiting, commit: gathering });
}
