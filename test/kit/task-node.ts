// One node's task machinery over a real store: lease, dispatcher, sweeper, service; agents are entries in a workforce and
// their handlers plain functions of the test. No threads.

import { randomBytes } from 'node:crypto';
import { NodeWorkforce } from '../../runtime/agents/workforce.ts';
import { createInProcessBus } from '../../runtime/bus/in-process-bus.ts';
import { type AgentId, createIdFactory, type TaskId } from '../../runtime/contracts/ids.ts';
import type { Ambient, Bus, TaskRunner } from '../../runtime/contracts/ports.ts';
import type { Store, TaskStore } from '../../runtime/contracts/store.ts';
import type { CancelEffect, ClaimedTask, TaskOutcome } from '../../runtime/contracts/task.ts';
import { systemClock } from '../../runtime/observe/ambient.ts';
import { createEventFeed } from '../../runtime/observe/event-stream.ts';
import { openStore } from '../../runtime/store/open-store.ts';
import { createCapabilityResolver } from '../../runtime/tasks/capability-resolver.ts';
import { Dispatcher } from '../../runtime/tasks/dispatcher.ts';
import { LeaseKeeper } from '../../runtime/tasks/lease-keeper.ts';
import { nodeChores } from '../../runtime/tasks/node-chores.ts';
import { Sweeper } from '../../runtime/tasks/sweeper.ts';
import { TaskService } from '../../runtime/tasks/task-service.ts';
import { silentLogger } from './ambient.ts';

export type Handler = (run: {
  readonly agent: AgentId;
  readonly task: ClaimedTask;
  readonly signal: AbortSignal;
}) => Promise<TaskOutcome> | TaskOutcome;

export interface TaskNodeOptions {
  /** Absent: PGlite in memory. */
  readonly databaseUrl?: string;
  readonly handler: Handler;
  readonly bus?: Bus;
  readonly leaseMs?: number;
  readonly pollMs?: number;
  readonly graceMs?: number;
  readonly capabilities?: readonly string[];
  /** Stands between the machinery and the store, to lose answers. */
  readonly wrap?: (store: TaskStore) => TaskStore;
}

export interface TaskNode {
  readonly store: Store;
  readonly workforce: NodeWorkforce;
  readonly dispatcher: Dispatcher;
  readonly service: TaskService;
  readonly sweeper: Sweeper;
  readonly bus: Bus;
  readonly ambient: Ambient;
  /** An agent with slots for these capabilities (version 1). */
  agent(capabilities: readonly string[], slots?: number): AgentId;
  /** The node goes silent as if its process hung: no renewal, no sweep, no claim. Its handlers go on. */
  hang(): Promise<void>;
  stop(): Promise<void>;
}

export async function startTaskNode(options: TaskNodeOptions): Promise<TaskNode> {
  const { handler, leaseMs = 15_000, pollMs = 200, graceMs = 200 } = options;
  const ambient: Ambient = {
    clock: systemClock,
    random: Math.random,
    newId: createIdFactory({ nowMs: systemClock.nowMs, randomBytes }),
    log: silentLogger,
  };
  const node = ambient.newId('node');
  const store = await openStore(
    { dataDir: 'memory://', node, leaseMs, ...(options.databaseUrl ? { databaseUrl: options.databaseUrl } : {}) },
    ambient,
  );
  await store.leases.open({ id: node, host: 'test', pid: process.pid, leaseMs, manifest: [], reclaimAll: false });
  const tasks = options.wrap?.(store.tasks) ?? store.tasks;
  const workforce = new NodeWorkforce();
  const feed = createEventFeed(ambient);
  const bus = options.bus ?? createInProcessBus({ log: silentLogger });
  const config = { pollMs, graceMs, poisonAfter: 3, queueLimit: 1_000_000, leaseMs };
  const onScheduled = (inMs: number) => sweeper.soon('promote', inMs);
  const dispatcher = new Dispatcher({
    store: tasks,
    events: store.events,
    workforce,
    runner: functionRunner(handler),
    bus,
    feed,
    ambient,
    config,
    onScheduled,
  });
  const lease = new LeaseKeeper({
    leases: store.leases,
    ambient,
    leaseMs,
    onDoubt: () => dispatcher.suspend(),
    onBack: () => dispatcher.resume(),
    onLost: () => void dispatcher.loseLease(),
  });
  lease.opened();
  const sweeper: Sweeper = new Sweeper(ambient, [
    lease.chore(),
    ...nodeChores({ store: { ...store, tasks }, dispatcher, feed, bus, ambient, lease, config }),
  ]);
  const manifest = {
    get: () => undefined,
    entries: () => [{ capabilities: (options.capabilities ?? []).map((name) => ({ name, version: 1 })) }] as never,
  };
  const resolver = createCapabilityResolver({ workforce, agents: store.agents, manifest, clock: systemClock });
  const service = new TaskService({
    store: tasks,
    agents: store.agents,
    events: store.events,
    node,
    dispatcher,
    workforce,
    resolver,
    feed,
    bus,
    ambient,
    config,
    onScheduled,
  });
  dispatcher.start();
  sweeper.start();
  return {
    store,
    workforce,
    dispatcher,
    service,
    sweeper,
    bus,
    ambient,
    agent(capabilities, slots = 1) {
      const id = ambient.newId('agent');
      workforce.join({ id, slots, epoch: 1, capabilities: capabilities.map((name) => ({ name, version: 1 })) });
      workforce.setAvailable(id, true, 0);
      return id;
    },
    async hang() {
      lease.stop();
      await sweeper.stop();
      dispatcher.suspend();
    },
    async stop() {
      service.close();
      lease.stop();
      await sweeper.stop();
      await dispatcher.stop();
      await store.close();
    },
  };
}

/** Runs handlers of the test with an abort signal; an abort is cooperative when the handler ends within the grace. */
function functionRunner(handler: Handler): TaskRunner {
  const open = new Map<TaskId, { readonly abort: AbortController; readonly done: Promise<TaskOutcome> }>();
  return {
    async runTask(agent, task) {
      const abort = new AbortController();
      const done = Promise.resolve().then(() => handler({ agent, task, signal: abort.signal }));
      const run = { abort, done };
      open.set(task.taskId, run);
      try {
        return await done;
      } finally {
        if (open.get(task.taskId) === run) open.delete(task.taskId);
      }
    },
    async cancelTask(taskId, _fence, graceMs): Promise<CancelEffect> {
      const run = open.get(taskId);
      if (!run) return { how: 'not_running', collateral: [] };
      run.abort.abort();
      const ended = await Promise.race([
        run.done.then(() => true),
        new Promise<false>((resolve) => setTimeout(() => resolve(false), graceMs)),
      ]);
      return { how: ended ? 'cooperative' : 'abandoned', collateral: [] };
    },
  };
}

export const done = (result: unknown = null): TaskOutcome => ({ type: 'completed', result, runMs: 1 });

/** Ends as `cancelled` when it is aborted, never otherwise. */
export function untilAborted(signal: AbortSignal): Promise<TaskOutcome> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ type: 'cancelled', runMs: 1 }), { once: true });
  });
}
