// Ends of steps whose run is on this node: they wait for the decision on them, and go their own way when there can be none.

import { describe, expect, it } from 'vitest';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import type { WorkflowStore } from '../../runtime/contracts/store.ts';
import type { SettleTask } from '../../runtime/contracts/task.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { MemoryWorld } from '../kit/memory-workflow-store.ts';
import { settled, type WorkflowNode, workflowNode } from '../kit/workflow-node.ts';
import { step } from '../kit/workflows.ts';

const three: CreateWorkflow = { pattern: 'parallel', tasks: [step('a'), step('b'), step('c')] };

interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}
function gate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open: () => open() };
}

/** A node whose store does these otherwise. */
async function nodeWith(
  world: MemoryWorld,
  change: (store: WorkflowStore) => Partial<WorkflowStore>,
): Promise<WorkflowNode> {
  const storeOf = world.store.bind(world);
  world.store = (node) => {
    const store = storeOf(node);
    return { ...store, ...change(store) };
  };
  const node = workflowNode(world, { slots: 10 });
  await node.service.open();
  return node;
}

async function begin(node: WorkflowNode): Promise<WorkflowId> {
  const { id } = await node.service.create(three, undefined, { start: true });
  await settled();
  return id as WorkflowId;
}

/** Settles a step of the run as its attempt would. */
function end(world: MemoryWorld, node: WorkflowNode, run: WorkflowId, name: string) {
  const entry = [...world.tasks.values()].find(({ task }) => task.workflow?.id === run && task.workflow.step === name);
  const task = entry && world.claimed(entry.task.id);
  if (!task) throw new Error(`no task ${name} is claimed`);
  const settle: SettleTask = {
    taskId: task.taskId,
    fence: task.fence,
    attempt: task.attempt,
    crashed: false,
    agentId: null,
    thread: null,
    runMs: 0,
    outcome: 'completed',
    settlement: { type: 'completed', result: name },
  };
  return node.service.settle(settle, { task, endedAtMs: world.nowMs });
}

const journalOf = (world: MemoryWorld, id: WorkflowId) => world.runs.get(id)?.journal.map(({ type }) => type);

describe('the end of a step whose run is here', () => {
  it('is one commit with the decision on it', async () => {
    const world = new MemoryWorld();
    const node = await nodeWith(world, () => ({}));
    const id = await begin(node);
    const commits = world.commits;
    expect(await end(world, node, id, 'a')).toMatchObject({ outcome: 'committed', decided: true });
    expect(world.commits - commits).toBe(1);
    expect(world.runs.get(id)?.inbox.size).toBe(0);
  });

  it('waits for mail that came before it, though other inboxes are still being read', async () => {
    const world = new MemoryWorld();
    let reading: Gate | undefined;
    const node = await nodeWith(world, (store) => ({
      inbox: async (...args) => {
        await reading?.opened;
        return store.inbox(...args);
      },
    }));
    const [run, other] = [await begin(node), await begin(node)];
    reading = gate();
    node.bus.publish({ type: 'workflow', workflowId: other });
    await settled();
    const cancelled = node.service.cancel(run);
    await settled();
    const late = end(world, node, run, 'a');
    await settled();
    expect(journalOf(world, run)).toEqual(['started']);
    reading.open();
    await cancelled;
    await late;
    expect(journalOf(world, run)).toEqual(['started', 'cancel']);
  });

  it('stands alone when its run goes to another node before the decision on it', async () => {
    const world = new MemoryWorld();
    const deciding = gate();
    const node = await nodeWith(world, () => ({
      settleDecided: async (ends) => {
        await deciding.opened;
        return { settled: ends.map(() => ({ outcome: 'fenced' })), advanced: { outcome: 'conflict' } };
      },
    }));
    const id = await begin(node);
    const first = end(world, node, id, 'a');
    await settled();
    const second = end(world, node, id, 'b');
    await settled();
    deciding.open();
    expect(await first).toMatchObject({ outcome: 'fenced' });
    const alone = await second;
    expect(alone).toMatchObject({ outcome: 'committed' });
    expect(alone.decided).toBeUndefined();
    const mail = [...(world.runs.get(id)?.inbox.values() ?? [])].map(({ event }) => event);
    expect(mail).toMatchObject([{ type: 'step.completed', step: 'b' }]);
  });
});
