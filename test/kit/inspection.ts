// An inspector over a made-up node: agents and threads as a test wants them, moved by hand, with a manual clock.

import type { AgentState } from '../../runtime/contracts/agent.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { ThreadFocus } from '../../runtime/contracts/inspection-wire.ts';
import type { PoolNotice, ThreadStats } from '../../runtime/contracts/wire.ts';
import { createEventFeed } from '../../runtime/observe/event-stream.ts';
import { Inspector } from '../../runtime/observe/inspection/inspector.ts';
import { LocalInspector } from '../../runtime/observe/inspection/local-inspector.ts';
import type { InspectSources, WatchedAgent, WatchedTransition } from '../../runtime/observe/inspection/ports.ts';
import type { TestAmbient } from './ambient.ts';

export const NODE = 'nod_test';

export interface MadeUpNode {
  readonly sources: InspectSources;
  readonly local: LocalInspector;
  readonly inspector: Inspector;
  /** What the threads were told to tell. */
  readonly focuses: readonly ThreadFocus[];
  readonly agents: Map<string, WatchedAgent & { name: string }>;
  readonly threads: ThreadStats[];
  readonly waiting: Map<string, number>;
  readonly workflows: Map<string, { tenant: string; steps: string[] }>;
  spawn(id: string, about?: { type?: string; tenant?: string; name?: string; thread?: number }): void;
  /** Changes its state, as its supervisor would tell. */
  move(id: string, to: AgentState, cause?: string): void;
  notice(notice: PoolNotice): void;
}

export function madeUpNode(ambient: TestAmbient, overrides: Partial<InspectSources> = {}): MadeUpNode {
  const { clock, log, newId } = ambient;
  const agents: MadeUpNode['agents'] = new Map();
  const threads: ThreadStats[] = [1, 2].map((thread) => threadStats(thread));
  const waiting: MadeUpNode['waiting'] = new Map();
  const workflows: MadeUpNode['workflows'] = new Map();
  const focuses: ThreadFocus[] = [];
  const transitions = new Set<(transition: WatchedTransition) => void>();
  const notices = new Set<(notice: PoolNotice) => void>();
  const listen = <Value>(set: Set<Value>, listener: Value) => {
    set.add(listener);
    return () => void set.delete(listener);
  };
  const groupsOf = (): ReturnType<InspectSources['groups']> => [
    { id: 'threads', kind: 'supervisor', state: 'running', children: [child('pool')] },
    { id: 'agents', kind: 'supervisor', state: 'running', children: [] },
    {
      id: 'workflows',
      kind: 'supervisor',
      state: 'running',
      children: [...workflows].map(([id, { steps }]) => ({
        id,
        kind: 'coordinator',
        state: 'running',
        children: steps.map((step) => ({ id: `${id}/${step}`, kind: 'step', state: 'running', children: [] })),
      })),
    },
    { id: 'work', kind: 'supervisor', state: 'running', children: [child('dispatcher')] },
  ];
  const sources: InspectSources = {
    node: NODE,
    clock,
    log,
    feed: createEventFeed({ clock, log }),
    status: () => 'running',
    uptimeMs: () => 1_000,
    groups: groupsOf,
    rootState: () => 'running',
    agents: () => agents.values(),
    agentOf: (id) => agents.get(id),
    nameOf: (id) => agents.get(id)?.name,
    onTransition: (listener) => listen(transitions, listener),
    onNotice: (listener) => listen(notices, listener),
    threads: () => threads,
    heapLimitBytes: () => 268_435_456,
    waitingFor: (id) => waiting.get(id) ?? 0,
    mail: () => [...waiting].map(([agent, count]) => ({ agent, thread: 1, waiting: count })),
    cellStats: async () => [],
    isWorkflowOf: (id, tenant) => workflows.get(id)?.tenant === tenant,
    tasks: async () => ({ queued: 3, running: 1, oldestQueuedMs: 20 }),
    process: () => ({ rssBytes: 1, heapBytes: 1, utilization: 0.5 }),
    cell: async () => ({
      incarnation: 1,
      machine: null,
      context: null,
      mailbox: { waiting: 0, capacity: 10, overflow: 'reject', first: [] },
    }),
    livesHere: (id) => agents.has(id),
    running: () => [],
    focusThreads: (focus) => void focuses.push(focus),
    inspectTree: () => () => undefined,
    secrets: () => [],
    agentView: async (idOrName) => {
      throw new RuntimeError('actor_not_found', `nothing is called ${idOrName}`);
    },
    members: async () => [],
    links: () => ({
      peers: 0,
      messagesOut: 0,
      messagesIn: 0,
      framesOut: 0,
      framesIn: 0,
      duplicates: 0,
      resent: 0,
      garbage: 0,
      refused: 0,
      unknown: 0,
      waiting: 0,
    }),
    config: () => ({ node: NODE, version: '0.0.0', items: [] }),
    ...overrides,
  };
  const local = new LocalInspector(sources);
  const inspector = new Inspector({
    local,
    cluster: {
      peers: () => [],
      cast: () => 0,
      call: () => Promise.reject(new RuntimeError('unreachable', 'there are no others')),
      handle: () => () => undefined,
      onChange: () => () => undefined,
    },
    newStreamId: () => newId('event'),
    async profile(thread) {
      if (!threads.some((stats) => stats.thread === thread))
        throw new RuntimeError('thread_not_found', `there is no thread ${thread}`);
      return { nodes: [], startTime: 0, endTime: 1, samples: [], timeDeltas: [] };
    },
  });
  const move: MadeUpNode['move'] = (id, to, cause = 'test') => {
    const agent = agents.get(id);
    if (!agent) throw new Error(`no agent ${id}`);
    const { type, tenant, state: from, incarnation, thread } = agent;
    if (to === 'terminated') agents.delete(id);
    else agents.set(id, { ...agent, state: to });
    for (const listener of transitions)
      listener({ id, type, tenant, from, to, cause, incarnation, thread, error: undefined });
  };
  return {
    sources,
    local,
    inspector,
    focuses,
    agents,
    threads,
    waiting,
    workflows,
    spawn(id, { type = 'worker', tenant = 'default', name = id, thread = 1 } = {}) {
      agents.set(id, {
        id,
        name,
        type,
        tenant,
        state: 'created',
        thread,
        incarnation: 1,
        restarts: 0,
        errors: 0,
        reason: undefined,
        error: undefined,
        startedAtMs: clock.nowMs(),
      });
      move(id, 'initializing', 'initialize');
      move(id, 'idle', 'ready');
    },
    move,
    notice(notice) {
      for (const listener of notices) listener(notice);
    },
  };
}

function child(id: string) {
  return { id, kind: 'child', state: 'running', children: [] };
}

export function threadStats(thread: number): ThreadStats {
  return {
    thread,
    cells: 0,
    heapBytes: 1_000_000,
    utilization: 0.1,
    liveness: 'idle',
    lastBeatAgoMs: 10,
    messagesIn: 0,
    messagesOut: 0,
  };
}
