// Nodes die between and during commits, hints are lost, tasks end on other nodes: every run ends, and nothing finished is repeated.

import { describe, expect, it } from 'vitest';
import { sequential } from '../../patterns/sequential.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { definitionOf, hashOf, strategiesByName } from '../../runtime/workflows/definition.ts';
import { remember } from '../../runtime/workflows/remember.ts';
import type { RunMemory } from '../../runtime/workflows/run-memory.ts';
import { seededRandom } from '../kit/coordination-simulator.ts';
import { MemoryWorld } from '../kit/memory-workflow-store.ts';
import { endTask, LocalBus, STRATEGIES, settled, type WorkflowNode, workflowNode } from '../kit/workflow-node.ts';
import { chain, fanOut, randomGraph, richGraph, step } from '../kit/workflows.ts';

const strategies = strategiesByName(STRATEGIES);

/** The journal alone gives the state the run ended with. */
function checkJournal(world: MemoryWorld, id: WorkflowId): void {
  const run = world.runs.get(id);
  if (!run) throw new Error('no run');
  const definition = definitionOf(strategies, run.row);
  let memory: RunMemory | null = null;
  for (const event of run.journal) memory = remember(definition, id, memory, event).memory;
  expect(hashOf(memory)).toBe(run.stateHash);
}

function checkOnce(world: MemoryWorld, id: WorkflowId): void {
  const rounds = [...world.tasks.values()].filter(({ task }) => task.workflow?.id === id);
  const keys = rounds.map(({ task }) => `${task.workflow?.step}/${task.workflow?.round}`);
  expect(new Set(keys).size).toBe(keys.length);
  const ended = world.runs.get(id)?.journal.filter((event) => event.type === 'step.completed') ?? [];
  expect(new Set(ended.map((event) => ('step' in event ? `${event.step}/${event.round}` : ''))).size).toBe(
    ended.length,
  );
  for (const { state } of rounds) expect(['completed', 'failed', 'cancelled']).toContain(state);
}

function someBody(seed: number): CreateWorkflow {
  const random = seededRandom(seed);
  const onFailure = (['fail_fast', 'continue', 'compensate'] as const)[seed % 3] ?? 'fail_fast';
  if (random() < 0.3) return { pattern: 'sequential', tasks: randomGraph(6, seed), onFailure };
  if (random() < 0.3) return fanOut(6, { options: { join: { quorum: 3 }, maxConcurrency: 4 } });
  return { pattern: 'parallel', tasks: richGraph(seed), onFailure, options: { maxConcurrency: 3 } };
}

describe('a run whose nodes die at random', () => {
  const SEEDS = 150;
  it(`ends and repeats nothing that finished, for ${SEEDS} seeds`, async () => {
    let crashes = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seededRandom(seed * 31);
      const world = new MemoryWorld();
      const bus = new LocalBus();
      bus.lossy = seed % 3 === 0;
      const fresh = () => workflowNode(world, { bus, slots: Math.floor(random() * 3) });
      let nodes: WorkflowNode[] = [fresh(), fresh()];
      await Promise.all(nodes.map((node) => node.service.open()));
      const ids: WorkflowId[] = [];
      for (let count = 0; count < 3; count++) {
        const node = nodes[count % 2];
        if (!node) continue;
        const view = await node.service.create(someBody(seed * 3 + count));
        await node.service.start(view.id);
        ids.push(view.id);
      }
      const outcome = (name: string, round: number) =>
        random() < 0.1 ? { fails: 'chance' } : { result: { step: name, round, list: [1, 2] } };
      for (let turn = 0; turn < 3_000; turn++) {
        if (ids.every((id) => world.runs.get(id)?.row.endedAt)) break;
        const node = nodes[Math.floor(random() * nodes.length)];
        if (!node) break;
        const dice = random();
        if (dice < 0.6) endTask(world, node, (count) => Math.floor(random() * count), outcome);
        else if (dice < 0.7) world.failNext = random() < 0.5 ? 'before' : 'after';
        else if (dice < 0.78) {
          crashes += 1;
          node.kill();
          const heir = fresh();
          nodes = nodes.map((one) => (one === node ? heir : one));
          if (random() < 0.5) await settled(1);
          world.lose(node.id);
          await heir.service.open();
        } else if (dice < 0.9) void node.service.poll();
        await settled(random() < 0.5 ? 1 : 3);
      }
      for (const id of ids) {
        expect(
          world.runs.get(id)?.row.endedAt,
          `seed ${seed}: ${JSON.stringify(world.runs.get(id)?.row)}`,
        ).toBeTruthy();
        checkJournal(world, id);
        checkOnce(world, id);
      }
      await Promise.all(nodes.map((node) => node.service.close()));
    }
    expect(crashes).toBeGreaterThan(SEEDS);
  });
});

