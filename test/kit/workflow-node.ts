// A node with nothing but coordinators, over a store in memory: the test is the dispatcher and says when a task ends.

import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import { capabilityQueue } from '../../runtime/contracts/agent.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { RuntimeError, wireError } from '../../runtime/contracts/errors.ts';
import type { RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { NodeId, TaskId } from '../../runtime/contracts/ids.ts';
import type { Bus, EventFeed, Hint } from '../../runtime/contracts/ports.ts';
import type { WorkflowStore } from '../../runtime/contracts/store.ts';
import type { ClaimedTask, SettleTask } from '../../runtime/contracts/task.ts';
import type { BidderPort, Claim, RunObserver } from '../../runtime/workflows/ports.ts';
import { WorkflowService } from '../../runtime/workflows/workflow-service.ts';
import { type TestAmbient, testAmbient } from './ambient.ts';
import type { MemoryWorld } from './memory-workflow-store.ts';

export const STRATEGIES = [sequential, parallel] as unknown as readonly CoordinationStrategy[];

/** Everything that is ready to run in this turn has run. */
export async function settled(turns = 8): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

export class LocalFeed implements EventFeed {
  readonly events: RuntimeEvent[] = [];
  readonly #listeners = new Set<{ hear: (event: RuntimeEvent) => void; stream: string | undefined }>();

  publish(events: readonly RuntimeEvent[]): void {
    for (const event of events) {
      this.events.push(event);
      for (const { hear, stream } of [...this.#listeners])
        if (stream === undefined || stream === event.stream) hear(event);
    }
  }
  notice(event: Omit<RuntimeEvent, 'seq' | 'at'>): void {
    this.publish([{ ...event, seq: null, at: '' }]);
  }
  subscribe(hear: (event: RuntimeEvent) => void, filter?: { readonly stream?: string }) {
    const listener = { hear, stream: filter?.stream };
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
  get listeners(): number {
    return this.#listeners.size;
  }
}

/** A bus whose hints can be lost. */
export class LocalBus implements Bus {
  readonly kind = 'in-process';
  readonly hints: Hint[] = [];
  lossy = false;
  readonly #listeners = new Set<(hint: Hint) => void>();

  publish(hint: Hint): void {
    this.hints.push(hint);
    if (!this.lossy) for (const hear of this.#listeners) hear(hint);
  }
  subscribe(hear: (hint: Hint) => void) {
    this.#listeners.add(hear);
    return () => void this.#listeners.delete(hear);
  }
  healthy(): boolean {
    return true;
  }
  async close(): Promise<void> {}
}

export interface WorkflowNode {
  readonly id: NodeId;
  readonly service: WorkflowService;
  readonly feed: LocalFeed;
  readonly bus: LocalBus;
  readonly ambient: TestAmbient;
  /** Claimed with the insert and not ended yet. */
  readonly claimed: ClaimedTask[];
  readonly stopped: Claim[];
  /** `start a/0`, `completed a/0`, `run ended`, ... in the order the supervision tree would see them. */
  readonly tree: string[];
  draining: boolean;
  /** Slots nobody holds. */
  freeSlots(): number;
  /** Tasks whose end is on its way to the store. */
  readonly settling: Set<TaskId>;
  dead(): boolean;
  /** From now on no call reaches the store: the process is gone. */
  kill(): void;
}

export interface NodeOptions {
  readonly name?: string;
  readonly slots?: number;
  readonly bus?: LocalBus;
  readonly seed?: number;
  readonly strategies?: readonly CoordinationStrategy[];
  readonly bidders?: BidderPort;
}

let incarnation = 0;

export function workflowNode(world: MemoryWorld, options: NodeOptions = {}): WorkflowNode {
  const id = `${options.name ?? 'node'}-${++incarnation}` as NodeId;
  const feed = new LocalFeed();
  const bus = options.bus ?? new LocalBus();
  const ambient = testAmbient({ seed: options.seed ?? incarnation });
  const claimed: ClaimedTask[] = [];
  const stopped: Claim[] = [];
  const tree: string[] = [];
  let alive = true;
  let free = options.slots ?? 0;
  const guarded = <T extends object>(store: T): T =>
    new Proxy(store, {
      get: (target, key) => {
        const method = Reflect.get(target, key) as (...args: unknown[]) => unknown;
        if (key === 'nowMs') return () => method.apply(target);
        return async (...args: unknown[]) => {
          await undefined;
          if (!alive) throw new RuntimeError('store_unavailable', 'the node is dead');
          return method.apply(target, args);
        };
      },
    });
  const observer: RunObserver = {
    runStarted: () => tree.push('run started'),
    stepStarted: (_, { step, round }) => tree.push(`start ${step}/${round}`),
    stepEnded: (_, { step, round }, outcome) => tree.push(`${outcome} ${step}/${round}`),
    runEnded: (_, outcome) => tree.push(`run ${outcome}`),
  };
  const node: WorkflowNode = {
    id,
    feed,
    bus,
    ambient,
    claimed,
    stopped,
    tree,
    draining: false,
    settling: new Set(),
    dead: () => !alive,
    freeSlots: () => free,
    kill: () => {
      alive = false;
      void node.service.close();
    },
    service: new WorkflowService({
      store: guarded<WorkflowStore>(world.store(id)),
      tasks: guarded(world.taskStore()),
      answerTask: () => Promise.reject(new RuntimeError('input_not_found', 'tasks here ask nothing')),
      node: id,
      strategies: options.strategies ?? STRATEGIES,
      capabilities: {
        async resolve({ capability }) {
          const [name = '', version = '1'] = capability.split('@');
          if (name.startsWith('unknown.'))
            throw new RuntimeError('unknown_capability', `no agent type offers "${name}"`);
          return { capability: name, version: Number(version), queue: capabilityQueue(name, Number(version)) };
        },
      },
      bidders: options.bidders ?? { offering: async () => [], bid: async () => null },
      slots: {
        reserve: () => (free > 0 && free-- > 0 ? { agentId: 'agent' as never, thread: 0 } : undefined),
        unreserve: () => void free++,
        accept: (tasks) => void claimed.push(...tasks),
      },
      stopRunning: (claims) => void stopped.push(...claims),
      draining: () => node.draining,
      observer,
      feed,
      bus,
      ambient,
      pollMs: 1_000,
    }),
  };
  return node;
}

/** Ends one open task as the node that claimed it would, and hints at it. False when there is none. */
export function endTask(
  world: MemoryWorld,
  node: WorkflowNode,
  choose: (count: number) => number = () => 0,
  outcomeOf: (step: string, round: number) => { result: unknown } | { fails: string } = (step, round) => ({
    result: { step, round },
  }),
): boolean {
  const open = [...world.tasks.values()].filter(
    (one) =>
      one.state === 'queued' || (one.state === 'running' && one.owner === node.id && !node.settling.has(one.task.id)),
  );
  const entry = open[choose(open.length)];
  if (!entry) return false;
  if (entry.state === 'queued') world.claim(entry.task.id, node.id);
  const { workflow } = entry.task;
  const outcome = outcomeOf(workflow?.step ?? '', workflow?.round ?? 0);
  const task = world.claimed(entry.task.id);
  const settle = task && settleOf(task, outcome);
  // Its run takes it in the same commit, or it is settled first and told by mail: both ways go on.
  if (settle && choose(2) === 1) {
    const told = ({ decided }: { readonly decided?: boolean }) => {
      if (workflow && !decided) node.bus.publish({ type: 'workflow', workflowId: workflow.id });
    };
    const again = () => !node.dead() && world.settle(task.taskId, task.fence, outcome) && told({});
    node.settling.add(task.taskId);
    const settling = node.service.settle(settle, { task, endedAtMs: world.nowMs }).then(told, again);
    void settling.finally(() => node.settling.delete(task.taskId));
    return true;
  }
  world.settle(entry.task.id, entry.fence, outcome);
  if (workflow) node.bus.publish({ type: 'workflow', workflowId: workflow.id });
  return true;
}

function settleOf(task: ClaimedTask, outcome: { result: unknown } | { fails: string }): SettleTask {
  const { taskId, fence, attempt } = task;
  const base = { taskId, fence, attempt, crashed: false, agentId: null, thread: null, runMs: 0 };
  return 'result' in outcome
    ? { ...base, outcome: 'completed', settlement: { type: 'completed', result: outcome.result } }
    : { ...base, outcome: 'failed', settlement: { type: 'failed', error: wireError('handler_failed', outcome.fails) } };
}
