// A node's task machinery over the fakes: dispatcher, service, feed, bus, manual clock.

import { createInProcessBus } from '../../runtime/bus/in-process-bus.ts';
import type { RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { NodeId } from '../../runtime/contracts/ids.ts';
import type { EventFeed, Hint } from '../../runtime/contracts/ports.ts';
import type { NewTask } from '../../runtime/contracts/store.ts';
import { type ClaimedTask, type RetryOptions, retrySchema, type TaskOutcome } from '../../runtime/contracts/task.ts';
import { createCapabilityResolver } from '../../runtime/tasks/capability-resolver.ts';
import { Dispatcher } from '../../runtime/tasks/dispatcher.ts';
import { TaskService } from '../../runtime/tasks/task-service.ts';
import { type TestAmbient, testAmbient } from './ambient.ts';
import { type FakeTable, FakeTaskStore } from './fake-task-store.ts';
import { FakeRunner, FakeWorkforce } from './fake-workforce.ts';
import { settle } from './manual-clock.ts';

export const POLL_MS = 1_000;
export const GRACE_MS = 500;

export interface TaskRig {
  readonly ambient: TestAmbient;
  readonly store: FakeTaskStore;
  readonly workforce: FakeWorkforce;
  readonly runner: FakeRunner;
  readonly dispatcher: Dispatcher;
  readonly service: TaskService;
  readonly events: RuntimeEvent[];
  readonly hints: Hint[];
  readonly node: NodeId;
  newTask(queue: string, change?: Partial<Omit<NewTask, 'retry'>> & { retry?: RetryOptions }): NewTask;
}

export interface RigOptions {
  readonly ambient?: TestAmbient;
  readonly table?: FakeTable;
  readonly bus?: ReturnType<typeof createInProcessBus>;
  readonly queueLimit?: number;
  readonly capabilities?: readonly (readonly [string, number])[];
}

export function taskRig(options: RigOptions = {}): TaskRig {
  const ambient = options.ambient ?? testAmbient();
  const node = ambient.newId('node');
  const store = new FakeTaskStore(ambient.clock, node, options.table);
  const workforce = new FakeWorkforce();
  const runner = new FakeRunner();
  const bus = options.bus ?? createInProcessBus({ log: ambient.log });
  const events: RuntimeEvent[] = [];
  const hints: Hint[] = [];
  bus.subscribe((hint) => hints.push(hint));
  const feed = simpleFeed(events);
  const config = { pollMs: POLL_MS, graceMs: GRACE_MS, poisonAfter: 3, queueLimit: options.queueLimit ?? 1_000_000 };
  const dispatcher = new Dispatcher({ store, workforce, runner, bus, feed, ambient, config });
  const agents = { get: async () => null, liveCapabilities: async () => new Map<string, number>() };
  const manifest = {
    get: () => undefined,
    entries: () =>
      [{ capabilities: (options.capabilities ?? []).map(([name, version]) => ({ name, version })) }] as never,
  };
  const resolver = createCapabilityResolver({ workforce, agents, manifest, clock: ambient.clock });
  const service = new TaskService({
    store,
    agents,
    events: { read: async (stream) => events.filter((event) => event.stream === stream) },
    node,
    dispatcher,
    workforce,
    resolver,
    feed,
    bus,
    ambient,
    config,
  });
  return {
    ambient,
    store,
    workforce,
    runner,
    dispatcher,
    service,
    events,
    hints,
    node,
    newTask: (queue, { retry, ...change } = {}) => ({
      id: ambient.newId('task'),
      tenant: 'default',
      capability: queue.split('@')[0] ?? queue,
      version: 1,
      queue,
      input: {},
      priority: 5,
      timeoutMs: 60_000,
      retry: retrySchema.parse(retry ?? {}),
      ...change,
    }),
  };
}

/** Lets everything that needs no time happen: the fake store answers in a later turn, so some turns. */
export async function turns(count = 12): Promise<void> {
  for (let turn = 0; turn < count; turn++) await settle();
}

export const completed = (result: unknown = 'done'): TaskOutcome => ({ type: 'completed', result, runMs: 1 });
export const completes = (_agent: unknown, task: ClaimedTask): TaskOutcome => completed(task.taskId);

function simpleFeed(events: RuntimeEvent[]): EventFeed {
  const listeners = new Set<(event: RuntimeEvent) => void>();
  const publish = (all: readonly RuntimeEvent[]) => {
    for (const event of all) {
      events.push(event);
      for (const listener of listeners) listener(event);
    }
  };
  return {
    publish,
    notice: (event) => publish([{ ...event, seq: null, at: '' }]),
    subscribe: (listener, filter) => {
      const own = (event: RuntimeEvent) => {
        if (filter?.stream === undefined || filter.stream === event.stream) listener(event);
      };
      listeners.add(own);
      return () => listeners.delete(own);
    },
  };
}