describe('taking a run up again', () => {
  it('goes on after the last finished step on another node', async () => {
    const world = new MemoryWorld();
    const first = workflowNode(world);
    await first.service.open();
    const { id } = await first.service.create(chain(20));
    await first.service.start(id);
    for (let ended = 0; ended < 10; ended++) {
      await settled();
      endTask(world, first);
    }
    // the tenth outcome is committed, its coordinator never decides on it
    first.kill();
    await settled();
    world.lose(first.id);
    const second = workflowNode(world);
    await second.service.open();
    await settled();
    while (endTask(world, second)) await settled();
    expect(await second.service.get(id)).toMatchObject({ status: 'completed', progress: { done: 20, total: 20 } });
    expect([...world.tasks.values()].map((task) => task.starts)).toEqual(Array(20).fill(1));
    expect(second.tree[0]).toBe('run started');
  });

  it('does not depend on hints: a poll finds the mail', async () => {
    const world = new MemoryWorld();
    const bus = new LocalBus();
    bus.lossy = true;
    const node = workflowNode(world, { bus });
    await node.service.open();
    const { id } = await node.service.create(chain(2));
    await node.service.start(id);
    await settled();
    endTask(world, node);
    await settled();
    expect(world.tasks.size).toBe(1);
    node.ambient.clock.advance(1_000);
    await settled();
    expect(world.tasks.size).toBe(2);
  });

  it('leaves a run alone that another node took over', async () => {
    const world = new MemoryWorld();
    const bus = new LocalBus();
    const slow = workflowNode(world, { bus, slots: 2 });
    await slow.service.open();
    const { id } = await slow.service.create(chain(3));
    await slow.service.start(id);
    await settled();
    world.lose(slow.id);
    const other = workflowNode(world, { bus });
    await other.service.open();
    // both hear the hint, both decide, one commits
    endTask(world, other);
    await settled();
    expect(world.tasks.size).toBe(2);
    expect(slow.service.status().runs).toBe(0);
    expect(slow.tree.at(-1)).toBe('run detached');
    // the slot it held for the step it wanted to start is free again; that of the first step went with its task
    expect(slow.freeSlots()).toBe(1);
    while (endTask(world, other)) await settled();
    expect((await other.service.get(id)).status).toBe('completed');
  });

  it.each(['before', 'after'] as const)('goes on after a commit without an answer (%s it was made)', async (when) => {
    const world = new MemoryWorld();
    const node = workflowNode(world);
    await node.service.open();
    const { id } = await node.service.create(chain(3));
    await node.service.start(id);
    await settled();
    world.failNext = when;
    endTask(world, node);
    await settled();
    node.ambient.clock.advance(1_000);
    await settled();
    while (endTask(world, node)) await settled();
    expect((await node.service.get(id)).status).toBe('completed');
    checkJournal(world, id);
    checkOnce(world, id);
  });

  it.each([
    ['another revision of the pattern', [{ ...sequential, revision: 2 }]],
    ['a pattern it no longer knows', []],
  ])('ends a run as definition_changed under %s, and cancels what is open', async (_, changed) => {
    const world = new MemoryWorld();
    const first = workflowNode(world);
    await first.service.open();
    const { id } = await first.service.create(chain(3));
    await first.service.start(id);
    await settled();
    first.kill();
    world.lose(first.id);
    const second = workflowNode(world, { strategies: changed as unknown as CoordinationStrategy[] });
    await second.service.open();
    await settled();
    const view = await second.service.get(id);
    expect(view).toMatchObject({
      status: 'failed',
      stopReason: 'definition_changed',
      error: { code: 'definition_changed' },
    });
    expect([...world.tasks.values()].map((task) => task.state)).toEqual(['cancelled']);
  });

  it('ends a run as definition_changed when a replay starts other steps than the run did', async () => {
    const world = new MemoryWorld();
    const first = workflowNode(world);
    await first.service.open();
    const { id } = await first.service.create({ tasks: [step('a'), step('b')] });
    await first.service.start(id);
    await settled();
    first.kill();
    world.lose(first.id);
    const reversed: typeof sequential = {
      ...sequential,
      start: (workflow, options, event) =>
        sequential.start({ ...workflow, tasks: [...workflow.tasks].reverse() }, options, event),
    };
    const second = workflowNode(world, { strategies: [reversed] as unknown as CoordinationStrategy[] });
    await second.service.open();
    await settled();
    expect((await second.service.get(id)).stopReason).toBe('definition_changed');
  });

  it('ends a run whose strategy throws instead of trying for ever', async () => {
    const world = new MemoryWorld();
    const broken: typeof sequential = {
      ...sequential,
      decide: () => {
        throw new Error('bug');
      },
    };
    const node = workflowNode(world, { strategies: [broken] as unknown as CoordinationStrategy[] });
    await node.service.open();
    const { id } = await node.service.create(chain(2));
    await node.service.start(id);
    await settled();
    endTask(world, node);
    await settled();
    expect(await node.service.get(id)).toMatchObject({ status: 'failed', stopReason: 'definition_changed' });
  });
});
