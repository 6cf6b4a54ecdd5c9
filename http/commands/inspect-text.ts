// The picture of `troupe inspect` as text. Pure: two sights of a cluster in, lines out.

import type { InspectNode, InspectNodes, InspectThreads, InspectTree } from '../../runtime/contracts/inspection.ts';
import { table } from './output.ts';

export interface Sight {
  readonly at: string;
  /** Of a clock that only grows, for rates. */
  readonly atMs: number;
  readonly nodes: InspectNodes;
  readonly threads: InspectThreads;
  readonly tree: InspectTree;
}

/** States that say that something is wrong, or goes on, before those at rest. */
const WEIGHT: Readonly<Record<string, number>> = { error: 4, paused: 2, initializing: 2, running: 1 };

export function inspectText(now: Sight, before: Sight | undefined, top: number, columns: number): string {
  const { nodes, threads, tree } = now;
  const parts = [
    `${now.at}  ${nodes.items.length} node(s), ${threads.items.length} thread(s), ${tree.total} agent(s)`,
    section('nodes', table(nodes.items.map(nodeRow), NODE_COLUMNS)),
    section(
      'threads',
      table(
        threads.items.map((one) => threadRow(one, before, now)),
        THREAD_COLUMNS,
      ),
    ),
    section('agents by type and state', table(typeRows(tree), ['type', 'state', 'agents'])),
    section(`agents, ${Math.min(top, tree.items.length)} of ${tree.total}`, agentsTable(tree.items, top)),
    ...(threads.deaths[0] === undefined
      ? []
      : [section('last deaths of threads', table(threads.deaths.slice(0, 3), DEATHS))]),
    ...(nodes.unreachable.length === 0 ? [] : [`\nnot reachable from here: ${nodes.unreachable.join(', ')}`]),
  ];
  return parts
    .join('\n')
    .split('\n')
    .map((line) => line.slice(0, Math.max(40, columns)))
    .join('\n');
}

const NODE_COLUMNS = [
  'node',
  'state',
  'agents',
  'queued',
  'oldest',
  'start/s',
  'done/s',
  'fail/s',
  'wait p95',
  'loop',
  'rss',
];
const THREAD_COLUMNS = ['node', 'thread', 'state', 'agents', 'waiting', 'loop', 'heap', 'in/s', 'out/s', 'beat'];
const DEATHS = ['at', 'node', 'thread', 'reason', 'agents', 'error'];

function section(title: string, text: string): string {
  return `\n${title}\n${text}`;
}

function nodeRow({ id, state, agents, self, figures }: InspectNodes['items'][number]) {
  const tasks = figures?.tasks;
  return {
    node: self ? `${short(id)}*` : short(id),
    state,
    agents,
    queued: tasks?.queued,
    oldest: milliseconds(tasks?.oldestQueuedMs),
    'start/s': tasks?.startedPerSecond,
    'done/s': tasks?.completedPerSecond,
    'fail/s': tasks?.failedPerSecond,
    'wait p95': milliseconds(tasks?.queueWaitP95Ms),
    loop: percent(figures?.utilization),
    rss: bytes(figures?.rssBytes),
  };
}

function threadRow(one: InspectThreads['items'][number], before: Sight | undefined, now: Sight) {
  const known = before?.threads.items.find(({ node, thread }) => node === one.node && thread === one.thread);
  const seconds = before === undefined ? 0 : (now.atMs - before.atMs) / 1_000;
  const rate = (key: 'messagesIn' | 'messagesOut'): number | null =>
    known === undefined || seconds <= 0 ? null : Math.round((one[key] - known[key]) / seconds);
  return {
    node: short(one.node),
    thread: one.dedicatedTo === undefined ? one.thread : `${one.thread} (dedicated)`,
    state: one.liveness,
    agents: one.agents,
    waiting: one.mailbox,
    loop: percent(one.utilization),
    heap: `${bytes(one.heapBytes)}${one.heapLimitBytes === null ? '' : ` of ${bytes(one.heapLimitBytes)}`}`,
    'in/s': rate('messagesIn'),
    'out/s': rate('messagesOut'),
    beat: milliseconds(one.lastBeatAgoMs),
  };
}

function typeRows({ counts }: InspectTree) {
  const all = new Map<string, number>();
  for (const { byTypeAndState } of Object.values(counts))
    for (const [key, count] of Object.entries(byTypeAndState)) all.set(key, (all.get(key) ?? 0) + count);
  return [...all]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([key, agents]) => {
      const gap = key.lastIndexOf(' ');
      return { type: key.slice(0, gap), state: key.slice(gap + 1), agents };
    });
}

/** Those with most mail first, then those in trouble, then those at work. */
function agentsTable(agents: readonly InspectNode[], top: number): string {
  const weight = ({ state, restarts }: InspectNode): number => (WEIGHT[state] ?? 0) + Math.min(restarts, 1);
  const rows = agents
    .toSorted((a, b) => (b.mailbox ?? 0) - (a.mailbox ?? 0) || weight(b) - weight(a))
    .slice(0, top)
    .map(({ name, type, state, node, thread, mailbox, restarts, reason }) => {
      return { name, type, state, node: short(node), thread, waiting: mailbox, restarts, reason };
    });
  return table(rows, ['name', 'type', 'state', 'node', 'thread', 'waiting', 'restarts', 'reason']);
}

/** Ids of nodes differ in their ends. */
const short = (node: string): string => (node.length > 12 ? `..${node.slice(-8)}` : node);
const percent = (share: number | undefined): string | null =>
  share === undefined ? null : `${Math.round(share * 100)} %`;
const bytes = (count: number | undefined): string | null =>
  count === undefined ? null : `${Math.round(count / 1_048_576)} MB`;
const milliseconds = (ms: number | null | undefined): string | null =>
  ms === null || ms === undefined ? null : `${Math.round(ms)} ms`;
