// A node made of the real store, the real bus and coordinators; in place of threads a function runs every claimed task at once.

import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import { createInProcessBus } from '../../runtime/bus/in-process-bus.ts';
import { capabilityQueue } from '../../runtime/contracts/agent.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { wireError } from '../../runtime/contracts/errors.ts';
import type { Bus } from '../../runtime/contracts/ports.ts';
import type { Store } from '../../runtime/contracts/store.ts';
import type { ClaimedTask, SettleTask } from '../../runtime/contracts/task.ts';
import { systemAmbient } from '../../runtime/observe/ambient.ts';
import { createEventFeed } from '../../runtime/observe/event-stream.ts';
import { openStore } from '../../runtime/store/open-store.ts';
import { WorkflowService } from '../../runtime/workflows/workflow-service.ts';
import { silentLogger } from './ambient.ts';

/** What a task does; `undefined`: it never ends. */
export type Work = (task: ClaimedTask) => { result: unknown } | { fails: string } | undefined;

export interface StoreNodeOptions {
  readonly databaseUrl?: string;
  readonly dataDir?: string;
  readonly bus?: Bus;
  readonly work?: Work;
  readonly leaseMs?: number;
  readonly queues?: readonly string[];
  readonly reclaimAll?: boolean;
  readonly pollMs?: number;
}

const CAPABILITIES = ['probe.run', 'hotel.cancel', 'flight.cancel'];

export class StoreNode {
  readonly store: Store;
  readonly service: WorkflowService;
  readonly bus: Bus;
  /** Keys of the steps whose task was started here. */
  readonly started: string[] = [];
  readonly stopped: string[] = [];
  work: Work;
  readonly #queues: readonly string[];
  readonly #timers: (() => void)[] = [];
  readonly #busy = new Set<Promise<unknown>>();
  #claiming = false;
  #again = false;
  #alive = true;

  static async open(options: StoreNodeOptions = {}): Promise<StoreNode> {
    const ambient = systemAmbient(silentLogger);
    const node = ambient.newId('node');
    const { databaseUrl, dataDir = 'memory://', leaseMs = 15_000 } = options;
    const store = await openStore({ ...(databaseUrl ? { databaseUrl } : {}), dataDir, node, leaseMs }, ambient);
    const reclaimAll = options.reclaimAll ?? false;
    await store.leases.open({ id: node, host: 'test', pid: process.pid, leaseMs, manifest: [], reclaimAll });
    if (reclaimAll) await store.leases.sweep({ poisonAfter: 3 });
    const self = new StoreNode(store, options);
    await self.service.open();
    self.#claim();
    return self;
  }

  private constructor(store: Store, options: StoreNodeOptions) {
    const ambient = systemAmbient(silentLogger);
    this.store = store;
    this.bus = options.bus ?? createInProcessBus({ log: silentLogger });
    this.work = options.work ?? (() => ({ result: {} }));
    this.#queues = options.queues ?? CAPABILITIES.map((name) => capabilityQueue(name, 1));
    this.service = new WorkflowService({
      store: store.workflows,
      tasks: store.tasks,
      answerTask: () => Promise.reject(new Error('tasks here ask nothing')),
      node: store.node,
      strategies: [sequential, parallel] as unknown as CoordinationStrategy[],
      capabilities: {
        resolve: async ({ capability }) => ({ capability, version: 1, queue: capabilityQueue(capability, 1) }),
      },
      bidders: { offering: async () => [], bid: async () => null },
      slots: {
        reserve: () => ({ agentId: '' as never, thread: 0 }),
        unreserve: () => {},
        accept: (tasks) => this.#accept(tasks),
      },
      stopRunning: (claims) => this.stopped.push(...claims.map((claim) => claim.taskId)),
      draining: () => false,
      feed: createEventFeed({ clock: ambient.clock, log: silentLogger }),
      bus: this.bus,
      ambient,
      pollMs: options.pollMs ?? 1_000,
    });
    this.#timers.push(
      this.bus.subscribe((hint) => {
        if (hint.type === 'queue') this.#claim();
      }),
      ambient.clock.setInterval(() => this.#chores(), 200),
      ambient.clock.setInterval(() => void store.leases.renew().catch(() => {}), (options.leaseMs ?? 15_000) / 3),
    );
  }

  /** The process is gone: nothing is renewed, released or written any more. */
  async kill(): Promise<void> {
    this.#alive = false;
    for (const dispose of this.#timers) dispose();
    await this.service.close();
    await Promise.allSettled(this.#busy);
    await this.store.close();
  }

  async close(): Promise<void> {
    await this.service.close();
    this.#alive = false;
    for (const dispose of this.#timers) dispose();
    await Promise.allSettled(this.#busy);
    await this.store.leases.release();
    await this.store.close();
  }

  /** What the sweeper and the poller of a node do: attempts that were lost back off, and another node may have promoted them. */
  #chores(): void {
    const work = this.store.tasks
      .promote()
      .then(() => this.#claim())
      .catch(() => {})
      .finally(() => this.#busy.delete(work));
    this.#busy.add(work);
  }

  /** One claim at a time, as the dispatcher does. */
  #claim(): void {
    this.#again = true;
    if (this.#claiming || !this.#alive) return;
    this.#claiming = true;
    const work = (async () => {
      while (this.#again && this.#alive) {
        this.#again = false;
        const tasks = await this.store.tasks.claim(this.#queues.map((queue) => ({ queue, slots: 200 })));
        if (tasks.length > 0) this.#again = true;
        this.#accept(tasks);
      }
    })()
      .catch(() => {})
      .finally(() => {
        this.#claiming = false;
        this.#busy.delete(work);
      });
    this.#busy.add(work);
  }

  #accept(tasks: readonly ClaimedTask[]): void {
    for (const task of tasks) {
      if (!this.#alive) return;
      this.started.push(task.stepKey ?? task.taskId);
      const done = this.work(task);
      if (!done) continue;
      const settling = this.service
        .settle(settlementOf(task, done), { task, endedAtMs: this.store.workflows.nowMs() })
        .then((settled) => {
          if (settled.outcome === 'committed' && task.workflowId && !settled.decided)
            this.bus.publish({ type: 'workflow', workflowId: task.workflowId });
        })
        .catch(() => {})
        .finally(() => this.#busy.delete(settling));
      this.#busy.add(settling);
    }
  }
}

function settlementOf(task: ClaimedTask, done: { result: unknown } | { fails: string }): SettleTask {
  const { taskId, fence, attempt } = task;
  const base = { taskId, fence, attempt, crashed: false, agentId: null, thread: null, runMs: 0 };
  return 'result' in done
    ? { ...base, outcome: 'completed', settlement: { type: 'completed', result: done.result } }
    : { ...base, outcome: 'failed', settlement: { type: 'failed', error: wireError('handler_failed', done.fails) } };
}
